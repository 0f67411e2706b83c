"""What clients say they have, hostile or not; what is kept of a link and for how long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.zone_payloads import ENTITY
from zonecluster.snapshots.baselines import MAX_ROWS, Baselines

ALICE, MALLORY, NOBODY = 0, 1, 2


def sent(*ticks: int, slots: tuple[int, ...] = (ALICE, MALLORY)) -> Baselines:
    """Return baselines of three links, of which two were sent snapshots at these ticks."""
    baselines = Baselines(3, 1150)
    for tick in ticks:
        baselines.remember(tick, np.zeros(2, ENTITY))
        for slot in slots:
            baselines.links.ticks[slot, tick % 32] = baselines.links.latest[slot] = tick
    return baselines


def acknowledge(baselines: Baselines, *pairs: tuple[int, int]) -> list[int]:
    """Acknowledge (slot, tick) pairs in one go; returns on what each link builds then."""
    slots, ticks = zip(*pairs, strict=True)
    baselines.acknowledge(np.array(slots), np.array(ticks, np.uint32))
    return baselines.baseline_ticks(np.arange(3)).tolist()


def test_the_newest_acknowledged_counts_in_whatever_order_they_come() -> None:
    assert acknowledge(sent(7, 8, 9), (ALICE, 8), (ALICE, 9), (ALICE, 7)) == [9, 0, 0]
    assert acknowledge(sent(7, 8, 9), (ALICE, 9), (MALLORY, 7), (ALICE, 8)) == [9, 7, 0]


@pytest.mark.parametrize("tick", [0, 6, 10, 41, 2**31, 2**32 - 1, 9 + 32, 7 + 2**16])
def test_what_was_never_sent_is_ignored(tick: int) -> None:
    assert acknowledge(sent(7, 9), (MALLORY, tick)) == [0, 0, 0]
    assert acknowledge(sent(7, 9), (MALLORY, 9), (MALLORY, tick)) == [0, 9, 0]


def test_what_was_sent_to_others_is_ignored() -> None:
    assert acknowledge(sent(7, slots=(ALICE,)), (MALLORY, 7), (NOBODY, 7)) == [0, 0, 0]


def test_going_back_is_ignored() -> None:
    baselines = sent(7, 8)
    assert acknowledge(baselines, (ALICE, 8)) == [8, 0, 0]
    assert acknowledge(baselines, (ALICE, 7)) == [8, 0, 0]


def test_slots_that_are_none_are_ignored() -> None:
    assert acknowledge(sent(7), (-1, 7), (3, 7), (2**40, 7), (-(2**40), 7), (ALICE, 7)) == [7, 0, 0]


def test_an_old_acknowledgement_is_no_baseline_any_more() -> None:
    baselines = sent(7)
    acknowledge(baselines, (ALICE, 7))
    baselines.remember(38, np.zeros(2, ENTITY))
    assert baselines.baseline_ticks(np.arange(3)).tolist() == [7, 0, 0]
    baselines.remember(39, np.zeros(2, ENTITY))
    assert baselines.baseline_ticks(np.arange(3)).tolist() == [0, 0, 0]
    assert baselines.view(ALICE, 7) is None


def test_a_new_link_in_a_slot_starts_afresh() -> None:
    baselines = sent(7, 8)
    acknowledge(baselines, (ALICE, 8), (MALLORY, 7))
    baselines.links.bucket[:] = 5
    baselines.forget(ALICE)
    assert baselines.baseline_ticks(np.arange(3)).tolist() == [0, 7, 0]
    assert acknowledge(baselines, (ALICE, 8)) == [0, 7, 0]  # an acknowledgement of the slot's last holder
    assert baselines.view(ALICE, 8) is None and baselines.view(ALICE, 0) is None
    assert baselines.links.bucket.tolist() == [1150, 5, 5]


@given(st.lists(st.tuples(st.integers(-5, 8), st.integers(0, 2**32 - 1)), min_size=1))
def test_any_acknowledgements_are_safe(pairs: list[tuple[int, int]]) -> None:
    found = acknowledge(sent(7, 8, 9), *pairs)
    assert set(found) <= {0, 7, 8, 9} and found[NOBODY] == 0


def test_ticks_rise_and_tables_do_not_shrink() -> None:
    baselines = sent(7)
    for tick in (7, 6, 0, -1, 2**32):
        with pytest.raises(ValueError, match=f"tick {tick} is not after 7"):
            baselines.remember(tick, np.zeros(2, ENTITY))
    with pytest.raises(ValueError, match="1 rows after 2"):
        baselines.remember(8, np.zeros(1, ENTITY))
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, ENTITY), (MAX_ROWS + 1,), (0,))
    with pytest.raises(ValueError, match="at most"):
        baselines.remember(8, huge)


def test_records_outlive_the_growth_of_the_table() -> None:
    baselines = Baselines(1, 1150)
    records = np.zeros(2, ENTITY)
    records["id"] = 11, 12
    baselines.remember(1, records)
    baselines.remember(2, np.zeros(5, ENTITY))
    assert baselines.history["id"][1].tolist() == [11, 12, 0, 0, 0]
