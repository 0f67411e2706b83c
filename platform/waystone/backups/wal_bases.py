"""Base backups of the embedded PostgreSQL: with which a restore begins, and what of the log they need."""

import gzip
import json
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from waystone.backups.database import Database
from waystone.backups.dumping import Job
from waystone.backups.errors import NoRoom, NotWhole
from waystone.backups.files import sync_folder
from waystone.backups.running import running
from waystone.backups.tools import Tools
from waystone.backups.wal import BASE, WAL
from waystone.backups.wal_gaps import Gap, first_gap, history_names, number_of
from waystone.embedded.postgres import Postgres

BASES_KEPT = 2
HISTORY_BYTES = 1 << 20
RESERVE_BYTES = 256 << 20  # of the archive's disk: the log goes on while a base backup is made
LABEL, MANIFEST, PASSWORD = "backup_label", "backup_manifest", "postgres.password"
_SEGMENT = re.compile(r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?\.gz")


def base_backup(database: Database, server: Postgres, folder: Path, job: Job, now: datetime) -> Path:
    """Copy the whole server, in play, to the archive, and read it back. Returns: the copy's folder.

    Raises: BackupError, TimeUp; what was begun is removed.
    """
    _check_room(database, folder)
    name = f"{now:%Y%m%dT%H%M%SZ}"
    temporary, made = folder / BASE / f".{name}.part", folder / BASE / name
    for left in (folder / BASE).glob(".*.part"):
        shutil.rmtree(left)  # of a process that was killed
    argv = job.tools.argv(
        *("pg_basebackup", "--pgdata", str(temporary), "--format=tar", "--gzip", "--wal-method=stream"),
        *("--checkpoint=fast", "--no-password", "--verbose", "--label", f"waystone {name}"),
    )
    try:
        with running(
            argv,
            database,
            what="pg_basebackup",
            deadline=job.deadline,
            on_line=lambda line: job.on_progress(line, 0),
        ):
            pass
        verify(temporary, job.tools)
        shutil.copyfile(server.password_file, temporary / PASSWORD)
        (temporary / PASSWORD).chmod(0o600)
        temporary.rename(made)
        sync_folder(folder / BASE)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return made


def _check_room(database: Database, folder: Path) -> None:
    made = bases(folder)
    if made:
        needed = sum(path.stat().st_size for path in made[-1].iterdir())
    else:
        with database.connect() as opened:
            size = opened.execute("SELECT sum(pg_database_size(oid))::bigint FROM pg_database").fetchall()[0][
                0
            ]
        needed = size // 2  # compressed it is less, mostly much less
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE_BYTES:
        raise NoRoom(
            f"No room in {folder}: a base backup needs some {needed:,} bytes, and {free:,} are free. "
            "Make room, or archive to another disk."
        )


def verify(base: Path, tools: Tools) -> None:
    """Read a base backup and compare it with its manifest.

    Raises: NotWhole; carries what pg_verifybackup says.
    """
    argv = tools.argv(
        *("pg_verifybackup", "--format=tar", "--no-parse-wal", "--exit-on-error"),
        *(f"--ignore={PASSWORD}", str(base)),
    )
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stderr.splitlines())[-300:]
        raise NotWhole(f"The base backup {base.name.strip('.')} is damaged: {said}")


def unpacked_bytes(base: Path) -> int:
    """Return how large the data folder of a base backup is. Raises: NotWhole."""
    with whole(base):
        manifest = json.loads((base / MANIFEST).read_bytes())
        return sum(int(file["Size"]) for file in manifest["Files"])


@contextmanager
def whole(base: Path) -> Iterator[None]:
    """What a damaged base backup raises is told as that."""
    try:
        yield
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        EOFError,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
    ) as error:
        raise NotWhole(f"The base backup {base.name} is damaged: {error or type(error).__name__}") from error


def bases(folder: Path) -> list[Path]:
    """Return the base backups of an archive, oldest first."""
    return sorted(path for path in (folder / BASE).iterdir() if path.name[0] != "." and path.is_dir())


def begun_at(base: Path) -> datetime:
    """Return when a base backup was begun."""
    return datetime.strptime(f"{base.name}+0000", "%Y%m%dT%H%M%SZ%z")


def needed_from(base: Path) -> str:
    """Return the name of the log's segment with which a base backup begins, by its label.

    Raises: NotWhole: it is none, or damaged.
    """
    with whole(base), tarfile.open(base / "base.tar.gz") as archive:
        file = archive.extractfile(LABEL)
        label = file.read(4096).decode(errors="replace") if file is not None else ""
    match = re.search(r"\(file ([0-9A-F]{24})\)", label)
    if match is None:
        raise NotWhole(f"{base} is no base backup: it has no {LABEL}.")
    return match[1]


def gap_after(base: Path) -> Gap | None:
    """Return the first gap in the log after a base backup of an archive. Raises: NotWhole: it is none."""
    folder = base.parent.parent / WAL
    names = [path.name for path in folder.iterdir()]
    histories = {timeline: _history(folder / name) for timeline, name in history_names(names).items()}
    return first_gap(names, histories, needed_from(base))


def _history(path: Path) -> str:
    """Return a history file; of one that cannot be read, nothing: PostgreSQL will say so."""
    try:
        with gzip.open(path) as file:
            return file.read(HISTORY_BYTES).decode(errors="replace")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return ""


def forget_old(folder: Path) -> list[str]:
    """Delete all base backups but the newest, and the log that none of those needs. Returns: what is gone."""
    kept = bases(folder)
    gone = [base.name for base in kept[:-BASES_KEPT]]
    for base in kept[:-BASES_KEPT]:
        shutil.rmtree(base)
    needed = [name for base in kept[-BASES_KEPT:] if (name := _needed_if_whole(base)) is not None]
    if not needed:
        return gone
    names = useless((path.name for path in (folder / WAL).iterdir()), min(needed, key=number_of))
    for name in names:
        (folder / WAL / name).unlink()
    return gone + names


def _needed_if_whole(base: Path) -> str | None:
    try:
        return needed_from(base)
    except NotWhole:
        return None  # no restore begins with it, so it needs nothing


def useless(names: Iterable[str], first_needed: str) -> list[str]:
    """Return which files of the log no base backup needs any more.

    The first eight digits are the timeline: what counts is the place after them.

    Args: first_needed: the name of the segment with which the oldest kept base backup begins.
    """
    found = [name for name in names if _SEGMENT.fullmatch(name)]
    return sorted(name for name in found if name[8:24] < first_needed[8:])
