"""Which browsers' pages may open a WebSocket."""

import pytest

from waystone.gateway.origin import is_allowed_origin

HOSTS = ["play.example.com", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("origins", "is_allowed"),
    [
        ([], True),
        ([b"https://play.example.com"], True),
        ([b"http://127.0.0.1:8000"], True),
        ([b"http://[::1]:8000"], True),
        ([b"https://mallory.example"], False),
        ([b"https://play.example.com.mallory.example"], False),
        ([b"null"], False),
        ([b""], False),
        ([b"file://"], False),
        ([b"ftp://play.example.com"], False),
        ([b"http://[::1"], False),
        ([b"\xff\xfe"], False),
        ([b"https://play.example.com", b"https://mallory.example"], False),
    ],
)
def test_origins(origins: list[bytes], is_allowed: bool) -> None:
    assert is_allowed_origin(origins, HOSTS) is is_allowed
