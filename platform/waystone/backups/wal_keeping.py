"""Keeping the WAL archive: what Celery does about it once an hour, and the server that it is about."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.db import connection

from waystone.backup_config import BackupConfig
from waystone.backups import wal, wal_bases
from waystone.backups.cycle import nobody
from waystone.backups.database import own_database
from waystone.backups.dumping import Job, OnProgress
from waystone.backups.errors import BackupError, NotWhole
from waystone.backups.keeping import EXPECTED, deployment, words
from waystone.backups.tools import find_tools
from waystone.embedded.postgres import Postgres
from waystone.embedded.unprivileged import EmbeddedServerError, place_servers
from worlds.alarms import end_alarm, raise_alarm
from worlds.models import Alarm

log = structlog.get_logger(__name__)

ALARM = "wal_archive"
BASE_EVERY = timedelta(days=7)
STILL_S = 900.0  # a piece that has waited so long is not just the next one


def embedded_server() -> Postgres:
    """Return this deployment's embedded PostgreSQL.

    Raises: BackupError: the database is an outside one. EmbeddedServerError.
    """
    config = deployment()
    is_own = str(connection.settings_dict["PORT"]) == str(config.postgres_port)
    server = Postgres(place_servers(config.state_dir), config.postgres_port) if is_own else None
    if server is None or not server.data_dir.exists():
        raise BackupError(
            "DATABASE_URL names a PostgreSQL of your own: set up WAL archiving there (archive_command and "
            "pg_basebackup, or a tool such as pgBackRest)."
        )
    return server


def archive_folder() -> Path:
    """Return the folder that is archived to. Raises: BackupError: WAL archiving is not set up."""
    folder = wal.archive_folder(own_database())
    if folder is None:
        raise BackupError("WAL archiving is not set up. Do that first: manage.py walarchive --to FOLDER")
    return folder


def make_base(
    server: Postgres, config: BackupConfig, now: datetime, on_progress: OnProgress
) -> tuple[Path, int]:
    """Make a base backup and delete what none needs any more. Returns: it, and how many files are gone.

    Raises: what EXPECTED names.
    """
    database, folder = own_database(), archive_folder()
    tools = find_tools(database.server_version(), config.tools)
    job = Job(tools, None, time.monotonic() + config.time_limit_h * 3600, on_progress)
    made = wal_bases.base_backup(database, server, folder, job, now)
    return made, len(wal_bases.forget_old(folder))


def look_after_wal(config: BackupConfig, now: datetime) -> None:
    """See that the archive is written to and whole, and make a base backup each week; an alarm if not."""
    database = own_database()
    if wal.archive_folder(database) is None or not wal.archiver(database).is_on:
        end_alarm(key=ALARM, now=now)
        return
    try:
        check_archiver(wal.archiver(database))
        made = wal_bases.bases(archive_folder())
        lost = _what_is_lost(made[-1]) if made else ""
        if not made or lost or now - wal_bases.begun_at(made[-1]) > BASE_EVERY:
            make_base(embedded_server(), config, now, nobody)
        if lost:
            raise BackupError(f"{lost} A new base backup was made: from here on it can.")
    except (*EXPECTED, EmbeddedServerError) as error:
        log.error("wal_archive_fails", cause=words(error))
        raise_alarm(
            key=ALARM,
            text=f"WAL archiving: {words(error)}",
            advice="Is the folder there, has it room? PostgreSQL keeps the log; its disk fills meanwhile.",
            now=now,
            level=Alarm.Level.URGENT,
        )
        return
    end_alarm(key=ALARM, now=now)


def _what_is_lost(newest: Path) -> str:
    """Return what the database cannot be brought back to any more, and why; empty: nothing."""
    try:
        gap = wal_bases.gap_after(newest)
    except NotWhole as error:
        return f"{error} The database cannot go back to an instant after it."
    return f"In the archive {gap}: the database cannot go back to an instant after that." if gap else ""


def check_archiver(found: wal.Archiver) -> None:
    """See that the archive takes the log. Raises: BackupError."""
    if found.failing:
        raise BackupError("PostgreSQL cannot write its log to the archive.")
    if found.waits_s > STILL_S:
        raise BackupError(
            f"PostgreSQL has waited for {found.waits_s / 60:.0f} minutes to write a piece of its log to the "
            "archive, without an error: something there hangs."
        )
