"""What has to be true before the processes start: outside servers answer, ports are free, ORM prepared."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from waystone.config import ROOT, Config
from waystone.supervisor.ports import Claim, find_holder, is_free, taken_message

OUTSIDE_SECONDS = 5
LEFTOVER_SECONDS = 20.0  # how long the processes of a killed supervisor may take to go
RESULT_PREFIX = "::result "
STEP_PREFIX = "::step "


class CannotStart(Exception):
    """The start cannot go on; the text says why and what to do."""


def check_outside_database(url: str) -> None:
    """Raises: CannotStart: the database that DATABASE_URL names does not answer."""
    try:
        psycopg.connect(url, connect_timeout=OUTSIDE_SECONDS).close()
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise CannotStart(
            f"The database that DATABASE_URL names does not answer: {without_password(url)}\n"
            f"{str(error).strip()}\n"
            "Start it or correct DATABASE_URL; without DATABASE_URL the embedded PostgreSQL is used."
        ) from error


def check_outside_redis(url: str) -> None:
    """Raises: CannotStart: the server that REDIS_URL names does not answer."""
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=OUTSIDE_SECONDS, socket_timeout=OUTSIDE_SECONDS
        ) as c:
            c.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise CannotStart(
            f"The server that REDIS_URL names does not answer: {without_password(url)}\n{error}\n"
            "Start it or correct REDIS_URL; without REDIS_URL the embedded Valkey is used."
        ) from error


def without_password(url: str) -> str:
    """Return a URL that may be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")))


def free_claims(claims: list[Claim], config: Config) -> list[Claim]:
    """Return the claims that are still taken by leftovers of a killed start of this clone.

    Raises: CannotStart: a port is taken by something else.
    """
    taken = [claim for claim in claims if not is_free(claim)]
    for claim in taken:
        holder = find_holder(claim)
        is_leftover = holder is not None and any(
            str(path) in holder.command for path in (ROOT / ".venv", config.state_dir)
        )
        if not is_leftover:
            raise CannotStart(taken_message(claim, config.state_dir / "waystone.env"))
    return taken


def wait_for_leftovers(claims: list[Claim], config: Config, refresh) -> None:
    """Wait until the ports are free, as long as it is an earlier start of this clone that has them.

    Raises: CannotStart: they are taken by something else, or for too long.
    """
    end = time.monotonic() + LEFTOVER_SECONDS
    while taken := free_claims(claims, config):
        if time.monotonic() > end:
            raise CannotStart(taken_message(taken[0], config.state_dir / "waystone.env"))
        refresh()


@dataclass
class Preparation:
    """`manage.py prepare` at work: its process, and what it has said so far."""

    process: subprocess.Popen[bytes]
    pipe: int
    step: str = "preparing the database"
    lines: list[str] = field(default_factory=list)
    result: dict = field(default_factory=dict)
    _rest: bytes = b""

    def read(self) -> None:
        """Take what the process has written since."""
        while True:
            try:
                block = os.read(self.pipe, 65536)
            except BlockingIOError:
                return
            if not block:
                return
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace"))

    def is_done(self) -> bool:
        """Return whether the process has ended; reads what it wrote."""
        has_ended = self.process.poll() is not None
        self.read()
        return has_ended

    def _take(self, line: str) -> None:
        if line.startswith(STEP_PREFIX):
            self.step = line.removeprefix(STEP_PREFIX)
        elif line.startswith(RESULT_PREFIX):
            self.result = json.loads(line.removeprefix(RESULT_PREFIX))
        elif line.strip():
            self.lines.append(line)


def state_folders(config: Config) -> Path:
    """Make the state directory's folders; return that of the logs.

    Raises: CannotStart: they cannot be made.
    """
    try:
        for folder in ("log", "keys"):
            (config.state_dir / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"{config.state_dir} cannot be written: {error.strerror}. Set WAYSTONE_STATE_DIR to a folder "
            "that this user may write."
        ) from error
    return config.state_dir / "log"
