"""The embedded PostgreSQL: one data directory, run in the foreground, reached by a private Unix socket."""

import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from waystone.embedded.spawn import identity, spawn
from waystone.embedded.unprivileged import EmbeddedServerError, Place, socket_dir, write_private_file

USER = "waystone"
DATABASE = "waystone"
SERVER_ENV = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
STOP_SIGNAL = signal.SIGINT  # "fast": breaks connections off, writes a checkpoint

# A refused statement is the application's to log, without its values: PostgreSQL would write e-mail addresses
# and password hashes with it.
LOG = {
    "log_line_prefix": "%m [%p] %q%a ",
    "log_error_verbosity": "terse",  # no DETAIL: it quotes the row
    "log_min_error_statement": "panic",  # no STATEMENT
}

# For the tests: their databases need not survive a power cut.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    """One embedded PostgreSQL server. `port` is both the loopback TCP port and the socket's number."""

    place: Place
    port: int
    options: dict[str, str] = field(default_factory=dict)
    folder: str = "postgres"  # another one while a restore is proven

    @property
    def data_dir(self) -> Path:
        return self.place.home / self.folder

    @property
    def password_file(self) -> Path:
        return self.place.home / "postgres.password"

    def prepare(self) -> None:
        """Make the data directory if there is none: under a temporary name, renamed when it is whole.

        Raises: EmbeddedServerError: initdb failed; carries what it said.
        """
        if self.data_dir.exists():
            return
        temporary = self.place.home / ".postgres.initdb"
        if temporary.exists():
            shutil.rmtree(temporary)  # an initdb that was killed
        if not self.password_file.exists():
            write_private_file(self.password_file, secrets.token_urlsafe(24), self.place.user)
        done = subprocess.run(
            [
                str(self.place.postgres_bin / "initdb"),
                *("--pgdata", str(temporary), "--username", USER, "--pwfile", str(self.password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums"),
                *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *(["--no-sync"] if self.options.get("fsync") == "off" else []),
            ],
            env=SERVER_ENV,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **identity(self.place.user),
        )
        if done.returncode != 0:
            said = done.stdout.strip()
            raise EmbeddedServerError(f"initdb failed with exit code {done.returncode}: {said}")
        temporary.rename(self.data_dir)

    def argv(self) -> list[str]:
        """Return the command line of the server in the foreground."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(socket_dir(self.place)),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            **LOG,
            **self.options,
        }
        command = [str(self.place.postgres_bin / "postgres"), "-D", str(self.data_dir)]
        return command + [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the server; its output is appended to `log`. Use `is_ready` to learn when it answers."""
        with log.open("ab") as output:
            return spawn(
                self.argv(), env=SERVER_ENV, output=output, user=self.place.user, death_signal=STOP_SIGNAL
            )

    def url(self, database: str = DATABASE) -> str:
        """Return the DATABASE_URL by way of the Unix socket."""
        password = quote(self.password_file.read_text().strip(), safe="")
        query = urlencode({"host": str(socket_dir(self.place))})
        return f"postgresql://{USER}:{password}@localhost:{self.port}/{database}?{query}"

    def is_answering(self) -> bool:
        """Return whether the server takes connections, be it only to read while it recovers."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def is_ready(self) -> bool:
        """Return whether the server answers; make the database if it is missing."""
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                ).fetchone()
                if row is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True
