"""WAL archiving of the embedded PostgreSQL: each piece of its log on another disk within a minute.

With a base backup and the log after it, the database can be put back to any instant. A backup by pg_dump
loses what came after it; this loses a minute. An outside PostgreSQL has tools of its own for it.
"""

import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from waystone.backups.database import Database
from waystone.backups.errors import BackupError
from waystone.embedded.postgres import STOP_SIGNAL, Postgres
from waystone.embedded.spawn import identity
from waystone.embedded.unprivileged import make_private_dir

SCRIPTS = Path(__file__).resolve().parents[1] / "embedded"
ARCHIVE, RESTORE = "archive_wal.sh", "restore_wal.sh"
WAL, BASE = "wal", "base"  # folders of the archive
RESTART_SECONDS = 60.0


@dataclass(frozen=True)
class Archiver:
    """What PostgreSQL says of its archiving.

    `failing`: the newest attempt failed. `waits_s`: how long the oldest finished piece has waited: an attempt
    that hangs (a network disk that is gone) neither fails nor ends.
    """

    is_on: bool
    archived: int
    failing: bool
    last_failed: str
    waits_s: float = 0.0


def install_scripts(server: Postgres) -> Path:
    """Put the scripts where the server's user reaches them. Returns: their folder."""
    folder = make_private_dir(server.place.home / "scripts", server.place.user)
    for name in (ARCHIVE, RESTORE):
        target = folder / name
        temporary = folder / f".{name}"
        shutil.copyfile(SCRIPTS / name, temporary)
        temporary.chmod(0o700)
        if server.place.user is not None:
            os.chown(temporary, server.place.user.uid, server.place.user.gid)
        temporary.replace(target)
    return folder


def prepare_folder(folder: Path, server: Postgres) -> None:
    """Make the archive's folders; the log's belongs to the server's user.

    Raises: BackupError: the folder is not there (a mount that is missing), or the server cannot write to it.
    """
    if not folder.is_dir():
        raise BackupError(f"The folder {folder} is not there. Mount it, or make it.")
    for name in (WAL, BASE):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    if server.place.user is not None:
        os.chown(folder / WAL, server.place.user.uid, server.place.user.gid)
    probe = subprocess.run(
        ["test", "-w", str(folder / WAL)], cwd="/", check=False, **identity(server.place.user)
    )
    if probe.returncode != 0:
        name = server.place.user.name if server.place.user else "you"
        raise BackupError(
            f"{name} cannot write to {folder / WAL}. Let that user through the folders above it."
        )


def archive_command(scripts: Path, folder: Path) -> str:
    """Return PostgreSQL's archive_command: per cent signs of paths are doubled, as %p is replaced."""
    words = [shlex.quote(str(part)).replace("%", "%%") for part in (scripts / ARCHIVE, folder / WAL)]
    return f'{" ".join(words)} "%p" "%f"'


def restore_command(scripts: Path, folder: Path) -> str:
    """Return PostgreSQL's restore_command."""
    words = [shlex.quote(str(part)).replace("%", "%%") for part in (scripts / RESTORE, folder / WAL)]
    return f'{" ".join(words)} "%f" "%p"'


def set_up(database: Database, server: Postgres, folder: Path, every_s: int) -> bool:
    """Tell a running server to archive into a folder. Returns: whether it has to be restarted for that."""
    prepare_folder(folder, server)
    command = archive_command(install_scripts(server), folder)
    settings = {"archive_mode": "on", "archive_command": command, "archive_timeout": str(every_s)}
    with database.connect(autocommit=True) as opened:
        for name, value in settings.items():
            opened.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
        opened.execute("SELECT pg_reload_conf()")
        return opened.execute("SHOW archive_mode").fetchall() != [("on",)]


def switch_off(database: Database) -> None:
    """Archive nothing any more; until the next start the server only pretends to."""
    with database.connect(autocommit=True) as opened:
        opened.execute("ALTER SYSTEM SET archive_mode = off")
        opened.execute("ALTER SYSTEM SET archive_command = '/bin/true'")
        opened.execute("ALTER SYSTEM RESET archive_timeout")
        opened.execute("SELECT pg_reload_conf()")


def restart(server: Postgres, database: Database) -> None:
    """End a server that `manage.py up` starts again, and wait until it archives.

    Raises: BackupError: it does not come back; nobody watches it.
    """
    os.kill(int((server.data_dir / "postmaster.pid").read_text().splitlines()[0]), STOP_SIGNAL)
    deadline = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.5)
        if server.is_ready() and archiver(database).is_on:
            return
    raise BackupError(
        "PostgreSQL did not come back within a minute. Start manage.py up, then run this again."
    )


def archiver(database: Database) -> Archiver:
    """Ask a server how its archiving is."""
    with database.connect() as opened:
        is_on = opened.execute("SHOW archive_mode").fetchall() == [("on",)]
        command = opened.execute("SHOW archive_command").fetchall()[0][0]
        archived, failing, name = opened.execute(
            "SELECT archived_count, "
            "coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), "
            "coalesce(last_failed_wal, '') FROM pg_stat_archiver"
        ).fetchall()[0]
        waits = opened.execute(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(modification)), 0)::float "
            "FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        ).fetchall()[0][0]
    return Archiver(is_on and ARCHIVE in command, archived, failing, name, waits)


def archive_folder(database: Database) -> Path | None:
    """Return the folder that a server archives to; None: it does not, or by a command that is not ours."""
    with database.connect() as opened:
        command = str(opened.execute("SHOW archive_command").fetchall()[0][0])
    if ARCHIVE not in command:
        return None
    return Path(shlex.split(command)[1].replace("%%", "%")).parent
