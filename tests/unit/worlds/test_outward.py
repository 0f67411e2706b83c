"""Which addresses the master connects to: none inside of a network, however it is written."""

import socket
import threading

import pytest

from worlds import outward
from worlds.outward import OutwardRefused, addresses_of, is_local_deployment, is_public, post

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::1",
    "64:ff9b::7f00:1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_of_networks_are_not_public(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(OutwardRefused, match=r"inside of some network|leads to no address"):
        addresses_of(address, may_be_private=False)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("written", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
def test_loopback_in_other_spellings_is_found_out(written: str) -> None:
    """The system's resolver reads them all as 127.0.0.1, so what it says is judged, not what was typed."""
    with pytest.raises(OutwardRefused):
        addresses_of(written, may_be_private=False)


def test_one_bad_address_of_a_name_spoils_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch, ["9.9.9.9", "10.0.0.1"])
    with pytest.raises(OutwardRefused, match=r"both\.example leads to 10\.0\.0\.1"):
        addresses_of("both.example", may_be_private=False)


def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere a moment later (DNS rebinding) is not asked a second time."""
    answers = iter([["9.9.9.9"], ["127.0.0.1"]])
    monkeypatch.setattr(outward.socket, "getaddrinfo", lambda *_, **__: _entries(next(answers)))
    called: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(outward.socket, "create_connection", refuse)
    with pytest.raises(ConnectionRefusedError):
        outward.connect("rebinding.example", 80, may_be_private=False)
    assert called == [("9.9.9.9", 80)]


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "file:///etc/passwd", "https:///x", "gopher://a.example"]
)
def test_only_http_is_posted_to(url: str) -> None:
    with pytest.raises(OutwardRefused):
        post(url, b"", {}, may_be_private=True)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://192.168.1.5", True),
        ("http://[::1]:8000", True),
        ("https://play.example.org", False),
        ("https://9.9.9.9", False),
    ],
)
def test_a_deployment_is_local_by_its_own_address(settings: object, url: str, is_local: bool) -> None:
    settings.PUBLIC_URL = url  # type: ignore[attr-defined]
    assert is_local_deployment() is is_local


class Dripping:
    """A link on which one byte comes each second of an invented clock. Its timeouts never run out."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.at, self.timeouts = answer, 0.0, list[float]()

    def settimeout(self, timeout_s: float) -> None:
        self.timeouts.append(timeout_s)

    def sendall(self, data: bytes) -> None:
        """Take it."""

    def recv_into(self, buffer: memoryview) -> int:
        self.at += 1.0
        buffer[:1], self.answer = self.answer[:1], self.answer[1:]
        return 1

    def close(self) -> None:
        """Say nothing."""


def test_an_answer_that_drips_ends_with_the_calls_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte renews a socket's own timeout: 64 KB of a status line would take a sender for a day."""
    link = Dripping(b"HTTP/1.1 200 OK\r\n\r\n")
    _resolve(monkeypatch, ["9.9.9.9"])
    monkeypatch.setattr(outward.socket, "create_connection", lambda *_: link)
    monkeypatch.setattr(outward.time, "monotonic", lambda: link.at)
    with pytest.raises(TimeoutError):
        post("http://drip.example/", b"{}", {}, timeout_s=5.0)
    assert link.timeouts == [5.0, 5.0, 5.0, 4.0, 3.0, 2.0, 1.0]  # headers, body, then each byte


def test_all_addresses_of_a_name_share_the_calls_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at, timeouts = [0.0], []
    _resolve(monkeypatch, ["9.9.9.9", "9.9.9.10", "9.9.9.11", "9.9.9.12"])
    monkeypatch.setattr(outward.time, "monotonic", lambda: at[0])

    def hang(address: tuple[str, int], timeout: float) -> socket.socket:
        timeouts.append(timeout)
        at[0] += 3.0
        raise TimeoutError

    monkeypatch.setattr(outward.socket, "create_connection", hang)
    with pytest.raises(TimeoutError):
        outward.connect("slow.example", 80, timeout_s=5.0, may_be_private=False)
    assert timeouts == [5.0, 2.0]


def test_a_name_whose_dns_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[object, ...]]:
        let_go.wait(10)
        return _entries(["9.9.9.9"])

    monkeypatch.setattr(outward.socket, "getaddrinfo", hang)
    try:
        with pytest.raises(OutwardRefused, match="not found in time"):
            addresses_of("hanging.example", may_be_private=False, within_s=0.01)
    finally:
        let_go.set()


def _entries(addresses: list[str]) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in addresses]


def _resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    monkeypatch.setattr(outward.socket, "getaddrinfo", lambda *_, **__: _entries(addresses))
