import pytest

from waystone.config import host_and_port


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("metrics.internal:65535", ("metrics.internal", 65535)),
        ("[::1]:9464", ("::1", 9464)),
        ("off", None),
    ],
)
def test_what_is_meant(raw: str, meant: tuple[str, int] | None) -> None:
    assert host_and_port("WAYSTONE_METRICS_BIND", raw) == meant


@pytest.mark.parametrize(
    "raw",
    [
        *("", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:x"),
        *("::1:9464", "[::1]", "[127.0.0.1:9464", "http://127.0.0.1:9464", "127.0.0.1:٣", "a b:1", "no"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(raw: str) -> None:
    with pytest.raises(ValueError, match=r"WAYSTONE_METRICS_BIND=.*use off, or host:port"):
        host_and_port("WAYSTONE_METRICS_BIND", raw)
