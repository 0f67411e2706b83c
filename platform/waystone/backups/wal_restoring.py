"""Point-in-time restore of the embedded PostgreSQL: a base backup and the log after it, in a new data folder.

The old data folder is kept. The new one is recovered, proven and only then renamed; the servers are stopped.
"""

import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from waystone.backups.database import Database, database_of_url
from waystone.backups.drill import bring_up_to_date, broken_invariants
from waystone.backups.dumping import OnProgress
from waystone.backups.errors import BackupError, NoRoom, NoTools, NotProven
from waystone.backups.restoring import raise_incarnation
from waystone.backups.tools import Tools, embedded_folder
from waystone.backups.wal import ARCHIVE, WAL, install_scripts, restore_command
from waystone.backups.wal_bases import PASSWORD, bases, begun_at, gap_after, unpacked_bytes, verify, whole
from waystone.embedded.postgres import SERVER_ENV, STOP_SIGNAL, Postgres
from waystone.embedded.spawn import identity
from waystone.embedded.unprivileged import write_private_file

NEW = "postgres.restored"
RECOVERY_SECONDS = 6 * 3600.0
LOG = "restore.log"
RESERVE_BYTES = 1 << 30  # for the log that is played


@dataclass(frozen=True)
class Restored:
    """What a restore made. `newest`: of the newest change in it; `kept`: the old data folder, if any."""

    base: Path
    newest: datetime | None
    kept: Path | None


def choose_base(folder: Path, until: datetime | None) -> Path:
    """Return the newest base backup that was begun before an instant. Raises: BackupError: there is none."""
    found = [base for base in bases(folder) if until is None or begun_at(base) < until]
    if not found:
        raise BackupError(f"{folder} has no base backup{f' of before {until}' if until else ''}.")
    return found[-1]


def unpack(base: Path, server: Postgres) -> None:
    """Make a data folder of a base backup. Args: server: its `folder` is the new one."""
    data = server.data_dir
    if data.exists():
        shutil.rmtree(data)  # of a restore that did not come to its end
    data.mkdir(mode=0o700)
    for name, place in (("base.tar.gz", data), ("pg_wal.tar.gz", data / "pg_wal")):
        place.mkdir(mode=0o700, exist_ok=True)
        with whole(base), tarfile.open(base / name) as archive:
            archive.extractall(place, filter="data")
    if server.place.user is not None:
        for path in [data, *data.rglob("*")]:
            os.chown(path, server.place.user.uid, server.place.user.gid, follow_symlinks=False)
    if not server.password_file.exists():
        write_private_file(server.password_file, (base / PASSWORD).read_text(), server.place.user)


def recover(server: Postgres, folder: Path, until: datetime | None) -> datetime | None:
    """Play the archive's log into a new data folder, and stop the server again where it was told to end.

    Returns: when the newest change that was played was committed; None: the log had none.
    Raises: BackupError: it did not get there; carries the end of the server's log.
    """
    scripts = install_scripts(server)
    options = {
        "listen_addresses": "",
        "archive_mode": "off",
        "restore_command": restore_command(scripts, folder),
        "recovery_target_action": "promote",
    }
    if until is not None:
        options["recovery_target_time"] = until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    (server.data_dir / "recovery.signal").touch()
    if server.place.user is not None:
        os.chown(server.data_dir / "recovery.signal", server.place.user.uid, server.place.user.gid)
    recovering = replace(server, options={**server.options, **options})
    log = server.place.home / LOG
    log.unlink(missing_ok=True)
    process = recovering.start(log)
    deadline = time.monotonic() + RECOVERY_SECONDS
    try:
        while not _is_promoted(recovering):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BackupError(f"The recovery failed: {_end_of(log)}")
            time.sleep(0.2)
        return _newest_change(recovering)
    finally:
        stop(process)


def prove(server: Postgres, database: Database, on_progress: OnProgress, *, raise_as: str) -> None:
    """Start a recovered server for its proof, check every invariant, and stop it again.

    Args: raise_as: of a master, what is written as the reason of its new incarnation; empty: none is raised.
    Raises: NotProven, BackupError.
    """
    proving = replace(server, options={**server.options, "listen_addresses": "", "archive_mode": "off"})
    process = proving.start(server.place.home / LOG)
    try:
        while not proving.is_ready():
            if process.poll() is not None:
                raise BackupError(f"The recovered server does not start: {_end_of(server.place.home / LOG)}")
            time.sleep(0.2)
        bring_up_to_date(database)
        if found := broken_invariants(database, lambda done: on_progress("invariants", done)):
            raise NotProven(f"Restored, these invariants do not hold: {'; '.join(found)[:250]}")
        if raise_as:
            raise_incarnation(database, raise_as)
    finally:
        stop(process)


def take_place(server: Postgres, now: datetime) -> Path | None:
    """Put the new data folder in the old one's place. Returns: where the old one is kept, if any."""
    home = server.place.home
    data = Postgres(server.place, server.port).data_dir
    kept = home / f"postgres.before_{now:%Y%m%d%H%M%S}"
    was_there = data.exists()
    if was_there:
        data.rename(kept)
    server.data_dir.rename(data)
    return kept if was_there else None


def restore(
    server: Postgres,
    folder: Path,
    until: datetime | None,
    now: datetime,
    on_progress: OnProgress,
    *,
    is_master: bool,
    may_end_early: bool = False,
) -> Restored:
    """Put the embedded database back to an instant.

    Args: server: of the deployment, stopped. until: None: to the end of the log. may_end_early: also where
        pieces of the log are missing: what came after them is lost.
    Raises: BackupError, NotProven, OSError; the old data folder is in its place then.
    """
    if is_running(server):
        raise BackupError("PostgreSQL is running. Stop manage.py up first.")
    base = choose_base(folder, until)
    if until is None and not may_end_early:
        _check_log(base)
    new = replace(server, folder=NEW)
    _check_room(new, base)
    on_progress(f"reading {base.name}", 0.0)
    verify(base, _tools())
    on_progress(f"unpacking {base.name}", 0.1)
    unpack(base, new)
    on_progress("playing the log", 0.3)
    newest = recover(new, folder, until)
    reason = f"{base.name} and the log after it" if is_master else ""
    prove(new, database_of_url(new.url()), on_progress, raise_as=reason)
    archive_histories(new, folder)
    return Restored(base, newest, take_place(new, now))


def _check_log(base: Path) -> None:
    gap = gap_after(base)
    if gap is not None:
        raise BackupError(
            f"The log is not whole: {gap}. What came after that cannot be brought back from {base.name}. "
            "To go as far as the log does, say --may-end-early; to go to an instant before, --until TIME."
        )


def _check_room(server: Postgres, base: Path) -> None:
    needed, free = unpacked_bytes(base) + RESERVE_BYTES, shutil.disk_usage(server.place.home).free
    if server.data_dir.exists():
        free += sum(path.lstat().st_size for path in server.data_dir.rglob("*"))  # it goes first
    if free < needed:
        raise NoRoom(
            f"No room in {server.place.home}: the restored database needs {needed:,} bytes, and {free:,} are "
            "free. The present one is kept beside it; make room on that disk."
        )


def _tools() -> Tools:
    folder = embedded_folder()
    if folder is None:
        raise NoTools("The embedded PostgreSQL is not installed: start manage.py up once.")
    return Tools(folder)


def archive_histories(server: Postgres, folder: Path) -> None:
    """Archive how the new timeline came about, or the next restore would give another one the same number.

    Raises: BackupError: the archive does not take it.
    """
    script = install_scripts(server) / ARCHIVE
    for path in sorted((server.data_dir / "pg_wal").glob("*.history")):
        done = subprocess.run(
            [str(script), str(folder / WAL), str(path), path.name],
            env=SERVER_ENV,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **identity(server.place.user),
        )
        if done.returncode != 0:
            raise BackupError(f"{path.name} cannot be archived: {done.stderr.strip()[-300:]}")


def is_running(server: Postgres) -> bool:
    """Return whether a server works on the data folder."""
    pid_file = server.data_dir / "postmaster.pid"
    if not pid_file.exists():
        return False
    try:
        os.kill(int(pid_file.read_text().splitlines()[0]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server in order."""
    if process.poll() is None:
        process.send_signal(STOP_SIGNAL)
        process.wait(120)


def _is_promoted(server: Postgres) -> bool:
    if not server.is_answering():
        return False
    with database_of_url(server.url("postgres")).connect() as opened:
        return opened.execute("SELECT pg_is_in_recovery()").fetchall() == [(False,)]


def _newest_change(server: Postgres) -> datetime | None:
    with database_of_url(server.url("postgres")).connect() as opened:
        found: datetime | None = opened.execute("SELECT pg_last_xact_replay_timestamp()").fetchall()[0][0]
    return found


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").splitlines()[-4:])[-300:] if log.exists() else "no log"
