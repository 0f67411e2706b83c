"""The zone link before it has met a zone cluster. Snapshots: tests/unit/zonecluster/protocol."""

from waystone_client.zone_link import ZoneLink


def test_a_token_that_is_none_has_no_address() -> None:
    link = ZoneLink(b"\0" * 2048)
    assert link.address is None and not link.is_connected
