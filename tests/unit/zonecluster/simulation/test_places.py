import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.simulation.content import LinkContent, Triggers
from zonecluster.simulation.places import FREE, Places

SIZES = st.sampled_from([16.0, 333.3, 4096.0])
FRACTIONS = st.floats(-0.25, 1.25, width=32)


def triggers(*discs: tuple[float, float, float]) -> Triggers:
    return Triggers.of(tuple(LinkContent("a", "A", "x", *disc) for disc in discs))


@given(SIZES, st.lists(st.tuples(FRACTIONS, FRACTIONS, st.floats(0, 1.5)), max_size=6), st.data())
def test_whoever_stands_in_a_trigger_stands_in_a_cell_of_the_map(
    size: float, discs: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    """Also of triggers that are larger than the zone, or reach beyond its edge."""
    places = Places()
    places.open(1, 50.0, triggers((1, 1, 1)))
    here = places.open(2, size, triggers(*[(x * size, y * size, radius * size) for x, y, radius in discs]))
    spots = data.draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
    spots += [(x, y) for x, y, _ in discs if 0 <= x <= 1 and 0 <= y <= 1]
    positions = np.zeros((len(spots), 3), np.float32)
    positions[:, :2] = np.minimum(np.array(spots, np.float32) * np.float32(size), np.float32(size))
    near = places.near_triggers(
        np.full(len(spots), here, np.int32), positions, np.full(len(spots), size, np.float32)
    )
    offsets = positions[:, None, :2] - places.centres[here][None]
    inside = (np.einsum("npi,npi->np", offsets, offsets) <= places.squares[here]).any(axis=1)
    assert (near | ~inside).all()


@pytest.mark.parametrize("number", [FREE, -1, 2**32])
def test_what_is_no_number_of_an_instance_takes_no_slot(number: int) -> None:
    places = Places()
    with pytest.raises(ValueError, match="an instance has a number"):
        places.open(number, 50.0, triggers())
    assert len(places) == 0


def test_most_of_a_zone_is_near_no_trigger() -> None:
    places = Places()
    here = places.open(1, 640.0, triggers((320, 320, 4)))
    assert 1 <= places.has_trigger[here].sum() <= 4


def test_nonsense_positions_and_nobodys_rows_raise_nothing() -> None:
    places = Places()
    places.open(1, 100.0, triggers((50, 50, 4)))
    positions = np.array([[np.nan, 1, 0], [np.inf, -np.inf, 0], [-5, 1e30, 0], [0, 0, 0]], np.float32)
    with np.errstate(invalid="ignore"):
        found = places.near_triggers(np.array([0, 0, 0, -1], np.int32), positions, np.ones(4, np.float32))
    assert found.shape == (4,) and found.dtype == bool


def test_closed_slot_is_used_again_and_keeps_nothing() -> None:
    places = Places()
    first, second = places.open(7, 100.0, triggers((5, 5, 9), (6, 6, 9))), places.open(8, 50.0, triggers())
    places.close(first)
    assert places.numbers.tolist() == [FREE, 8]
    assert not places.has_trigger.any() and (places.squares < 0).all() and places.sizes[first] == 1
    assert places.open(9, 20.0, triggers((1, 1, 1))) == first
    assert (places.squares[first] >= 0).tolist() == [True, False]
    assert places.open(10, 20.0, triggers((1, 1, 1), (2, 2, 2), (3, 3, 3))) == second + 1
    assert places.trigger_count == 3 and (places.squares[second] < 0).all()
