"""A restore drill: a backup into a database of its own, counted, every invariant checked, dropped again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from characters.invariants import INVARIANTS, check_invariants
from characters.invariants.checking import begin_snapshot
from waystone.backups.census import differences, take_census
from waystone.backups.database import Database
from waystone.backups.dumping import Job, load
from waystone.backups.errors import BackupError, NotProven, NotWhole, TimeUp
from waystone.backups.files import digest_of
from waystone.backups.manifest import Manifest, Part
from waystone.config import ROOT
from waystone.processes import python_environment

MIGRATE_SECONDS = 3600
OWN_APPS = ("accounts", "worlds", "characters", "zonecluster")


@dataclass(frozen=True)
class Proof:
    """What a drill found. `rows`: of all tables; `seconds`: that it took."""

    rows: int
    tables: int
    invariants: int
    seconds: float

    def report(self) -> dict[str, Any]:
        """Return it as the row keeps it."""
        return {
            "rows": self.rows,
            "tables": self.tables,
            "invariants": self.invariants,
            "seconds": round(self.seconds, 1),
        }


def check_file(path: Path, manifest: Manifest) -> None:
    """Raises: NotWhole: a backup's dump is not there, or not what was written."""
    check_part(path, manifest.dump)


def check_part(path: Path, part: Part) -> None:
    """Raises: NotWhole: a file of a backup is not there, or not what was written."""
    try:
        found = digest_of(path)
    except FileNotFoundError as error:
        raise NotWhole(f"{path} is not there.") from error
    if found != (part.size, part.sha256):
        raise NotWhole(f"{path} is not what was written: size or SHA-256 differ from its manifest.")


def restore_and_prove(
    path: Path, manifest: Manifest | None, database: Database, job: Job, *, accepts_findings: bool = False
) -> Proof:
    """Restore a backup into an empty database and prove it.

    Args:
        manifest: None for a dump that was made by hand: nothing to compare it with.
        accepts_findings: an invariant that does not hold is told by `job.on_progress`, and that is all.
    Raises: NotProven: what came out is not what went in, or an invariant does not hold. NotWhole,
        BackupError.
    """
    began = time.monotonic()
    if manifest is not None:
        check_file(path, manifest)
    load(path, database, job, manifest.census if manifest else None)
    with database.connect() as opened:
        census = take_census(opened)
    if manifest is not None and (found := differences(manifest.census, census)):
        raise NotProven(f"What was restored is not what was backed up: {'; '.join(found)[:250]}")
    bring_up_to_date(database)
    job.check_time()
    if found := broken_invariants(database, lambda done: job.on_progress("invariants", done)):
        words = f"Restored, these invariants do not hold: {'; '.join(found)[:250]}"
        if not accepts_findings:
            raise NotProven(words)
        job.on_progress(words, 1.0)
    return Proof(sum(census.rows.values()), len(census.rows), len(INVARIANTS), time.monotonic() - began)


def broken_invariants(database: Database, on_done: Callable[[float], None]) -> list[str]:
    """Return what does not hold in a database, a sentence each."""
    checked = 0

    def advance(_: object) -> None:
        nonlocal checked
        checked += 1
        on_done(checked / len(INVARIANTS))

    with database.connect() as opened, opened.cursor() as cursor:
        begin_snapshot(cursor)
        found = check_invariants(cursor, INVARIANTS, on_checked=advance)
    return [f"{each.invariant.name} ({each.broken} times; {each.rows[0]})" for each in found]


def bring_up_to_date(database: Database) -> None:
    """Migrate a database that an older Waystone has left to what this one's code expects.

    Raises: BackupError: it is of a newer one, or a migration failed.
    """
    applied, wanted = migrations_of(database), migrations_in_the_code()
    if newer := sorted(f"{app}.{name}" for app, name in applied - wanted if app in OWN_APPS):
        raise BackupError(f"It is of a newer Waystone (it has had {newer[0]}). Update this one first.")
    if wanted <= applied:
        return
    manage(database, "migrate", "--no-input", "--verbosity", "0")


def migrations_in_the_code() -> set[tuple[str, str]]:
    """Return the migrations that this code's databases have had."""
    return set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def migrations_of(database: Database) -> set[tuple[str, str]]:
    """Return the migrations that a database has had; none if it is empty."""
    table = MigrationRecorder.Migration._meta.db_table
    with database.connect() as opened:
        has_table = opened.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchall()[0][0]
        if not has_table:
            return set()
        return {
            (app, name) for app, name in opened.execute("SELECT app, name FROM django_migrations").fetchall()
        }


def manage(database: Database, *command: str) -> str:
    """Run one of manage.py's commands on another database. Returns: what it said.

    Raises: BackupError: it failed.
    """
    environment = python_environment(os.environ) | {
        "DATABASE_URL": database.url(),
        "WAYSTONE_NO_BOOTSTRAP": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *command],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeUp(f"manage.py {command[0]} took longer than an hour on the restored database.") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise BackupError(f"manage.py {command[0]} failed on the restored database: {said}")
    return done.stdout
