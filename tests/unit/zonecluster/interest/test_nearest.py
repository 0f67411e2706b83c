"""Both ways to find the nearest, against sorting everybody for every viewer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.interest.scenes import SIZE, everybody, nearest_by_definition, scene_of
from zonecluster.interest.grid import GridInterest
from zonecluster.interest.kernels import SMALL
from zonecluster.interest.scene import FARTHEST_M, MAX_CANDIDATES, MAX_SEEN, NOBODY
from zonecluster.interest.tree import TreeInterest

GRID, TREE = GridInterest(), TreeInterest()
BOTH = pytest.mark.parametrize("interest", [GRID, TREE], ids=["grid", "tree"])


def check(interest, scene, viewers=None, most=MAX_SEEN):
    viewers = everybody(scene) if viewers is None else np.asarray(viewers, np.int64)
    seen = interest.nearest(scene, viewers, most)
    expected = nearest_by_definition(scene, viewers, most)
    np.testing.assert_array_equal(seen.rows, expected)
    np.testing.assert_array_equal(seen.counts, (expected != NOBODY).sum(axis=1))


def crowd(count, seed=1, size=SIZE):
    return np.random.default_rng(seed).uniform(0, size, (count, 2))


def hot_spot(count, seed=1):
    """Half of them within 100 m."""
    points = crowd(count, seed)
    points[::2] = 200 + crowd(len(points[::2]), seed + 1, 100)
    return points


# ---------------------------------------------------------------- by definition

coordinates = st.one_of(
    st.floats(0, SIZE, width=32),
    st.integers(0, 5).map(float),  # equal distances, equal spots
    st.sampled_from([0.0, -0.0, SIZE, 1e-30, 1e-45, 100.0, 100.00001]),
)


@st.composite
def scenes(draw):
    shape = draw(st.sampled_from(["drawn", "spread", "hot", "lattice", "spots", "line", "column", "entry"]))
    if shape == "drawn":
        points = draw(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=200))
    else:
        count, seed = draw(st.integers(1, 700)), draw(st.integers(0, 2**32 - 1))
        points = hot_spot(count, seed) if shape == "hot" else crowd(count, seed)
        if shape == "lattice":
            points = np.floor(points / 20)
        elif shape == "spots":
            points = np.floor(points / 200) * 200
        elif shape == "entry":  # most on one spot, the others on a lattice
            points = np.floor(points / 50) * 50
            points[np.random.default_rng(seed).random(count) < 0.6] = 250
        elif shape in ("line", "column"):
            points[:, shape == "line"] = 7
    count = len(points)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    places = rng.integers(-1, draw(st.integers(1, 4)), count)
    hidden = np.flatnonzero(rng.random(count) < draw(st.sampled_from([0, 0.1, 1])))
    always = np.flatnonzero(rng.random(count) < draw(st.sampled_from([0, 0.02, 0.5])))
    return scene_of(points, places, hidden, always)


@BOTH
@settings(max_examples=150, deadline=None)
@given(scene=scenes(), most=st.sampled_from([MAX_SEEN, 1, 3, MAX_CANDIDATES]))
def test_the_nearest_are_exactly_the_nearest(interest, scene, most):
    check(interest, scene, most=most)


@BOTH
@settings(max_examples=30, deadline=None)
@given(scene=scenes(), seed=st.integers(0, 100))
def test_the_order_and_choice_of_viewers_do_not_matter(interest, scene, seed):
    viewers = np.random.default_rng(seed).permutation(everybody(scene))[: 1 + seed]
    check(interest, scene, viewers)


# ---------------------------------------------------------------- shapes of a crowd


@BOTH
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(hot_spot(2000), id="half of all in a hot spot"),
        pytest.param(crowd(2000, size=64) + 300, id="all in one box"),
        pytest.param(crowd(1500, size=0.01) + 300, id="all within a centimetre"),
        pytest.param(np.round(crowd(1500, size=30)), id="on a lattice"),
        pytest.param(np.column_stack([np.arange(900.0) ** 2 / 1600] * 2), id="on a diagonal, ever thinner"),
        pytest.param(np.repeat(crowd(12), 150, axis=0), id="on twelve spots"),
        pytest.param(np.repeat(crowd(40), [70, 3] * 20, axis=0), id="on twenty spots, few beside each"),
        pytest.param(
            np.concatenate([np.full((80, 2), 100.0), np.round(crowd(300) / 16) * 16]),
            id="many on the entry point, others on a lattice",
        ),
    ],
)
def test_crowds(interest, points):
    scene = scene_of(points)
    check(interest, scene, np.arange(0, len(points), 7))


@BOTH
def test_on_one_spot_the_lowest_rows_are_seen(interest):
    scene = scene_of(np.full((30_000, 2), 77.7))
    seen = interest.nearest(scene, np.array([0, 64, 65, 29_999]))
    assert seen.counts.tolist() == [64] * 4
    assert seen.rows[0].tolist() == list(range(1, 65))
    assert seen.rows[1:].tolist() == [list(range(64))] * 3


@BOTH
def test_creatures_are_seen_and_need_not_look(interest):
    check(interest, scene_of(hot_spot(2500)), np.arange(500))


@BOTH
def test_places_do_not_see_each_other(interest):
    check(interest, scene_of(crowd(1920), np.arange(1920) % 64))
    check(interest, scene_of(np.full((300, 2), 5.0), np.arange(300) % 3))


@BOTH
def test_small_and_large_places_together(interest):
    places = np.repeat([0, 2, 3, 5], [1, SMALL, SMALL + 1, 400])
    check(interest, scene_of(crowd(len(places)), places, place_count=7))


# ---------------------------------------------------------------- who is nobody


@BOTH
def test_an_empty_world_shows_nobody(interest):
    for scene in (scene_of([]), scene_of(crowd(3), [-1, -1, -1])):
        seen = interest.nearest(scene, everybody(scene))
        assert (seen.rows == NOBODY).all() and not seen.counts.any()
        assert seen.rows.shape == (len(scene.place), MAX_SEEN)
    assert interest.nearest(scene_of(crowd(3)), np.empty(0, np.int64)).rows.shape == (0, MAX_SEEN)


@BOTH
def test_who_is_alone_sees_nobody(interest):
    seen = interest.nearest(scene_of([[1, 1], [1, 1]], [0, 1]), np.arange(2))
    assert seen.counts.tolist() == [0, 0]


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, FARTHEST_M * 2])
def test_a_broken_position_costs_nobody_else(interest, bad):
    points = crowd(300)
    points[[3, 200], [0, 1]] = bad
    scene = scene_of(points)
    seen = interest.nearest(scene, everybody(scene))
    assert seen.counts[[3, 200]].tolist() == [0, 0]
    sound = scene_of(np.delete(points, [3, 200], axis=0))
    expected = np.delete(everybody(scene), [3, 200])[nearest_by_definition(sound, everybody(sound))]
    np.testing.assert_array_equal(np.delete(seen.rows, [3, 200], axis=0), expected)


@BOTH
def test_a_place_that_does_not_exist_is_none(interest):
    scene = scene_of(crowd(4), [0, 0, 9, -7], place_count=1)
    assert interest.nearest(scene, np.arange(4)).counts.tolist() == [1, 1, 0, 0]


# ---------------------------------------------------------------- hidden, always visible


@BOTH
def test_nobody_sees_the_hidden_and_they_see_everybody(interest):
    scene = scene_of([[0, 0], [1, 0], [2, 0]], hidden=[1])
    seen = interest.nearest(scene, np.arange(3))
    assert [line[:count].tolist() for line, count in zip(*seen, strict=True)] == [[2], [0, 2], [0]]


@BOTH
def test_the_always_visible_are_first_in_line_however_far(interest):
    points = [[500, 500], *[[x, 0] for x in range(200)], [400, 0]]
    seen = interest.nearest(scene_of(points, always=[0, 201]), np.array([1]))
    assert seen.rows[0].tolist() == [201, 0, *range(2, 64)]


@BOTH
def test_of_too_many_always_visible_the_nearest_are_seen(interest):
    scene = scene_of([[x, 0] for x in range(200)], always=range(199))
    seen = interest.nearest(scene, np.array([199]))
    assert seen.rows[0].tolist() == list(range(198, 134, -1))


@BOTH
def test_the_always_visible_of_another_place_are_not_seen_nor_those_that_hide(interest):
    scene = scene_of(crowd(4), [0, 0, 1, 0], always=[2, 3], hidden=[3])
    assert interest.nearest(scene, np.array([0])).rows[0, :2].tolist() == [1, NOBODY]


# ---------------------------------------------------------------- misuse


@BOTH
@pytest.mark.parametrize(
    "viewers, most", [([-1], 64), ([3], 64), ([0], 0), ([0], MAX_CANDIDATES + 1), ([[0]], 64), ([1, 1], 64)]
)
def test_misuse_raises_and_does_no_harm(interest, viewers, most):
    scene = scene_of(crowd(3))
    with pytest.raises(ValueError):
        interest.nearest(scene, np.array(viewers), most)
    check(interest, scene)


@BOTH
def test_columns_of_different_lengths_raise(interest):
    scene = scene_of(crowd(3))
    for broken in (
        scene._replace(position=scene.position[:, :2]),
        scene._replace(place=scene.place[:2]),
        scene._replace(is_hidden=scene.is_hidden[:2]),
    ):
        with pytest.raises(ValueError):
            interest.nearest(broken, np.array([0]))


def test_views_and_other_types_are_taken_as_they_come():
    scene = scene_of(crowd(300))
    wide = scene._replace(
        position=np.repeat(scene.position, 2, axis=0)[::2].astype(np.float64),
        place=scene.place.astype(np.int64),
    )
    wide.position.flags.writeable = False
    check(GRID, wide, np.arange(300, dtype=np.int32)[::2])


def test_the_grid_grows_with_the_world_and_its_answer_lasts_until_the_next():
    interest = GridInterest()
    small, large = scene_of(crowd(10)), scene_of(crowd(3000), np.arange(3000) % 2000)
    check(interest, small)
    check(interest, large, np.arange(0, 3000, 50))
    first = interest.nearest(small, np.arange(3)).rows
    assert np.shares_memory(first, interest.nearest(small, np.arange(3)).rows)
