"""Request bodies: how many threads of web may wait for one, and how long one may be. WSGI middleware.

A thread that waits for a body serves nobody else, and web has few of them: sixteen strangers who declare a
body and do not send it would stop the site, and with it the uplink of every world. A WSGI input has no
time-out, so the number is bounded instead: whoever finds no free slot is told to try again, and the other
threads go on with what needs no body. The uplink reads a world's body only after its proof
(characters/uplink_api.py), and has slots of its own. A proxy in front that reads bodies first
(docs/operating.md) keeps slow ones away altogether.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Any

import msgspec
import structlog

from waystone.addresses import household, is_local
from waystone.problems import PROBLEM_JSON
from waystone.processes import WEB_THREADS

log = structlog.get_logger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

UPLINK = "/api/v1/uplink/"
MAX_BYTES = 2 * 1024 * 1024  # of any body but the uplink's; the largest form, a world in the admin, has 20 KB
SLOTS = WEB_THREADS * 3 // 8  # bodies awaited at once, of players and of worlds each: a quarter stays free
SLOTS_OF_ADDRESS = SLOTS // 3  # of these, for one address on the network
QUEUE_S = (
    0.2  # how long a body waits for a slot; a form comes in one piece with its head and needs none of it
)


class BodyRefused(OSError):
    """A body that is not read. Where Django reads, it becomes an UnreadablePostError."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BodyGate:
    """A counting gate: `slots` bodies at once, `slots_of_address` from one address."""

    def __init__(self, slots: int, slots_of_address: int, queue_s: float = QUEUE_S) -> None:
        self._slots = slots
        self._slots_of_address = slots_of_address
        self._queue_s = queue_s
        self._inside: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def enter(self, address: str) -> Iterator[None]:
        """Hold a slot for the block. Raises: BodyRefused: none came free in time."""
        address = household(address)
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(address), self._queue_s):
                raise BodyRefused(
                    HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests wait for their bodies. Try again."
                )
            self._inside[address] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[address] -= 1
                if not self._inside[address]:
                    del self._inside[address]
                self._changed.notify_all()

    def _has_room(self, address: str) -> bool:
        own = self._slots if is_local(address.partition("/")[0]) else self._slots_of_address
        return self._inside.total() < self._slots and self._inside[address] < own


class GatedInput:
    """A WSGI input that is read under a gate."""

    def __init__(self, source: Any, gate: BodyGate, address: str) -> None:
        self._source = source
        self._gate = gate
        self._address = address

    def read(self, size: int = -1) -> bytes:
        """Read. Raises: BodyRefused."""
        with self._gate.enter(self._address):
            return self._source.read(size)

    def readline(self, size: int = -1) -> bytes:
        """Read a line: Django asks for this method when it takes the request. Raises: BodyRefused."""
        with self._gate.enter(self._address):
            return self._source.readline(size)


class PatientBodies:
    """The middleware."""

    def __init__(
        self, application: Application, gate: BodyGate | None = None, uplink_gate: BodyGate | None = None
    ) -> None:
        self._application = application
        self._gate = gate or BodyGate(SLOTS, SLOTS_OF_ADDRESS)
        self._uplink_gate = uplink_gate or BodyGate(SLOTS, SLOTS)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        path, address = environ.get("PATH_INFO", ""), environ.get("REMOTE_ADDR", "")
        source = environ["wsgi.input"]
        if path.startswith(UPLINK):
            environ["wsgi.input"] = GatedInput(source, self._uplink_gate, address)
            return self._application(environ, start_response)
        try:
            body = self._take(source, _declared(environ), address)
        except BodyRefused as refusal:
            log.warning("body_refused", path=path, status=refusal.status.value, cause=refusal.detail)
            return _refuse(path, refusal, start_response)
        environ["wsgi.input"] = BytesIO(body)
        return self._application(environ, start_response)

    def _take(self, source: Any, declared: int, address: str) -> bytes:
        """Read the whole body. Raises: BodyRefused."""
        if declared > MAX_BYTES:
            raise BodyRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BYTES} bytes here."
            )
        if declared == 0:
            return b""
        with self._gate.enter(address):
            body = source.read(declared)
        if len(body) < declared:
            raise BodyRefused(HTTPStatus.BAD_REQUEST, "The body ended before its declared length.")
        return body


def _declared(environ: Environ) -> int:
    """Return the declared length; 0 if there is none: Django does not read a body in chunks either."""
    text = environ.get("CONTENT_LENGTH") or ""
    return int(text[:20]) if text.isascii() and text.isdigit() else 0


def _refuse(path: str, refusal: BodyRefused, start_response: Callable[..., Any]) -> list[bytes]:
    """Answer without Django: for programs under /api/, for people elsewhere."""
    status = refusal.status
    if path.startswith("/api/"):
        kind = PROBLEM_JSON
        code = status.phrase.lower().replace(" ", "_")
        problem = {"type": "about:blank", "title": status.phrase, "status": status.value}
        body = msgspec.json.encode({**problem, "code": code, "detail": refusal.detail})
    else:
        kind, body = "text/plain; charset=utf-8", f"{refusal.detail}\n".encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    headers.append(("X-Content-Type-Options", "nosniff"))  # Django's middleware is not asked here
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "1"))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
