"""A tiny HTTP server for /metrics and /healthz that can never hold a loop up.

Not a thread: beside one, the loop would wait for the interpreter's lock after every system call. Not
asyncio's server: it would serve as many strangers as come. `serve` is called once a tick, never waits, and
does a bounded amount: a few accepts, one read and one write for each of a few connections. A cluster whose
loop stands still does not answer, which is what a health check wants to know. Other processes call it from
their loops, or from a thread.
"""

import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_CONNECTIONS = 16
ACCEPTED_AT_ONCE = 4
MAX_HEAD_BYTES = 4096
DEADLINE_S = 5.0  # for the whole exchange
READ_BYTES = MAX_HEAD_BYTES + 1
WRITTEN_AT_ONCE_BYTES = 65536
BACKLOG = 32

Page = Callable[[], tuple[HTTPStatus, str, bytes]]  # status, content type, body


def response_to(head: bytes, pages: Mapping[str, Page]) -> bytes | None:
    """Return the whole answer to what has come of a request so far; None while its head is not complete."""
    if b"\r\n\r\n" not in head and b"\n\n" not in head:
        return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) if len(head) > MAX_HEAD_BYTES else None
    parts = head.split(b"\n", 1)[0].rstrip(b"\r").split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
        return _plain(HTTPStatus.BAD_REQUEST)
    method, target, _ = parts
    if method not in (b"GET", b"HEAD"):
        return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD\r\n")
    page = pages.get(target.split(b"?", 1)[0].decode("latin-1"))
    if page is None:
        return _plain(HTTPStatus.NOT_FOUND)
    status, content_type, body = page()
    return _answer(status, content_type, len(body)) + (body if method == b"GET" else b"")


def _answer(status: HTTPStatus, content_type: str, length: int, headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        f"{headers}Connection: close\r\n\r\n"
    ).encode()


def _plain(status: HTTPStatus, headers: str = "") -> bytes:
    body = f"{status.phrase}\n".encode()
    return _answer(status, "text/plain; charset=utf-8", len(body), headers) + body


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    until: float
    head: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None  # what of it is not yet sent


class HttpDoor:
    """Listens on a port of its own; one request for each connection."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        """Bind.

        Raises: OSError: it cannot be bound there.
        """
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._listener = socket.create_server(address[4][:2], family=address[0], backlog=BACKLOG)
        self._listener.setblocking(False)
        self._pages = pages
        self._connections: list[_Connection] = []

    @property
    def address(self) -> str:
        """Return host:port as bound."""
        host, port = self._listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __len__(self) -> int:
        return len(self._connections)

    def serve(self, now: float) -> None:
        """Do what can be done without waiting. `now`: monotonic seconds."""
        self._accept(now)
        waiting, self._connections = self._connections, []  # a page that fails takes its connection with it
        for connection in waiting:
            if now < connection.until and self._go_on(connection):
                self._connections.append(connection)
            else:
                connection.socket.close()

    def _accept(self, now: float) -> None:
        """Let some in; where it is full, the one that has been here longest makes room."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # BlockingIOError: nobody there. No more descriptors, or gone again: another time
                return
            accepted.setblocking(False)
            if len(self._connections) >= MAX_CONNECTIONS:
                self._connections.pop(0).socket.close()
            self._connections.append(_Connection(accepted, now + DEADLINE_S))

    def _go_on(self, connection: _Connection) -> bool:
        """Read or write once; False when the connection is done with."""
        try:
            if connection.answer is None:
                data = connection.socket.recv(READ_BYTES)
                if not data:
                    return False
                connection.head += data
                answer = response_to(bytes(connection.head), self._pages)
                if answer is None:
                    return True
                connection.answer = memoryview(answer)
            sent = connection.socket.send(connection.answer[:WRITTEN_AT_ONCE_BYTES])
            connection.answer = connection.answer[sent:]
            if not connection.answer:
                connection.socket.shutdown(socket.SHUT_WR)  # ENOTCONN: it has asked, and hung up
                return False
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EINTR)
        return True

    def close(self) -> None:
        """Close the port and every connection."""
        for connection in self._connections:
            connection.socket.close()
        self._connections.clear()
        self._listener.close()
