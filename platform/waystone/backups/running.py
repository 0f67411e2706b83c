"""One of PostgreSQL's programs at work: watched, told how far it is, ended when its time is up."""

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from django.db import connections

from waystone.backups.database import Database
from waystone.backups.errors import BackupError, TimeUp

SAID_LINES = 12  # kept of what it said last, for the error
QUIET_SECONDS = 60.0  # until what it said last has been read


class Running:
    """A program under way. `said`: its last lines; `is_late`: it was ended because its time was up."""

    def __init__(self, process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
        self.process = process
        self.said: deque[str] = deque(maxlen=SAID_LINES)
        self.is_late = False
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for raw in self.process.stderr or ():
                line = raw.decode(errors="replace").rstrip()
                self.said.append(line)
                self._on_line(line)
        finally:
            connections.close_all()  # this thread's: who is told may write to a row

    def end_late(self) -> None:
        self.is_late = True
        self.process.kill()

    def finish(self) -> str:
        """Wait for its end. Returns: what it said last, as one text."""
        self.process.wait()  # the timer ends it when its time is up
        self._reader.join(QUIET_SECONDS)
        told = [line for line in self.said if "error" in line.lower()] or list(self.said)
        return " ".join(told)[-300:]


@contextmanager
def running(
    argv: list[str],
    database: Database,
    *,
    what: str,
    deadline: float,
    on_line: Callable[[str], None],
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[Running]:
    """Start a program, and end it whatever becomes of the block.

    It talks to us through a pipe: should this process be killed, it has nobody to write to or to read from,
    and ends by itself.

    Args: what: for the error, as pg_dump. deadline: of the monotonic clock, seconds.
    Raises: TimeUp; BackupError: it failed; carries what it said.
    """
    environment = {
        **database.environment(),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "PGAPPNAME": "waystone backups",
    }
    try:
        process = subprocess.Popen(
            argv, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise BackupError(f"{what} cannot be started: {error}") from error
    child = Running(process, on_line)
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), child.end_late)
    timer.daemon = True
    timer.start()
    try:
        yield child
        said = child.finish()
        if process.returncode != 0 and not child.is_late:
            raise BackupError(f"{what} failed with exit code {process.returncode}: {said}")
    except BrokenPipeError as error:
        said = child.finish()
        if not child.is_late:
            raise BackupError(f"{what} failed: {said}") from error
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
    if child.is_late:
        raise TimeUp(f"{what} took longer than it may and was ended. Raise WAYSTONE_BACKUP_TIME_LIMIT_H.")


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # the program had ended before it read all; its exit code says why
