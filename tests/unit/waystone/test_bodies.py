"""Bodies of requests: sizes, slots, and who is told what."""

import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import msgspec
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http.request import UnreadablePostError

from waystone.bodies import MAX_BYTES, BodyGate, BodyRefused, PatientBodies

DEADLINE_S = 20.0
STRANGER, NEIGHBOUR = "8.8.8.8", "9.9.9.9"


class SlowInput:
    """A body of which nothing comes before `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.is_awaited = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.is_awaited.set()
        assert self.go.wait(DEADLINE_S)
        return b"x" * size


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(100)
    start_response("200 OK", [])
    return [body]


def ask(bodies: PatientBodies, source: Any, length: object = 5, address: str = STRANGER) -> tuple[str, bytes]:
    """Return status and body of the answer."""
    said: list[str] = []
    environ = {"PATH_INFO": "/api/v1/sessions/", "CONTENT_LENGTH": str(length), "REMOTE_ADDR": address}
    answer = bodies(environ | {"wsgi.input": source}, lambda status, headers: said.append(status))
    return said[0], b"".join(answer)


def test_a_refusal_is_not_taken_for_anything_else() -> None:
    told: list[list[tuple[str, str]]] = []
    environ = {"PATH_INFO": "/", "CONTENT_LENGTH": str(MAX_BYTES + 1), "wsgi.input": BytesIO()}
    PatientBodies(echo)(environ, lambda status, headers: told.append(headers))
    headers = dict(told[0])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def gate(slots: int = 2, of_address: int = 2) -> BodyGate:
    return BodyGate(slots, of_address, queue_s=0.0)


def test_a_body_reaches_the_site_whole() -> None:
    assert ask(PatientBodies(echo), BytesIO(b"hello")) == ("200 OK", b"hello")


@pytest.mark.parametrize("length", ["", 0, "-1", "none", "٣"])
def test_without_a_length_there_is_no_body(length: object) -> None:
    assert ask(PatientBodies(echo), BytesIO(b"hello"), length) == ("200 OK", b"")


@pytest.mark.parametrize("length", [MAX_BYTES + 1, "9" * 4000])
def test_a_body_that_is_too_long_is_refused_unread(length: object) -> None:
    source = SlowInput()
    status, body = ask(PatientBodies(echo), source, length)
    assert status.startswith("413")
    assert msgspec.json.decode(body)["status"] == 413
    assert not source.is_awaited.is_set()


def test_a_body_that_ends_early_is_refused() -> None:
    status, _ = ask(PatientBodies(echo), BytesIO(b"hel"))
    assert status.startswith("400")


def test_slow_bodies_hold_only_their_slots() -> None:
    bodies = PatientBodies(echo, gate(slots=2))
    slow = [SlowInput(), SlowInput()]
    threads = [threading.Thread(target=ask, args=(bodies, source)) for source in slow]
    for thread, source in zip(threads, slow, strict=True):
        thread.start()
        assert source.is_awaited.wait(DEADLINE_S)
    status, body = ask(bodies, BytesIO(b"hello"))
    assert status.startswith("503")
    assert msgspec.json.decode(body)["code"] == "service_unavailable"
    assert ask(bodies, BytesIO(), 0) == ("200 OK", b""), "what has no body needs no slot"
    for source in slow:
        source.go.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert ask(bodies, BytesIO(b"hello")) == ("200 OK", b"hello")


def test_one_address_cannot_take_every_slot() -> None:
    few = gate(slots=3, of_address=1)
    with few.enter(STRANGER):
        with pytest.raises(BodyRefused), few.enter(STRANGER):
            pass
        with few.enter(NEIGHBOUR), few.enter("127.0.0.1"):
            pass
    with few.enter("127.0.0.1"), few.enter("127.0.0.1"), few.enter("127.0.0.1"):  # a proxy is many people
        pass


@pytest.mark.parametrize("path", ["/api/v1/sessions/", "/api/v1/uplink/save/"])
def test_django_reads_a_body_through_it(path: str) -> None:
    def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = WSGIRequest(environ)
        return [request.readline(), request.read(100)]

    environ = {
        "PATH_INFO": path,
        "CONTENT_LENGTH": "9",
        "REMOTE_ADDR": STRANGER,
        "REQUEST_METHOD": "POST",
        "wsgi.input": BytesIO(b"one\ntwo\nthree"),
    }
    assert list(PatientBodies(site)(environ, None)) == [b"one\n", b"two\nt"]


def test_slow_worlds_hold_slots_of_their_own() -> None:
    def uplink(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with pytest.raises(UnreadablePostError):
            WSGIRequest(environ).read(5)
        return [b"asked for again"]

    bodies = PatientBodies(uplink, gate(slots=1), uplink_gate=gate(slots=0))
    environ = {"PATH_INFO": "/api/v1/uplink/save/", "CONTENT_LENGTH": "5", "REQUEST_METHOD": "POST"}
    assert list(bodies(environ | {"wsgi.input": BytesIO(b"hello")}, None)) == [b"asked for again"]
