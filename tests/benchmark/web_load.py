"""Requests over kept connections, in a closed loop, as many as are answered in some seconds."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

from tests.benchmark.machine import CannotMeasure

TIMEOUT_S = 60.0


@dataclass
class Tally:
    """What came of it. Times in milliseconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    largest: int = 0  # bytes of a body

    @property
    def done(self) -> int:
        """Requests that were answered."""
        return len(self.times_ms)

    def percentile(self, percent: float) -> float:
        """Return a percentile of the times."""
        ordered = sorted(self.times_ms)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 2)


def request_bytes(path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    """Return a request. Args: headers: names with underscores."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Link:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request and return status, headers in small letters, and body."""
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += self._more()
        if "content-length" not in headers and not first.startswith("HTTP/1.1 304"):
            raise ValueError(f"an answer without its length: {first}")
        return int(first.split(" ")[1]), headers, body

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def load(
    port: int,
    requests: Sequence[bytes],
    *,
    links: int,
    seconds: float,
    most: int | None = None,
    seen: Callable[[bytes], None] | None = None,
) -> Tally:
    """Ask these requests in turns over some connections, for some seconds, `most` in all.

    Args: seen: is given the body of each answer.
    """
    tally, lock, numbers = Tally(), threading.Lock(), count()
    failed: list[Exception] = []
    end = perf_counter() + seconds

    def run() -> None:
        link = Link(port)
        try:
            while perf_counter() < end:
                number = next(numbers)
                if most is not None and number >= most:
                    return
                began = perf_counter()
                status, _, body = link.ask(requests[number % len(requests)])
                took_ms = (perf_counter() - began) * 1000
                with lock:
                    tally.statuses[status] += 1
                    tally.times_ms.append(took_ms)
                    tally.largest = max(tally.largest, len(body))
                if seen is not None:
                    seen(body)
        except (OSError, ValueError) as error:
            failed.append(error)
        finally:
            link.close()

    began = perf_counter()
    threads = [threading.Thread(target=run) for _ in range(links)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.wall_s = perf_counter() - began
    if failed:
        raise CannotMeasure(f"A connection failed: {failed[0]!r}") from failed[0]
    return tally
