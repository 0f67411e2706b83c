"""`manage.py restore latest|NAME|FILE`: a backup in place of this deployment's database, or only tried."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from waystone.backup_config import BackupConfig
from waystone.backups.database import Database, own_database
from waystone.backups.drill import Proof, restore_and_prove
from waystone.backups.dumping import scratch
from waystone.backups.errors import BackupError
from waystone.backups.keeping import (
    EXPECTED,
    deployment,
    drill_server,
    exclusive,
    label,
    new_job,
    scratch_name,
    words,
)
from waystone.backups.keys_archive import unpack_keys
from waystone.backups.restoring import Found, find_backup, is_empty, kept_databases, restore
from waystone.backups.sealing import read_key_file
from waystone.config import Config


class Command(BaseCommand):
    help = (
        "Restore a backup: into a new database, which is proven and only then takes the place of the present "
        "one; that one is kept under another name. All processes have to be stopped first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "backup", nargs="?", help="latest, a backup's name (manage.py backup --list), or a file"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--check", action="store_true", help="restore it into a scratch database only, and prove it"
        )
        what.add_argument(
            "--keys", type=Path, metavar="FOLDER", help="unpack its archive of keys into a new folder"
        )
        what.add_argument(
            "--forget-old", action="store_true", help="drop databases that earlier restores put aside"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--accept-findings",
            action="store_true",
            help="restore it although invariants do not hold in it: it is the best that there is",
        )
        parser.add_argument(
            "--accept-unsigned",
            action="store_true",
            help="although its manifest is not signed with this deployment's key: you know that it is yours",
        )

    def handle(self, *args: Any, backup: str | None, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        config = deployment()
        try:
            if options["forget_old"]:
                _forget_old(console, is_sure=options["yes"])
                return
            if not backup:
                raise BackupError("Say which: latest, a backup's name, or a file.")
            found = find_backup(
                backup,
                config.backup,
                label(config),
                accept_unsigned=options["accept_unsigned"],
                on_passed_over=lambda words: console.print(f"Passed over: {escape(words)}"),
            )
            if options["keys"]:
                _unpack(found, options["keys"], config.backup, console)
            elif options["check"]:
                _check(found, config, console, accepts_findings=options["accept_findings"])
            else:
                _restore(
                    found,
                    config,
                    console,
                    is_sure=options["yes"],
                    accepts_findings=options["accept_findings"],
                )
        except EXPECTED as error:
            raise CommandError(words(error), returncode=1) from error


def _check(found: Found, config: Config, console: Console, *, accepts_findings: bool) -> None:
    server = drill_server(config.backup)
    # Who looks after backups meanwhile would take this scratch database for one that was left.
    alone = exclusive() if own_database().exists() else nullcontext()
    with (
        alone,
        _progress(console) as progress,
        scratch(server.named(scratch_name(timezone.now()))) as database,
    ):
        job = new_job(config.backup, server.named("postgres"), _bar(progress, "Restore"))
        proof = restore_and_prove(
            found.path, found.manifest, database, job, accepts_findings=accepts_findings
        )
    console.print(f"{found.path.name} can be restored. {_told(proof)}")


def _restore(
    found: Found, config: Config, console: Console, *, is_sure: bool, accepts_findings: bool
) -> None:
    database = own_database()
    is_master = config.role in ("all", "master")
    _check_label(found, config)
    if not is_sure and not is_empty(database):
        _ask(database, found)
    with _progress(console) as progress:
        job = new_job(config.backup, database.named("postgres"), _bar(progress, "Restore"))
        proof, kept = restore(
            found, database, job, now=timezone.now(), is_master=is_master, accepts_findings=accepts_findings
        )
    console.print(f"{found.path.name} is restored as {database.name}. {_told(proof)}")
    if kept:
        console.print(f"What was there is kept as {kept}; drop it later: manage.py restore --forget-old")
    _tell_next(config, console)


def _check_label(found: Found, config: Config) -> None:
    if found.manifest is not None and found.manifest.label != label(config):
        raise BackupError(
            f"{found.manifest.name} is a backup of {found.manifest.label!r}, and this deployment is "
            f"{label(config)!r}. Check WAYSTONE_ROLE and WAYSTONE_WORLD."
        )


def _ask(database: Database, found: Found) -> None:
    if not sys.stdin.isatty():
        raise BackupError(
            f"{database.name} is not empty. Say --yes to put it aside and restore in its place."
        )
    answer = input(
        f"Put {database.name} aside and restore {found.path.name} in its place? Type {database.name}: "
    )
    if answer.strip() != database.name:
        raise BackupError("Nothing was changed.")


def _tell_next(config: Config, console: Console) -> None:
    if config.role in ("all", "master"):
        console.print(
            "The master's incarnation was raised. Start it: worlds offer what they hold since the backup, "
            "and it goes into service by itself; manage.py restoremaster says how far that is, and --finish "
            "ends it (docs/restore.md)."
        )
    if config.role in ("all", "world"):
        console.print(
            "Receipts since the backup are in WAYSTONE_REPLICA_TARGET, if that was set: bring them back with "
            "manage.py replica --load before you start."
        )


def _unpack(found: Found, folder: Path, config: BackupConfig, console: Console) -> None:
    if found.manifest is None or len(found.manifest.parts) < 2:
        raise BackupError(
            f"{found.path.name} has no archive of keys: it was made without WAYSTONE_BACKUP_KEY_FILE."
        )
    if config.key_file is None:
        raise BackupError("Set WAYSTONE_BACKUP_KEY_FILE to the key that opens it.")
    archive = found.path.with_name(found.manifest.parts[1].name)
    names = unpack_keys(archive, folder, read_key_file(config.key_file))
    console.print(escape(f"{len(names)} files in {folder}: {', '.join(names)}"))


def _forget_old(console: Console, *, is_sure: bool) -> None:
    database = own_database()
    names = kept_databases(database)
    if names and not is_sure:
        raise BackupError(f"This drops {', '.join(names)} for good. Say --yes, too.")
    for name in names:
        database.named(name).drop()
    console.print(f"Dropped: {', '.join(names) or 'nothing was there'}.")


def _told(proof: Proof) -> str:
    found = f"{proof.rows:,} rows in {proof.tables} tables"
    return f"{found}, {proof.invariants} invariants looked at ({proof.seconds:.1f} s)."


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:32}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _bar(progress: Progress, title: str) -> Any:
    bar, began = progress.add_task(title, total=1.0), time.monotonic()

    def tell(what: str, done: float) -> None:
        progress.update(bar, completed=done, description=f"{title}: {what}")
        if len(what) > 60:  # a finding that was accepted
            progress.console.print(f"[{time.monotonic() - began:.0f} s] {escape(what)}")

    return tell
