"""`manage.py gateway` as a process: it listens, says what is wrong when it cannot, and stops in order."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 60


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "gateway", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(**environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a gateway on a free port; yields the process and its host:port."""
    process = start("--port", "0", "--name", "gateway-of-the-tests", **environment)
    try:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "listening on" in line)
        yield process, said.split()[-1]
    finally:
        process.kill()
        process.communicate()


def test_health_and_the_rest_of_http() -> None:
    with running() as (_, address):
        health = httpx.get(f"http://{address}/healthz")
        assert (health.status_code, health.json()) == (200, {"status": "ok", "bus": True})
        assert httpx.get(f"http://{address}/admin/").status_code == 404
        assert httpx.post(f"http://{address}/healthz").status_code == 404
        with pytest.raises(Exception, match="403"):
            connect(f"ws://{address}/elsewhere/")


def test_sigterm_closes_links_with_1012_and_ends_with_0() -> None:
    with running() as (process, address), connect(f"ws://{address}/world-link/") as link:
        link.send('{"type":"ping","seq":1}')
        assert json.loads(link.recv(DEADLINE_S))["type"] == "pong"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            link.recv(DEADLINE_S)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
        assert process.wait(DEADLINE_S) == 0


def test_a_bus_that_is_not_there_does_not_close_the_door() -> None:
    with (
        running(REDIS_URL="redis://127.0.0.1:1/0") as (_, address),
        connect(f"ws://{address}/world-link/") as link,
    ):
        link.send('{"type":"ping","seq":1}')
        assert json.loads(link.recv(DEADLINE_S))["type"] == "pong"
        link.send(json.dumps({"type": "hello", "protocol_version": 1, "ticket": "t" * 40}))
        refused = json.loads(link.recv(DEADLINE_S))
        assert refused["code"] == "world_unavailable" and refused["advice"]
        assert httpx.get(f"http://{address}/healthz").json()["bus"] is False


def test_a_taken_port_gets_a_clear_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("--port", port)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert f"127.0.0.1:{port}" in errors and "WAYSTONE_GATEWAY_PORT" in errors


def upgraded(address: str) -> socket.socket:
    """Return a raw socket on which a world link is open: for frames that no library would send."""
    host, port = address.split(":")
    raw = socket.create_connection((host, int(port)), timeout=DEADLINE_S)
    raw.sendall(
        f"GET /world-link/ HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    return raw


PING, BEGINNING, EMPTY_PART = b"\x89\x80", b"\x01\x80", b"\x00\x80"  # heads of masked frames without payload
MASK = bytes(4)


@pytest.mark.parametrize("flood", [(PING + MASK) * 3000, BEGINNING + MASK + (EMPTY_PART + MASK) * 3000])
def test_a_flood_of_frames_below_the_link_drops_the_connection(flood: bytes) -> None:
    with running() as (_, address):
        with upgraded(address) as mallory:
            mallory.sendall(flood)
            with contextlib.suppress(ConnectionResetError):
                while mallory.recv(65536):  # pongs, until the end
                    pass
        with connect(f"ws://{address}/world-link/") as alice:
            for _ in range(50):
                assert alice.ping().wait(DEADLINE_S)
            alice.send('{"type":"ping","seq":1}')
            assert json.loads(alice.recv(DEADLINE_S))["type"] == "pong"


@pytest.mark.parametrize("declared", ["Content-Length: 100000000000", "Transfer-Encoding: chunked"])
def test_a_body_is_refused_by_the_head_alone(declared: str) -> None:
    with running() as (_, address):
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as mallory:
            mallory.sendall(f"POST /healthz HTTP/1.1\r\nHost: {address}\r\n{declared}\r\n\r\n".encode())
            answer = b""
            while part := mallory.recv(4096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 413")
        assert httpx.get(f"http://{address}/healthz").status_code == 200
