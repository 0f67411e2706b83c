"""Snapshots as a client decodes them: what the server writes, and what a hostile one might."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from waystone_client.zone_link import ZoneLink, decode_snapshot
from zonecluster.protocol.zone_payloads import ENTITY, SNAPSHOT, SNAPSHOT_HEADER


def payload(count: int = 2) -> bytes:
    header = np.zeros(1, SNAPSHOT_HEADER)
    header["kind"], header["count"], header["tick"], header["flags"] = SNAPSHOT, count, 77, 1
    header["dilation"], header["instance"] = 500, 3001
    records = np.zeros(count, ENTITY)
    records["id"] = np.arange(count) + 10
    records["x"], records["y"], records["z"] = 65535, 32768, -64
    return header.tobytes() + records.tobytes()


def test_a_snapshot_is_decoded() -> None:
    snapshot = decode_snapshot(payload())
    assert snapshot is not None
    assert (snapshot.tick, snapshot.instance, snapshot.dilation, snapshot.is_frozen) == (77, 3001, 0.5, True)
    assert snapshot.entities["id"].tolist() == [10, 11]
    x, y, z = snapshot.positions(200.0)[0]
    assert abs(x - 200.0) < 0.01 and abs(y - 100.0) < 0.01 and z == -1.0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_snapshot_or_nothing(data: bytes) -> None:
    snapshot = decode_snapshot(data)
    assert (
        snapshot is None
        or len(snapshot.entities) == (len(data) - SNAPSHOT_HEADER.itemsize) // ENTITY.itemsize
    )


def test_cut_and_lengthened_snapshots_are_nothing() -> None:
    whole = payload()
    assert decode_snapshot(whole[:-1]) is None
    assert decode_snapshot(whole + b"\0") is None
    assert decode_snapshot(bytes([9]) + whole[1:]) is None


def test_a_token_that_is_none_has_no_address() -> None:
    link = ZoneLink(b"\0" * 2048)
    assert link.address is None and not link.is_connected
