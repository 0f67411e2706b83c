import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.simulation.content import Triggers
from zonecluster.simulation.movement import move
from zonecluster.simulation.tables import FROZEN, PLAYER, RUN, STAND, WALK, Tables

DT = 0.05
SIZE = 200.0


def players(count: int, top_speed: float = 5.0, size: float = SIZE) -> Tables:
    """Return tables of players with both links in the middle of the zone."""
    tables = Tables()
    place = tables.open_place(1, count, size, Triggers.of(()))
    for _ in range(count):
        tables.take_row(place, PLAYER)
    tables.position[:, :2] = size / 2
    tables.top_speed[:] = top_speed
    tables.has_zone_link[:] = tables.has_world_link[:] = True
    return tables


@given(
    start=st.tuples(*[st.floats(0, 4096, width=32)] * 2),
    angles=st.lists(st.floats(0, 2 * np.pi), min_size=1, max_size=30),
    top_speed=st.floats(0, 50, width=32),
    size=st.sampled_from([16.0, 200.0, 4096.0]),
)
def test_nobody_is_ever_faster_than_the_top_speed_or_outside(
    start: tuple[float, float], angles: list[float], top_speed: float, size: float
) -> None:
    tables = players(1, top_speed, size)
    tables.position[0, :2] = np.minimum(start, size)
    for angle in angles:
        before = tables.position[0].astype(float)
        tables.wish[0] = np.cos(angle), np.sin(angle)
        move(tables, DT)
        moved = np.hypot(*(tables.position[0] - before)[:2])
        assert moved <= top_speed * DT + 1e-3  # a float32 at 4096 m is known to 0.25 mm
        assert (tables.position[0, :2] >= 0).all() and (tables.position[0, :2] <= size).all()
    assert np.isfinite(tables.position).all() and np.isfinite(tables.velocity).all()


def test_one_second_at_full_speed_is_the_top_speed_in_metres() -> None:
    tables = players(1)
    tables.wish[0] = 0, 1
    for _ in range(20):
        move(tables, DT)
    assert tables.position[0].tolist() == pytest.approx([100, 105, 0], abs=1e-3)
    assert tables.metres_walked[0] == pytest.approx(5, abs=1e-3)
    assert tables.velocity[0].tolist() == pytest.approx([0, 5, 0], abs=1e-2)


def test_walking_into_the_edge_is_no_way_walked() -> None:
    tables = players(1)
    tables.position[0, :2] = SIZE, 0
    tables.wish[0] = 1, 0
    move(tables, DT)
    assert tables.position[0].tolist() == [SIZE, 0, 0]
    assert tables.metres_walked[0] == 0 and tables.animation[0] == STAND


@pytest.mark.parametrize("column", ["has_zone_link", "has_world_link"])
def test_player_without_a_link_stands(column: str) -> None:
    tables = players(2)
    tables.wish[:] = 1, 0
    getattr(tables, column)[0] = False
    move(tables, DT)
    assert tables.position[:2, 0].tolist() == [100, 100.25]
    assert tables.velocity[0].tolist() == [0, 0, 0]


def test_animation_follows_speed_and_freezing() -> None:
    tables = players(4)
    tables.wish[:4, 0] = 0, 0.5, 1, 1
    tables.is_frozen[3] = True
    move(tables, DT)
    assert tables.animation[:4].tolist() == [STAND, WALK, RUN, FROZEN]
    assert tables.position[3, 0] == 100
