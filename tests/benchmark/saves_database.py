"""A PostgreSQL of its own for the benchmark of saves: the embedded one, as the product starts it, fsync on.

While it is filled it runs without its write-ahead log's guarantees (FILLING), and is then started anew.
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.benchmark.machine import HERTZ, CannotMeasure
from tests.embedded_servers import free_port, wait_until
from waystone.embedded.postgres import STOP_SIGNAL, Postgres
from waystone.embedded.unprivileged import EmbeddedServerError, place_servers
from waystone.processes import python_environment

START_S = 120.0
STOP_S = 600.0  # it writes what the filling has left in its memory
FILLING = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "maintenance_work_mem": "1GB",
}


class Database:
    """The server in a folder. Not started yet.

    Raises: CannotMeasure: its binaries are not here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._place = place_servers(folder)
        except EmbeddedServerError as error:
            raise CannotMeasure(str(error)) from error
        self._port = free_port()
        self._postgres = Postgres(self._place, self._port)
        self._process: subprocess.Popen[bytes] | None = None
        self._secret = secrets.token_hex(32)

    @property
    def url(self) -> str:
        """The address of the database."""
        return self._postgres.url()

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the project needs to work on this database, with keys and logs in the folder."""
        return python_environment(
            {
                **os.environ,
                "DATABASE_URL": self.url,
                "WAYSTONE_STATE_DIR": str(self.folder),
                "WAYSTONE_SECRET_KEY": self._secret,
                "WAYSTONE_LOG_FORMAT": "json",
            }
        )

    def start(self, options: dict[str, str] | None = None) -> None:
        """Start the server. Args: options: of PostgreSQL; None: as the product starts it.

        Raises: CannotMeasure: it does not start.
        """
        self._postgres = Postgres(self._place, self._port, dict(options or {}))
        log = self.folder / "postgres.log"
        try:
            self._postgres.prepare()
            self._process = process = self._postgres.start(log)
            wait_until(
                lambda: process.poll() is not None or self._postgres.is_ready(), START_S, "PostgreSQL answers"
            )
        except (AssertionError, EmbeddedServerError) as error:
            raise CannotMeasure(str(error)) from error
        if process.poll() is not None:
            raise CannotMeasure(f"PostgreSQL ended: {log.read_text()[-2000:]}")

    def migrate(self) -> None:
        """Make the product's tables.

        Raises: CannotMeasure.
        """
        done = subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotMeasure(f"The tables could not be made: {done.stderr[-2000:]}")

    def connect(self) -> psycopg.Connection:
        """Return a connection that commits each statement."""
        return psycopg.connect(self.url, autocommit=True)

    @property
    def pid(self) -> int:
        """The server's first process, the parent of all others."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop the server, if it runs."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(STOP_SIGNAL)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def remove(self) -> None:
        """Stop the server and delete all that it has."""
        self.stop()
        shutil.rmtree(self._place.home, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def family_cpu_seconds(parent: int) -> float:
    """Return the CPU time of a process, of its children, and of those children that it has waited for."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if int(entry.name) == parent:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == parent:
            ticks += sum(map(int, fields[11:13]))
    return ticks / HERTZ
