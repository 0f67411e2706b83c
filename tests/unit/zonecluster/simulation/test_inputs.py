import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, MAX_INPUTS_PER_PACKET
from zonecluster.simulation.content import Triggers
from zonecluster.simulation.inputs import Inputs, apply_inputs, decode_inputs
from zonecluster.simulation.tables import CREATURE, PLAYER, Tables

DT = 0.05


def packet(*records: tuple[int, int, int, int], kind: int = INPUT, count: int | None = None) -> bytes:
    """Return an INPUT payload of (seq, move_x, move_y, heading) records."""
    header = np.array((kind, len(records) if count is None else count, 9), INPUT_HEADER)
    return header.tobytes() + np.array([(*record, 0) for record in records], INPUT_RECORD).tobytes()


def one_player() -> Tables:
    return tables_with(PLAYER)


def tables_with(kind: int) -> Tables:
    """Return tables with one entity of a kind in row 0 and nobody in row 1."""
    tables = Tables()
    tables.take_row(tables.open_place(1, 2, 100.0, Triggers.of(())), kind)
    return tables


def apply(tables: Tables, *packets: bytes) -> None:
    apply_inputs(tables, decode_inputs([0] * len(packets), list(packets)), DT)


def test_batch_of_several_lengths_keeps_who_sent_what() -> None:
    inputs = decode_inputs(
        [4, 5, 6], [packet((1, 2, 3, 4)), packet((5, 0, 0, 0), (6, 0, 0, 0)), packet((7, -1, -2, 255))]
    )
    found = sorted(zip(inputs.rows.tolist(), inputs.records.tolist(), strict=True))
    assert found == [
        (4, (1, 2, 3, 4, 0)),
        (5, (5, 0, 0, 0, 0)),
        (5, (6, 0, 0, 0, 0)),
        (6, (7, -1, -2, 255, 0)),
    ]
    assert inputs.refused == 0


def test_wrong_lengths_kinds_and_counts_are_refused() -> None:
    good = packet((1, 0, 0, 0))
    bad = [
        b"",
        good[:-1],
        good + b"\0",
        packet((1, 0, 0, 0), kind=1),
        packet((1, 0, 0, 0), count=2),
        packet((1, 0, 0, 0), count=0),
        packet(*[(1, 0, 0, 0)] * (MAX_INPUTS_PER_PACKET + 1)),
        packet(),
    ]
    inputs = decode_inputs([0] * 9, [*bad, good])
    assert inputs.refused == 8
    assert len(inputs.records) == 1


@given(st.lists(st.binary(max_size=160), max_size=12))
def test_no_bytes_raise_and_every_payload_is_either_decoded_or_refused(payloads: list[bytes]) -> None:
    inputs = decode_inputs(list(range(len(payloads))), payloads)
    assert isinstance(inputs, Inputs)
    assert len(set(inputs.rows.tolist())) + inputs.refused == len(payloads)
    assert len(inputs.rows) == len(inputs.records)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), *[st.integers(-128, 127)] * 2, st.integers(0, 255)), max_size=16
    )
)
def test_any_inputs_leave_finite_wishes_of_at_most_the_top_speed(
    records: list[tuple[int, int, int, int]],
) -> None:
    tables = one_player()
    apply(tables, *([packet(*records)] if records else []))
    assert np.isfinite(tables.wish).all()
    assert np.hypot(*tables.wish[0]) <= 1 + 1e-6
    assert 0 <= tables.heading_deg[0] < 360
    assert tables.input_seq[0] == max([seq for seq, *_ in records], default=0)


def test_newest_input_counts_and_older_ones_are_not_applied_again() -> None:
    tables = one_player()
    apply(tables, packet((3, 0, 127, 0)), packet((2, 127, 0, 64)))
    assert tables.wish[0].tolist() == [0.0, 1.0]
    apply(tables, packet((3, 127, 0, 64)), packet((1, 127, 0, 64)))
    assert tables.wish[0].tolist() == [0.0, 1.0]
    assert (tables.heading_deg[0], tables.input_seq[0]) == (0.0, 3)


def test_too_long_a_wish_is_cut_and_counted() -> None:
    tables = one_player()
    apply(tables, packet((1, 127, 127, 0)))
    assert np.hypot(*tables.wish[0]) == pytest.approx(1)
    assert tables.corrections[0] == 1
    apply(tables, packet((2, 127, 0, 0)))
    assert tables.corrections[0] == 1


def test_silence_of_more_than_a_second_stops_the_walker() -> None:
    tables = one_player()
    apply(tables, packet((1, 127, 0, 0)))
    for _ in range(20):
        tables.tick += 1
        apply(tables)
    assert tables.wish[0, 0] == 1
    tables.tick += 1
    apply(tables)
    assert tables.wish[0, 0] == 0


def test_nobody_steers_creatures_or_the_gone() -> None:
    tables = tables_with(CREATURE)
    apply_inputs(tables, decode_inputs([0, 1], [packet((1, 127, 0, 9))] * 2), DT)
    assert not tables.wish.any() and not tables.input_seq.any() and not tables.heading_deg.any()
