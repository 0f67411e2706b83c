import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.simulation.content import Triggers
from zonecluster.simulation.nearby import nearest_to, players_within
from zonecluster.simulation.tables import CREATURE, PLAYER, Tables

PLACES = st.lists(st.tuples(*[st.floats(-100, 100, width=32)] * 3), min_size=1, max_size=40)


def standing(places: list[tuple[float, float, float]]) -> Tables:
    """Return tables with players there, and as many at the same spots in another zone."""
    tables = Tables()
    for number in (1, 2):
        place = tables.open_place(number, 100, 200.0, Triggers.of(()))
        for position in places:
            row = tables.take_row(place, PLAYER)  # first: afterwards the columns may be others
            tables.position[row] = position
    return tables


@given(PLACES, st.floats(0, 150))
def test_earshot_is_exact_and_ends_with_the_zone(
    places: list[tuple[float, float, float]], radius: float
) -> None:
    tables = standing(places)
    positions = np.array(places)
    heard = set(players_within(tables, 0, radius).tolist())
    distances = np.linalg.norm(positions - positions[0], axis=1)
    distances[0] = np.inf
    assert heard >= set(np.flatnonzero(distances < radius - 1e-3).tolist())
    assert heard <= set(np.flatnonzero(distances <= radius + 1e-3).tolist())


@given(PLACES, st.integers(0, 10))
def test_nearest_are_the_nearest_of_the_own_zone(places: list[tuple[float, float, float]], most: int) -> None:
    tables = standing(places)
    found = nearest_to(tables, 0, most)
    plane = np.array(places, np.float32)[:, :2].astype(float)
    distances = np.linalg.norm(plane - plane[0], axis=1)
    expected = np.sort(distances[1:])[:most]
    assert 0 not in found and len(set(found.tolist())) == len(found)
    assert np.allclose(distances[found], expected, atol=1e-3)


def test_creatures_do_not_listen() -> None:
    tables = standing([(0, 0, 0), (1, 0, 0), (2, 0, 0)])
    tables.kind[1] = CREATURE
    assert players_within(tables, 0, 10.0).tolist() == [2]
