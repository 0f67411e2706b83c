"""The little map: north up, the player in the middle."""

import pytest

from waystone_client.player import Sight
from waystone_client.terminal.surroundings_map import ARROWS, COMPASS, Ground, bearing, draw, plain
from zonecluster.protocol.to_client import Exit

GROUND = Ground(240.0, [Exit("gate", "The gate", "moor", 120.0, 126.0, 2.0)])


def find(lines: list, character: str) -> tuple[int, int]:
    return next(
        (row, line.index(cell)) for row, line in enumerate(lines) for cell in line if cell[1] == character
    )


def test_the_player_is_in_the_middle_and_north_is_up() -> None:
    bob = Sight(7, "Bob", True, 150.0, 120.0, 30.0, 1.0)
    moth = Sight(8, "moth", False, 120.0, 105.0, 15.0, 1.0)
    lines = draw((120.0, 120.0), [moth, bob], GROUND, 61, 15)
    assert (len(lines), len(lines[0])) == (15, 61)
    me = find(lines, "@")
    assert me == (7, 30)
    assert find(lines, "◎") == (5, 30), "the exit is north"
    assert find(lines, "B") == (7, 50), "Bob is east"
    assert find(lines, "m") == (12, 30), "the moth is south"


def test_outside_the_zone_is_marked() -> None:
    lines = draw((0.5, 0.5), [], GROUND, 21, 9)
    assert lines[8][0][0] == "outside" and lines[0][20][0] == "ground"
    assert "░" in plain(lines)


def test_somebody_far_away_or_without_a_name_harms_nothing() -> None:
    far = Sight(7, "", True, 1e6, -1e6, 1e6, 1.0)
    near = Sight(8, "", False, 121.5, 120.0, 1.5, 1.0)
    assert "•" in plain(draw((120.0, 120.0), [near, far], GROUND, 21, 9))


@pytest.mark.parametrize(
    ("dx", "dy", "name"), [(0, 1, "N"), (1, 1, "NE"), (1, 0, "E"), (0, -1, "S"), (-1, 0, "W"), (-1, 1, "NW")]
)
def test_bearings(dx: float, dy: float, name: str) -> None:
    assert COMPASS[bearing(dx, dy)] == name
    assert len(ARROWS) == len(COMPASS) == 8
