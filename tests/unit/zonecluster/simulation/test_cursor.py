"""The cursor: which wish is played when, and that nothing that is sent gains a metre."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD
from zonecluster.simulation.content import Triggers
from zonecluster.simulation.cursor import BUFFER_TICKS, LAST_SEQ, play_inputs
from zonecluster.simulation.effects import set_base_speed
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.movement import move
from zonecluster.simulation.tables import CREATURE, MAX_PENDING, PLAYER, Tables

DT = 0.05
TOP_SPEED = 5.0
EAST, NORTH, STILL = (127, 0), (0, 127), (0, 0)

Record = tuple[int, int, int, int]  # seq, move_x, move_y, heading


def packet(*records: Record) -> bytes:
    """Return an INPUT payload."""
    header = np.array((INPUT, len(records), 0), INPUT_HEADER)
    return header.tobytes() + np.array([(*record, 0) for record in records], INPUT_RECORD).tobytes()


def wish(seq: int, move: tuple[int, int], heading: int = 0) -> bytes:
    return packet((seq, *move, heading))


def tables_with(*kinds: int, size: float = 10_000.0) -> Tables:
    """Return tables with linked entities of these kinds in the first rows, in the middle of a zone."""
    tables = Tables()
    place = tables.open_place(1, max(len(kinds), 1), size, Triggers.of(()))
    rows = np.array([tables.take_row(place, kind) for kind in kinds])
    tables.has_zone_link[rows] = tables.has_world_link[rows] = True
    tables.position[rows, :2] = size / 2
    set_base_speed(tables, rows, TOP_SPEED)
    return tables


def tick(tables: Tables, *payloads: bytes, row: int = 0) -> None:
    """Play one tick, in which these payloads of one player came."""
    tables.tick += 1
    play_inputs(tables, decode_inputs([row] * len(payloads), list(payloads)), DT)
    move(tables, DT)


def begun(seq: int = 100, move: tuple[int, int] = STILL) -> Tables:
    """Return tables whose player's cursor stands at its input `seq`."""
    tables = tables_with(PLAYER)
    tick(tables, wish(seq, move))
    for _ in range(BUFFER_TICKS):
        tick(tables)
    assert tables.cursor[0] == seq
    return tables


def moved(tables: Tables) -> tuple[int, int]:
    """Return the present wish as on the wire."""
    x, y = np.rint(tables.wish[0] * 127).astype(int).tolist()
    return x, y


def test_the_first_input_waits_for_its_tick() -> None:
    tables = tables_with(PLAYER)
    tick(tables, wish(100, EAST))
    seen = [(int(tables.cursor[0]), moved(tables))]
    for _ in range(3):
        tick(tables)
        seen.append((int(tables.cursor[0]), moved(tables)))
    assert seen == [(98, STILL), (99, STILL), (100, EAST), (101, EAST)]


def test_each_wish_is_played_from_its_tick_on_whenever_it_came_before() -> None:
    tables = begun(100)
    tick(tables, packet((105, *NORTH, 64), (103, *EAST, 0)))
    played = {int(tables.cursor[0]): moved(tables)}
    for _ in range(5):
        tick(tables)
        played[int(tables.cursor[0])] = moved(tables)
    assert played == {101: STILL, 102: STILL, 103: EAST, 104: EAST, 105: NORTH, 106: NORTH}
    assert tables.heading_deg[0] == 90.0


def test_a_late_wish_is_played_at_once_unless_a_newer_one_is() -> None:
    tables = begun(100)
    for _ in range(5):
        tick(tables)
    tick(tables, wish(103, EAST))
    assert moved(tables) == EAST
    tick(tables, wish(102, NORTH))
    assert moved(tables) == EAST
    tick(tables, wish(104, NORTH))
    assert moved(tables) == NORTH


def test_of_two_wishes_for_one_tick_the_same_counts_in_any_order() -> None:
    found = []
    for payloads in ((wish(103, EAST), wish(103, NORTH)), (wish(103, NORTH), wish(103, EAST))):
        tables = begun(100)
        tick(tables, *payloads)
        tick(tables)
        tick(tables)
        found.append(moved(tables))
    assert found[0] == found[1] != STILL


def test_repeated_records_change_nothing() -> None:
    once, often = begun(100), begun(100)
    tick(once, wish(103, EAST))
    tick(often, *[wish(103, EAST)] * 50)
    assert once.digest() == often.digest()
    for _ in range(4):
        tick(once)
        tick(often, wish(103, EAST))
    assert once.position[0].tolist() == often.position[0].tolist()


def test_a_client_far_ahead_has_its_cursor_set_and_counted_while_it_walks() -> None:
    tables = begun(100, EAST)
    tick(tables, wish(101 + MAX_PENDING, EAST))
    assert (tables.cursor[0], tables.cursors_moved) == (101, 0)
    tick(tables, wish(103 + MAX_PENDING, NORTH))
    assert tables.cursor[0] == 103 + MAX_PENDING - BUFFER_TICKS
    assert (tables.corrections[0], tables.cursors_moved) == (1, 1)


def test_what_waited_for_skipped_ticks_is_not_lost() -> None:
    tables = begun(100)
    tick(tables, wish(105, EAST))
    tick(tables, wish(160, STILL))
    assert tables.cursor[0] == 158 and moved(tables) == EAST
    assert tables.corrections[0] == 0, "it was standing: nothing was lost"


def test_a_client_that_is_late_for_half_a_second_has_its_cursor_set_back() -> None:
    tables = begun(100, EAST)
    for _ in range(4):
        tick(tables)
    cursors = []
    for seq in range(102, 116):
        tick(tables, wish(seq, EAST))
        cursors.append(int(tables.cursor[0]) - seq)
    assert cursors == [3] * 10 + [-BUFFER_TICKS] * 4
    assert (tables.corrections[0], tables.cursors_moved) == (1, 1)


def test_single_late_inputs_do_not_move_the_cursor() -> None:
    tables = begun(100, EAST)
    for seq in range(101, 161):
        lead = -3 if seq % 3 else 1
        tick(tables, wish(seq + lead, EAST))
        assert tables.cursor[0] == seq
    assert tables.cursors_moved == 0


def test_silence_of_more_than_a_second_stops_the_walker_and_the_next_input_begins_anew() -> None:
    tables = begun(100, EAST)
    for _ in range(18):
        tick(tables)
    assert moved(tables) == EAST
    tick(tables)
    assert moved(tables) == STILL
    tick(tables, wish(7, NORTH))  # a client that counts from somewhere else now
    assert tables.cursor[0] == 5
    tick(tables)
    tick(tables)
    assert moved(tables) == NORTH and tables.corrections[0] == 0


def test_repeating_an_old_input_is_silence() -> None:
    tables = begun(100, EAST)
    for _ in range(19):
        tick(tables, wish(100, EAST))
    assert moved(tables) == STILL


def test_too_long_a_wish_is_cut_and_counted_once() -> None:
    tables = begun(100)
    tick(tables, wish(101, (127, -128)))
    assert np.hypot(*tables.wish[0]) == pytest.approx(1)
    for _ in range(3):
        tick(tables, wish(101, (127, -128)))
    assert (tables.corrections[0], tables.wishes_cut) == (1, 1)


def test_a_rounded_wish_is_cut_and_not_counted() -> None:
    tables = begun(100)
    tick(tables, wish(101, (90, 90)))  # 127.3
    assert np.hypot(*tables.wish[0]) == pytest.approx(1) and tables.corrections[0] == 0


@pytest.mark.parametrize("seq", [0, LAST_SEQ + 1, 2**32 - 1])
def test_numbers_that_no_client_tick_has_are_ignored(seq: int) -> None:
    tables = begun(100)
    before = tables.newest_seq[0]
    tick(tables, wish(seq, EAST))
    assert tables.newest_seq[0] == before and moved(tables) == STILL


def test_nobody_steers_creatures_or_the_gone() -> None:
    tables = tables_with(CREATURE)
    before = tables.cursor.copy()
    play_inputs(tables, decode_inputs([0, 1], [wish(5, EAST, 9)] * 2), DT)
    assert not tables.wish.any() and not tables.heading_deg.any()
    assert (tables.cursor == before).all() and not tables.pending.any()


SEQS = st.one_of(
    st.integers(0, 2**32 - 1), st.integers(1, 80), st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1])
)
RECORDS = st.tuples(SEQS, st.integers(-128, 127), st.integers(-128, 127), st.integers(0, 255))
PACKETS = st.lists(RECORDS, min_size=1, max_size=16)
STREAMS = st.lists(st.lists(PACKETS, max_size=6), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(STREAMS, st.integers(0, 45))
def test_no_stream_of_inputs_walks_farther_than_the_top_speed(
    stream: list[list[list[Record]]], silence: int
) -> None:
    tables = tables_with(PLAYER, PLAYER)
    where = [tables.position[0, :2].copy()]
    for packets in [*stream, *[[]] * silence, *stream]:
        tick(tables, *[packet(*records) for records in packets])
        where.append(tables.position[0, :2].copy())
        assert np.hypot(*tables.wish[0]) <= 1 + 1e-6
        assert 0 <= tables.heading_deg[0] < 360
        assert tables.newest_seq[0] - tables.cursor[0] <= MAX_PENDING
    steps = np.hypot(*np.diff(where, axis=0).T)
    # One step each tick: so in any window of k ticks at most k of them. Positions are float32: 0.5 mm there.
    assert (steps <= TOP_SPEED * DT + 1e-3).all()
    assert tables.metres_walked[0] <= (len(where) - 1) * (TOP_SPEED * DT + 1e-3)
    assert (tables.position[1, :2] == where[0]).all() and not tables.metres_walked[1], "others are left alone"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 3))
def test_sending_faster_or_sooner_walks_no_farther(speed: int, ahead: int) -> None:
    """A client whose clock runs `speed` times as fast, in walking and in counting."""
    honest, cheat = begun(100), begun(100)
    for number in range(1, 61):
        tick(honest, wish(100 + number, EAST))
        first = 100 + (number - 1) * speed + ahead
        tick(cheat, *[wish(first + i, EAST) for i in range(1, speed + 1)])
    gained = float(cheat.position[0, 0] - honest.position[0, 0])
    assert gained <= 1e-3
    assert (cheat.corrections[0] > 0) == (speed > 1)


def test_same_inputs_same_tables() -> None:
    rng = np.random.default_rng(5)
    stream = [
        [packet((int(rng.integers(1, 90)), *rng.integers(-128, 128, 2).tolist(), 3)) for _ in range(3)]
        for _ in range(80)
    ]
    found = set()
    for order in (1, -1):
        tables = tables_with(PLAYER)
        for payloads in stream:
            tick(tables, *payloads[::order])
        found.add(tables.digest())
    assert len(found) == 1
