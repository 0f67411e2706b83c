"""A database into a file and back: pg_dump and pg_restore by pipes, sealed on the way."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pyrage.x25519 import Identity

from waystone.backups.census import take_census
from waystone.backups.database import Database
from waystone.backups.errors import BackupError, TimeUp
from waystone.backups.files import copy_stream, whole_file
from waystone.backups.manifest import Census, Part
from waystone.backups.running import running
from waystone.backups.sealing import seal, unseal
from waystone.backups.tools import Tools

AGE = b"age-encryption.org/v1"  # how each of its files begins
LOCK_WAIT_MS = 600_000  # for a table that a migration has
_DUMPED = re.compile(r'dumping contents of table "?public\.([a-z0-9_]+)')
_LOADED = re.compile(r'processing data for table "?public\.([a-z0-9_]+)')
_SIZES = """
    SELECT relname, relpages::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""

# Told which table is at work, and how much is done: 0 to 1.
OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Job:
    """What all that is done with one backup shares. `deadline`: of the monotonic clock, seconds."""

    tools: Tools
    identity: Identity | None
    deadline: float
    on_progress: OnProgress

    def check_time(self) -> None:
        """Raises: TimeUp."""
        if time.monotonic() > self.deadline:
            raise TimeUp("It took longer than it may. Raise WAYSTONE_BACKUP_TIME_LIMIT_H.")


def dump(database: Database, path: Path, job: Job) -> tuple[Part, Census]:
    """Write a database into a file, and count what is in it, both in one snapshot.

    Reads only: whoever saves meanwhile is not waited for, and does not wait.

    Raises: BackupError, NoRoom, TimeUp; OSError, psycopg.Error.
    """
    with database.connect() as opened:
        opened.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = str(opened.execute("SELECT pg_export_snapshot()").fetchall()[0][0])
        sizes = dict(opened.execute(_SIZES).fetchall())
        part = _write(database, path, job, snapshot, sizes)
        job.check_time()
        return part, take_census(opened)


def _write(database: Database, path: Path, job: Job, snapshot: str, sizes: dict[str, int]) -> Part:
    argv = job.tools.argv(
        *("pg_dump", "--format=custom", "--no-password", "--verbose", "--no-owner", "--no-privileges"),
        *(f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT_MS}"),
    )
    on_line = _watcher(_DUMPED, sizes, job.on_progress)
    with (
        whole_file(path) as sink,
        running(
            argv, database, what="pg_dump", deadline=job.deadline, on_line=on_line, stdout=subprocess.PIPE
        ) as child,
    ):
        source = _pipe(child.process.stdout)
        if job.identity is None:
            copy_stream(source, sink.write)
        else:
            seal(source, sink, job.identity)
    return Part(path.name, sink.size, sink.sha256)


def load(path: Path, database: Database, job: Job, census: Census | None) -> None:
    """Restore a file into an empty database; anything that goes wrong ends it.

    Args: census: how many rows tables have, for the progress. Raises: BackupError, TimeUp; OSError.
    """
    argv = job.tools.argv(
        *("pg_restore", "--format=custom", "--no-password", "--verbose", "--no-owner", "--no-privileges"),
        *("--exit-on-error", "--dbname", database.name),
    )
    on_line = _watcher(_LOADED, dict(census.rows) if census else {}, job.on_progress)
    sealed = is_sealed(path)
    with path.open("rb") as source:
        if sealed and job.identity is None:
            raise BackupError(
                f"{path.name} is encrypted. Set WAYSTONE_BACKUP_KEY_FILE to the key that opens it."
            )
        with running(
            argv, database, what="pg_restore", deadline=job.deadline, on_line=on_line, stdin=subprocess.PIPE
        ) as child:
            sink = _pipe(child.process.stdin)
            if sealed and job.identity is not None:
                unseal(source, sink, job.identity)
            else:
                copy_stream(source, sink.write)
            sink.close()


@contextmanager
def scratch(database: Database) -> Iterator[Database]:
    """Make a database for a while; it is dropped whatever becomes of the block."""
    database.create()
    try:
        yield database
    finally:
        database.drop()


def is_sealed(path: Path) -> bool:
    """Return whether a file is one of age's."""
    with path.open("rb") as file:
        return file.read(len(AGE)) == AGE


def _pipe(stream: IO[bytes] | None) -> Any:
    if stream is None:
        raise BackupError("The program was started without a pipe.")
    return stream


def _watcher(
    pattern: re.Pattern[str], sizes: dict[str, int], on_progress: OnProgress
) -> Callable[[str], None]:
    """Return what reads the program's lines: a table that is begun means that those before it are done."""
    total = max(1, sum(sizes.values()))
    done, last = 0, ""

    def on_line(line: str) -> None:
        nonlocal done, last
        if match := pattern.search(line):
            done += sizes.get(last, 0)
            last = match[1]
            on_progress(last, min(1.0, done / total))

    return on_line
