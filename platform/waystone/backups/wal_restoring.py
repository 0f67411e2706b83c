"""Point-in-time restore of the embedded PostgreSQL: a base backup and the log after it, in a new data folder.

The old data folder is kept. The new one is recovered, proven and only then renamed; the servers are stopped.
"""

import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from waystone.backups.database import Database, database_of_url
from waystone.backups.drill import bring_up_to_date, broken_invariants
from waystone.backups.dumping import OnProgress
from waystone.backups.errors import BackupError, NotProven
from waystone.backups.restoring import raise_incarnation
from waystone.backups.wal import ARCHIVE, WAL, bases, begun_at, install_scripts, restore_command
from waystone.embedded.postgres import SERVER_ENV, STOP_SIGNAL, Postgres
from waystone.embedded.spawn import identity
from waystone.embedded.unprivileged import write_private_file

NEW = "postgres.restored"
RECOVERY_SECONDS = 6 * 3600.0
LOG = "restore.log"


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
        with tarfile.open(base / name) as archive:
            archive.extractall(place, filter="data")
    if server.place.user is not None:
        for path in [data, *data.rglob("*")]:
            os.chown(path, server.place.user.uid, server.place.user.gid, follow_symlinks=False)
    if not server.password_file.exists():
        write_private_file(server.password_file, (base / "postgres.password").read_text(), server.place.user)


def recover(server: Postgres, folder: Path, until: datetime | None) -> None:
    """Play the archive's log into a new data folder, and stop the server again where it was told to end.

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
) -> tuple[Path, Path | None]:
    """Put the embedded database back to an instant.

    Args: server: of the deployment, stopped. until: None: to the end of the log.
    Returns: the base backup that was used, and where the old data folder is kept.
    Raises: BackupError, NotProven, OSError; the old data folder is in its place then.
    """
    if is_running(server):
        raise BackupError("PostgreSQL is running. Stop manage.py up first.")
    base = choose_base(folder, until)
    new = replace(server, folder=NEW)
    on_progress(f"unpacking {base.name}", 0.1)
    unpack(base, new)
    on_progress("playing the log", 0.3)
    recover(new, folder, until)
    reason = f"{base.name} and the log after it" if is_master else ""
    prove(new, database_of_url(new.url()), on_progress, raise_as=reason)
    archive_histories(new, folder)
    return base, take_place(new, now)


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


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").splitlines()[-4:])[-300:] if log.exists() else "no log"
