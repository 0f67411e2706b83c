"""`manage.py backup`: make a backup of this deployment's database now, copy it away, and prove it."""

from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from waystone.backup_config import BackupConfig
from waystone.backups.cycle import judge_age
from waystone.backups.errors import BackupError
from waystone.backups.keeping import (
    EXPECTED,
    adopt,
    backup_config,
    copy_backup,
    exclusive,
    forget_old,
    make_backup,
    prove_backup,
    tidy,
    words,
)
from waystone.backups.sealing import make_key_file
from worlds.models import Backup


class Command(BaseCommand):
    help = (
        "Back up this deployment's database, in play: dump, copy to WAYSTONE_BACKUP_TARGET, and prove it by "
        "a restore into a scratch database. Exit code 1: something of that failed, and is named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        options = parser.add_mutually_exclusive_group()
        options.add_argument(
            "--no-verify", action="store_true", help="leave the restore into a scratch database out"
        )
        options.add_argument("--list", action="store_true", help="show the backups, and make none")
        options.add_argument(
            "--make-key",
            action="store_true",
            help="make the key file of WAYSTONE_BACKUP_KEY_FILE, and no backup",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True)
        config = backup_config()
        try:
            if options["make_key"]:
                _make_key(config, console)
            elif options["list"]:
                _list(console)
            else:
                _back_up(config, console, is_verified=not options["no_verify"])
        except EXPECTED as error:
            raise CommandError(words(error), returncode=1) from error


def _make_key(config: BackupConfig, console: Console) -> None:
    if config.key_file is None:
        raise BackupError(
            "Set WAYSTONE_BACKUP_KEY_FILE to where the key is to be, as /etc/waystone/backup.key."
        )
    recipient = make_key_file(config.key_file)
    console.print(f"{config.key_file} was written; backups from now on are encrypted for {recipient}.")
    console.print("Keep a copy of it on another machine: without it no backup can be opened.")


def _list(console: Console) -> None:
    rows = Backup.objects.exclude(state=Backup.State.DELETED)
    for row in rows:
        proven = f"proven {row.proven_at:%Y-%m-%d %H:%M}" if row.proven_at else row.error or row.progress
        copy = f", copy in {row.target}" if row.target else ""
        console.print(escape(f"{row.name}  {row.state:8} {row.size:>14,} bytes  {proven}{copy}"))
    if not rows:
        console.print("There is no backup yet.")


def _back_up(config: BackupConfig, console: Console, *, is_verified: bool) -> None:
    columns = (TextColumn("{task.description:32}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with exclusive(), Progress(*columns, console=console) as progress:
        now = timezone.now()
        tidy(config, now)
        adopt(config, now)
        row = make_backup(config, now, _bar(progress, "Backup"), timezone.now)
        if config.target:
            bar = progress.add_task("Copy", total=1.0)
            copy_backup(config, row, timezone.now())
            progress.update(bar, completed=1.0)
        if is_verified:
            prove_backup(config, row, timezone.now(), _bar(progress, "Restore drill"))
        forget_old(config, timezone.now())
    judge_age(config, timezone.now())
    _tell(row, config, console)


def _bar(progress: Progress, title: str) -> Any:
    bar = progress.add_task(title, total=1.0)

    def tell(what: str, done: float) -> None:
        progress.update(bar, completed=done, description=f"{title}: {what}")

    return tell


def _tell(row: Backup, config: BackupConfig, console: Console) -> None:
    console.print(escape(f"{row.name}: {row.size:,} bytes in {Path(row.place).parent}"))
    console.print(f"SHA-256 of the dump: {row.sha256}")
    if row.target:
        console.print(escape(f"Copied to {row.target} and read back."))
    else:
        console.print("No copy on another machine: set WAYSTONE_BACKUP_TARGET.")
    if row.proven_at is not None:
        found = row.report
        console.print(
            f"Proven: restored, {found['rows']:,} rows in {found['tables']} tables are those that were "
            f"backed up, {found['invariants']} invariants hold ({found['seconds']} s)."
        )
    if config.key_file is None:
        console.print(
            "Not encrypted: it holds e-mail addresses and password hashes. The folder of keys is not in it; "
            "keep a copy of that yourself, or set WAYSTONE_BACKUP_KEY_FILE."
        )
