"""Mallory sends what he likes; what others see of him is what the server has, within its rules."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zonecluster.daemon.views import Views
from zonecluster.protocol.snapshot_view import Snapshot, SnapshotReader
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD
from zonecluster.simulation.content import ZoneContent
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import Tables
from zonecluster.snapshots.parts import Clock
from zonecluster.snapshots.records import entity_records

CONTENT = ZoneContent("z", "Zed", "", 200.0, 100.0, 100.0)
SLOTS = np.array([0, 1])

RECORDS = st.tuples(
    st.one_of(st.integers(0, 2**32 - 1), st.integers(1, 60)),
    st.integers(-128, 127),
    st.integers(-128, 127),
    st.integers(0, 255),
    st.integers(0, 255),
)
PACKETS = st.lists(RECORDS, min_size=1, max_size=16)
TICKS = st.lists(st.tuples(st.lists(PACKETS, max_size=4), st.booleans()), min_size=1, max_size=40)


def packet(records: list[tuple[int, ...]]) -> bytes:
    header = np.array((INPUT, len(records), 0), INPUT_HEADER)
    return header.tobytes() + np.array(records, INPUT_RECORD).tobytes()


@settings(max_examples=60, deadline=None)
@given(TICKS)
def test_after_any_stream_of_inputs_others_see_the_cheater_where_the_server_has_him(
    told: list[tuple[list[list[tuple[int, ...]]], bool]],
) -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    zone = ZoneInstance(7, CONTENT, tables, rng)
    rows = [zone.admit("Mallory", Stand((100, 100, 0), 0)), zone.admit("Bob", Stand((90, 90, 0), 0))]
    for row in rows:
        zone.set_links(row, has_zone_link=True, has_world_link=True)
    mallory = rows[0]
    views = Views("plain", 2, sights={}, tell_fault=lambda fault: None)
    reader, seen = SnapshotReader(), None
    for number, (packets, is_lost) in enumerate([*told, ([], False)]):
        payloads = [packet(records) for records in packets]
        inputs = decode_inputs([mallory] * len(payloads), payloads)
        assert inputs.refused == 0
        before = tables.position[mallory, :2].copy()
        step(tables, inputs, TICK_S, rng)
        assert np.hypot(*(tables.position[mallory, :2] - before)) <= CONTENT.top_speed * TICK_S + 1e-3
        views.acknowledge(SLOTS[1:], np.array([reader.newest_tick], np.uint32))
        found, lengths = views.snapshots(
            tables, np.array(rows), SLOTS, Clock(tables.tick, number * 50, 1.0), lambda phase: None
        )
        if not is_lost:
            seen = reader.read(found[1, : lengths[1]].tobytes())
    assert isinstance(seen, Snapshot)
    of_mallory = seen.entities[seen.entities["id"] == tables.entity[mallory]]
    assert of_mallory.tobytes() == entity_records(tables)[mallory : mallory + 1].tobytes()
