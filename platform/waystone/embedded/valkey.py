"""The embedded Valkey (speaks Redis' protocol): bus, cache and Celery's broker. It keeps nothing on disk.

Nothing that has to be right lives in it (DESIGN section 3), so a restart may forget everything.
"""

import secrets
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import redis

from waystone.embedded.spawn import spawn
from waystone.embedded.unprivileged import Place, write_private_file

STOP_SIGNAL = signal.SIGTERM
SERVER_ENV = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


@dataclass
class Valkey:
    """One embedded Valkey server on a loopback port, with a password."""

    place: Place
    port: int

    @property
    def password_file(self) -> Path:
        return self.place.home / "valkey.password"

    @property
    def config_file(self) -> Path:
        return self.place.home / "valkey.conf"

    def prepare(self) -> None:
        """Write password (once) and configuration; the password never appears on a command line."""
        if not self.password_file.exists():
            write_private_file(self.password_file, secrets.token_urlsafe(24), self.place.user)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password_file.read_text().strip()}",
            f"dir {self.place.private_dir('valkey')}",
            'save ""',
            "appendonly no",
            "daemonize no",
        ]
        write_private_file(self.config_file, "\n".join(lines) + "\n", self.place.user)

    def argv(self) -> list[str]:
        """Return the command line of the server in the foreground."""
        return [str(self.place.valkey_binary), str(self.config_file)]

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the server; its output is appended to `log`. Use `is_ready` to learn when it answers."""
        with log.open("ab") as output:
            return spawn(
                self.argv(), env=SERVER_ENV, output=output, user=self.place.user, death_signal=STOP_SIGNAL
            )

    def url(self) -> str:
        """Return the REDIS_URL."""
        return f"redis://:{self.password_file.read_text().strip()}@127.0.0.1:{self.port}/0"

    def is_ready(self) -> bool:
        """Return whether the server answers."""
        try:
            with redis.Redis.from_url(self.url(), socket_connect_timeout=2, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
