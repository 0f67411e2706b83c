"""Walls take the sight, exactly as the definition by single lines says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.interest.walls import WallSight


def sees(walls, viewer, other):
    answer = WallSight(walls)(np.array([[*viewer, 0]], np.float32), np.array([[[*other, 0]]], np.float32))
    assert answer.shape == (1, 1) and answer.dtype == bool
    return bool(answer[0, 0])


WALL = (10, 0, 10, 20)


@pytest.mark.parametrize(
    "viewer, other, is_seen",
    [
        ((5, 10), (15, 10), False),
        ((15, 10), (5, 10), False),
        ((5, 10), (9, 10), True),  # before it
        ((5, 10), (15, 35), True),  # past its end
        ((5, 30), (15, 30), True),
        ((5, 20), (15, 20), False),  # just touches the end
        ((10, 5), (15, 5), True),  # stands on it
        ((5, 5), (10, 5), True),
        ((10, 5), (10, 15), True),  # along it
        ((5, 10), (5, 10), True),  # on one spot
    ],
)
def test_one_wall(viewer, other, is_seen):
    assert sees([WALL], viewer, other) is is_seen
    assert sees([WALL[2:] + WALL[:2]], viewer, other) is is_seen


def test_nobody_sees_through_a_corner():
    corner = [(10, 0, 10, 10), (10, 10, 20, 10)]
    assert not sees(corner, (5, 15), (15, 5))


def test_no_walls_hide_nobody():
    assert sees([], (0, 0), (500, 500))
    assert WallSight([WALL])(np.zeros((0, 3), np.float32), np.zeros((0, 128, 3), np.float32)).shape == (
        0,
        128,
    )


def side(a, b, p):
    return np.sign((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]))


def is_crossed(wall, viewer, other):
    a, b = wall[:2], wall[2:]
    is_between = side(a, b, viewer) * side(a, b, other) < 0
    return is_between and side(viewer, other, a) * side(viewer, other, b) <= 0


numbers = st.integers(0, 12)
points = st.tuples(numbers, numbers)


@given(
    walls=st.lists(
        st.tuples(numbers, numbers, numbers, numbers).filter(lambda w: w[:2] != w[2:]), max_size=5
    ),
    viewers=st.lists(points, min_size=1, max_size=5),
    others=st.lists(points, min_size=1, max_size=8),
)
def test_many_walls_at_once_are_each_of_them_for_each_pair(walls, viewers, others):
    eyes = np.array([(*viewer, 0) for viewer in viewers], np.float32)
    candidates = np.array([[(*other, 0) for other in others]] * len(viewers), np.float32)
    expected = [[not any(is_crossed(w, v, o) for w in walls) for o in others] for v in viewers]
    assert WallSight(walls)(eyes, candidates).tolist() == expected
