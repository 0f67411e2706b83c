"""Which addresses the master connects to: none inside of a network, however it is written."""

import socket

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


def _entries(addresses: list[str]) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in addresses]


def _resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    monkeypatch.setattr(outward.socket, "getaddrinfo", lambda *_, **__: _entries(addresses))
