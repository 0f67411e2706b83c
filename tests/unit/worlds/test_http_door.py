"""The HTTP port of a cluster, over real loopback sockets; nothing in it may wait."""

import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.embedded_servers import wait_until
from worlds.http_door import DEADLINE_S, MAX_CONNECTIONS, MAX_HEAD_BYTES, HttpDoor, response_to

BODY = b"x" * 300_000  # more than one write takes
PAGES = {
    "/metrics": lambda: (HTTPStatus.OK, "text/plain", BODY),
    "/healthz": lambda: (HTTPStatus.OK, "text/plain", b"ok\n"),
}


@pytest.fixture
def door() -> Iterator[HttpDoor]:
    door = HttpDoor("127.0.0.1", 0, PAGES)
    yield door
    door.close()


def caller(door: HttpDoor, request: bytes = b"") -> socket.socket:
    host, _, port = door.address.rpartition(":")
    made = socket.create_connection((host, int(port)))
    made.sendall(request)
    made.setblocking(False)
    return made


def answer(door: HttpDoor, made: socket.socket, now: float = 0.0) -> bytes:
    """Serve until the connection is closed; return what came."""
    received = bytearray()

    def is_over() -> bool:
        door.serve(now)
        try:
            data = made.recv(1 << 20)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        received.extend(data)
        return not data

    wait_until(is_over, 20, "the answer")
    made.close()
    return bytes(received)


def test_a_page_is_answered_whole_and_the_connection_closed(door: HttpDoor) -> None:
    head, _, body = answer(door, caller(door, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close" in head
    assert f"Content-Length: {len(BODY)}".encode() in head
    assert body == BODY
    assert len(door) == 0


def test_head_has_no_body(door: HttpDoor) -> None:
    head, _, body = answer(door, caller(door, b"HEAD /healthz HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length: 3" in head
    assert body == b""


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../secret HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics?a=1 HTTP/1.1\r\n\r\n", 200),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\xff\xfe\x00 \x00 \x00\r\n\r\n", 400),
        (b"GET /m\xfftrics HTTP/1.1\r\n\r\n", 404),
        (b"GET  /metrics  HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\n\n", 400),  # TLS
        (b"A" * (MAX_HEAD_BYTES + 1), 431),
    ],
)
def test_what_is_no_good_request_gets_its_status(request_head: bytes, status: int) -> None:
    response = response_to(request_head, PAGES)
    assert response is not None
    assert response.startswith(f"HTTP/1.1 {status} ".encode())


@given(st.binary(max_size=MAX_HEAD_BYTES * 2))
def test_any_bytes_are_waited_for_or_answered(head: bytes) -> None:
    response = response_to(head, PAGES)
    is_over = b"\n\n" in head or b"\r\n\r\n" in head or len(head) > MAX_HEAD_BYTES
    assert (response is not None) == is_over
    assert response is None or response.startswith(b"HTTP/1.1 ")


def test_a_request_that_comes_in_drops_is_answered_if_in_time(door: HttpDoor) -> None:
    made = caller(door, b"GET /heal")
    door.serve(0.0)
    made.sendall(b"thz HTTP/1.1\r\n\r\n")
    assert answer(door, made, DEADLINE_S - 0.1).endswith(b"ok\n")


def test_who_is_slow_is_put_out(door: HttpDoor) -> None:
    made = caller(door, b"GET /metrics HTTP/1.1\r\nX: ")
    wait_until(lambda: door.serve(0.0) or len(door) == 1, 20, "the connection")
    door.serve(DEADLINE_S + 0.01)
    assert len(door) == 0
    assert answer(door, made) == b""


def test_a_reader_that_reads_nothing_is_put_out(door: HttpDoor) -> None:
    made = caller(door, b"GET /metrics HTTP/1.1\r\n\r\n")
    wait_until(lambda: door.serve(0.0) or len(door) == 1, 20, "the connection")
    for _ in range(20):
        door.serve(1.0)
    door.serve(DEADLINE_S + 1)
    assert len(door) == 0
    made.close()


def test_a_hundred_connections_leave_room_for_one_that_asks(door: HttpDoor) -> None:
    idle = [caller(door) for _ in range(30)]
    for _ in range(20):
        door.serve(0.0)
        assert len(door) <= MAX_CONNECTIONS
    assert len(door) == MAX_CONNECTIONS
    assert answer(door, caller(door, b"GET /healthz HTTP/1.1\r\n\r\n")).endswith(b"ok\n")
    for each in idle:
        each.close()


def test_who_hangs_up_is_forgotten(door: HttpDoor) -> None:
    made = caller(door, b"GET /me")
    wait_until(lambda: door.serve(0.0) or len(door) == 1, 20, "the connection")
    made.close()
    wait_until(lambda: door.serve(0.0) or len(door) == 0, 20, "its end")


def test_a_page_that_fails_takes_its_connection_along_and_no_other() -> None:
    def broken() -> tuple[HTTPStatus, str, bytes]:
        raise ZeroDivisionError

    door = HttpDoor("127.0.0.1", 0, {**PAGES, "/broken": broken})
    bad = caller(door, b"GET /broken HTTP/1.1\r\n\r\n")
    with pytest.raises(ZeroDivisionError):
        for _ in range(1000):
            door.serve(0.0)
    assert len(door) == 0
    assert answer(door, caller(door, b"GET /healthz HTTP/1.1\r\n\r\n")).endswith(b"ok\n")
    bad.close()
    door.close()


def test_ipv6_where_there_is_some() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        door = HttpDoor("::1", 0, PAGES)
    except OSError:
        pytest.skip("no IPv6 loopback on this machine")
    assert door.address.startswith("[::1]:")
    door.close()


def test_who_asks_and_hangs_up_takes_nothing_down_and_the_next_is_answered(door: HttpDoor) -> None:
    for _ in range(3):
        caller(door, b"GET /healthz HTTP/1.1\r\n\r\n").close()

    def all_are_gone() -> bool:
        door.serve(0.0)
        return not len(door)

    door.serve(0.0)
    wait_until(all_are_gone, 20, "the end of those who hung up")
    assert answer(door, caller(door, b"GET /healthz HTTP/1.1\r\n\r\n")).endswith(b"ok\n")
