"""Snapshots as a client reads them: what the server writes, and everything that a hostile one might."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.snapshot_view import CHANGE_BYTES, Refused, Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import ENTITY, MAX_PAYLOAD_BYTES, SNAPSHOT, SNAPSHOT_HEADER

ALICE = np.array((65536, 65535, 32768, -64, 1, 2, 3, 4, 5, 0x10), ENTITY)
BOB = np.array((65537, 1000, 2000, 30, 40, 50, 1, 255, 0, 0), ENTITY)
WOLF = np.array((131080, 7, 8, 0, 128, 0, 0, 255, 0, 1), ENTITY)


def header(tick: int = 1, baseline: int = 0, slots: int = 0, **changes: int) -> bytes:
    record = np.zeros(1, SNAPSHOT_HEADER)
    record["kind"], record["tick"], record["baseline_tick"], record["slots"] = SNAPSHOT, tick, baseline, slots
    for name, value in changes.items():
        record[name] = value
    return record.tobytes()


def payload(*parts: bytes, own: np.ndarray = ALICE, **fields: int) -> bytes:
    """Return a snapshot: header, own entity, then the mask and changes that are given."""
    return header(**fields) + own.tobytes() + b"".join(parts)


def whole(entity: np.ndarray) -> bytes:
    return b"\xff" + entity.tobytes()


def reader_of(*payloads: bytes) -> SnapshotReader:
    """Return a reader that has read these."""
    reader = SnapshotReader()
    for each in payloads:
        assert isinstance(reader.read(each), Snapshot)
    return reader


TWO = payload(b"\x05", whole(BOB), whole(WOLF), tick=10, slots=3)


def read(data: bytes, *before: bytes) -> Snapshot:
    snapshot = reader_of(*before).read(data)
    assert isinstance(snapshot, Snapshot), snapshot
    return snapshot


def test_a_whole_snapshot_is_read() -> None:
    data = payload(
        b"\x05",
        whole(BOB),
        whole(WOLF),
        slots=3,
        tick=77,
        flags=1,
        input_lead=-3,
        input_ack=9,
        time_ms=2**40,
        dilation=500,
        instance=3001,
        corrections=65535,
        top_speed=1280,
    )
    snapshot = read(data)
    assert (snapshot.tick, snapshot.instance, snapshot.dilation, snapshot.is_frozen) == (77, 3001, 0.5, True)
    assert (snapshot.input_lead, snapshot.input_ack, snapshot.time_ms) == (-3, 9, 2**40)
    assert (snapshot.corrections, snapshot.top_speed) == (65535, 5.0)
    assert snapshot.entities.tolist() == [ALICE.item(), BOB.item(), WOLF.item()]
    assert snapshot.kinds().tolist() == [0, 0, 1]
    x, y, z = snapshot.positions(200.0)[0]
    assert abs(x - 200.0) < 0.01 and abs(y - 100.0) < 0.01 and z == -1.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (b"\x01\x7f\x80", {"x": 1127, "y": 1872}),
        (b"\x02\xff\x07\x83", {"x": 1000 + 2047, "y": 2000 - 2000}),
        (b"\x02\x18\xfc\xff", {"x": 1000 - 1000, "y": 1999}),
        (b"\x03\xff\xff\x00\x00", {"x": 65535, "y": 0}),
        (b"\x04\x00\x80", {"z": -32768}),
        (b"\x08\x11", {"heading": 17}),
        (b"\x10\x12", {"speed": 18}),
        (b"\x20\x13", {"animation": 19}),
        (b"\x40\x14\x15\x16", {"health": 20, "effects": 21, "kind_flags": 22}),
        (
            b"\x7d\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a",
            {"x": 1001, "y": 2002, "z": 1027, "heading": 5, "speed": 6, "animation": 7, "health": 8}
            | {"effects": 9, "kind_flags": 10},
        ),
    ],
)
def test_each_change(change: bytes, expected: dict[str, int]) -> None:
    snapshot = read(payload(b"\x01", change, tick=11, baseline=10, slots=3), TWO)
    bob = BOB.copy()
    for name, value in expected.items():
        bob[name] = value
    assert snapshot.entities.tolist() == [ALICE.item(), bob.item(), WOLF.item()]


def test_a_place_is_left_taken_and_cut_off() -> None:
    left = read(payload(b"\x01\x80", tick=11, baseline=10, slots=3), TWO)
    assert left.entities.tolist() == [ALICE.item(), WOLF.item()]
    cut = read(payload(b"\x00", tick=11, baseline=10, slots=2), TWO)
    assert cut.entities.tolist() == [ALICE.item(), BOB.item()]
    nobody = read(payload(tick=11, baseline=10), TWO)
    assert nobody.entities.tolist() == [ALICE.item()]
    other = BOB.copy()
    other["id"] += 65536
    taken = read(payload(b"\x01", whole(other), tick=11, baseline=10, slots=3), TWO)
    assert taken.entities.tolist() == [ALICE.item(), other.item(), WOLF.item()]


def test_a_view_stays_as_it_was_for_the_next_that_builds_on_it() -> None:
    reader = reader_of(TWO, payload(b"\x01\x80", tick=11, baseline=10, slots=3))
    again = reader.read(payload(b"\x00", tick=12, baseline=10, slots=3))
    assert isinstance(again, Snapshot) and len(again.entities) == 3


def test_views_of_the_last_32_are_kept_and_no_more() -> None:
    ticks = [payload(b"\x00", tick=tick, baseline=10, slots=3) for tick in range(11, 42)]
    assert isinstance(reader_of(TWO, *ticks).read(payload(b"\0", tick=99, baseline=10, slots=3)), Snapshot)
    assert isinstance(
        reader_of(TWO, *ticks, payload(tick=42)).read(payload(b"\0", tick=99, baseline=11, slots=3)), Snapshot
    )
    late = reader_of(TWO, *ticks, payload(tick=42)).read(payload(b"\0", tick=99, baseline=10, slots=3))
    assert late is Refused.UNKNOWN_BASELINE


LONG = payload(b"\xff" * 8, *[b"\xff" + bytes([n + 1]) + bytes(15) for n in range(64)], slots=64)

REFUSED = {
    "empty payload": (b"", Refused.NOT_A_SNAPSHOT),
    "another kind": (b"\x02" + TWO[1:], Refused.NOT_A_SNAPSHOT),
    "header cut": (TWO[:33], Refused.MALFORMED),
    "own entity cut": (TWO[:49], Refused.MALFORMED),
    "mask cut": (payload(b"\xff", tick=11, slots=9), Refused.MALFORMED),
    "mask missing": (payload(tick=11, slots=1), Refused.MALFORMED),
    "change missing": (payload(b"\x01", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "change cut": (payload(b"\x01\x01\x01", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "entity cut": (payload(b"\x01", whole(BOB)[:-1], tick=11, slots=1), Refused.MALFORMED),
    "bytes behind": (payload(b"\x01\x80\x00", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "bytes behind no place": (payload(b"\x00", tick=11), Refused.MALFORMED),
    "65 places": (payload(bytes(9), tick=11, slots=65), Refused.MALFORMED),
    "255 places": (payload(bytes(32), tick=11, slots=255), Refused.MALFORMED),
    "mask beyond the places": (payload(b"\x08\x80", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "change of nothing": (payload(b"\x01\x00", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "left, and more": (payload(b"\x01\x81\x01\x01", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "0xFE": (payload(b"\x01\xfe" + bytes(16), tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "delta of nobody": (payload(b"\x02\x08\x01", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "delta of nobody from nothing": (payload(b"\x01\x08\x01", tick=11, slots=3), Refused.MALFORMED),
    "delta of a place cut off": (payload(b"\x04\x08\x01", tick=12, baseline=11, slots=3), Refused.MALFORMED),
    "nobody leaves": (payload(b"\x02\x80", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "out of the zone, west": (payload(b"\x04\x01\xf8\x00", tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "out of the zone, south": (
        payload(b"\x04\x01\x00\xf7", tick=11, baseline=10, slots=3),
        Refused.MALFORMED,
    ),
    "entity 0": (payload(b"\x01\xff" + bytes(16), tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "own entity 0": (payload(own=np.zeros((), ENTITY), tick=11), Refused.MALFORMED),
    "twice": (payload(b"\x02", whole(BOB), tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "own entity twice": (payload(b"\x02", whole(ALICE), tick=11, baseline=10, slots=3), Refused.MALFORMED),
    "tick 0": (payload(tick=0), Refused.MALFORMED),
    "builds on itself": (payload(tick=11, baseline=11), Refused.MALFORMED),
    "builds on the future": (payload(tick=11, baseline=12), Refused.MALFORMED),
    "the same again": (TWO, Refused.OLD),
    "overtaken": (payload(tick=9), Refused.OLD),
    "never sent": (payload(tick=11, baseline=9), Refused.UNKNOWN_BASELINE),
    "too long": (LONG.ljust(MAX_PAYLOAD_BYTES + 1, b"\0"), Refused.MALFORMED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_that_it_changes_nothing(name: str) -> None:
    data, reason = REFUSED[name]
    reader = reader_of(TWO)
    if name == "delta of a place cut off":
        reader.read(payload(b"\0", tick=11, baseline=10, slots=2))
    newest = reader.newest_tick
    assert reader.read(data) is reason
    assert reader.newest_tick == newest
    after = reader.read(payload(b"\x00", tick=13, baseline=10, slots=3))
    assert isinstance(after, Snapshot) and after.entities.tolist() == [
        ALICE.item(),
        BOB.item(),
        WOLF.item(),
    ]


def test_the_east_and_north_edges_hold() -> None:
    corner = BOB.copy()
    corner["x"], corner["y"] = 65530, 65530
    first = payload(b"\x01", whole(corner), slots=1)
    for change in (b"\x01\x06\x00", b"\x01\x00\x06", b"\x02\x06\x00\x00", b"\x02\x00\x60\x00"):
        delta = payload(b"\x01", change, tick=2, baseline=1, slots=1)
        assert reader_of(first).read(delta) is Refused.MALFORMED
    snapshot = read(payload(b"\x01\x01\x05\x05", tick=2, baseline=1, slots=1), first)
    assert (snapshot.entities["x"][1], snapshot.entities["y"][1]) == (65535, 65535)


def test_the_longest_snapshot_is_read() -> None:
    assert len(LONG) == 1146
    assert len(read(LONG).entities) == 65


@given(st.binary(max_size=1200))
def test_any_bytes_are_safe(data: bytes) -> None:
    reader = reader_of(TWO)
    found = reader.read(data)
    assert isinstance(found, Refused) or len(found.entities) <= 65


@given(
    st.integers(0, 66),
    st.integers(9, 12),
    st.sampled_from([0, 9, 10, 11]),
    st.binary(max_size=8),
    st.lists(
        st.tuples(st.sampled_from([0x80, 0xFF, *range(128)]), st.binary(min_size=16, max_size=16)), max_size=6
    ),
)
def test_nearly_right_bytes_are_safe(
    slots: int, tick: int, baseline: int, mask: bytes, changes: list[tuple[int, bytes]]
) -> None:
    """Right lengths, wild contents: past the first checks."""
    parts = [bytes([first]) + rest[: max(CHANGE_BYTES[first] - 1, 0)] for first, rest in changes]
    data = payload(mask.ljust((slots + 7) // 8, b"\0"), *parts, tick=tick, baseline=baseline, slots=slots)
    reader = reader_of(TWO)
    found = reader.read(data)
    assert reader.newest_tick == (tick if isinstance(found, Snapshot) else 10)
    if isinstance(found, Snapshot):
        ids = found.entities["id"].tolist()
        assert 0 not in ids and len(set(ids)) == len(ids) <= 65
