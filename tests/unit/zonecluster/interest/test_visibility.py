"""Lines of sight: who is kept, and that a provider breaks nothing but its own place."""

import numpy as np
import pytest

from tests.unit.zonecluster.interest.scenes import everybody, nearest_by_definition, scene_of
from zonecluster.interest.scene import MAX_CANDIDATES, MAX_SEEN, NOBODY
from zonecluster.interest.tree import TreeInterest
from zonecluster.interest.visibility import BadSight, look

INTEREST = TreeInterest()
LINE = [[x, 0] for x in range(300)]


def even_only(viewers, candidates):
    return candidates[:, :, 0] % 2 == 0


def seen_by(scene, viewer, sights):
    view = look(INTEREST, scene, np.array([viewer]), sights)
    assert view.faults == ()
    return view.seen.rows[0, : view.seen.counts[0]].tolist()


def test_without_providers_the_nearest_are_seen():
    scene = scene_of(LINE)
    view = look(INTEREST, scene, everybody(scene), {})
    np.testing.assert_array_equal(view.seen.rows, nearest_by_definition(scene, everybody(scene)))


def test_the_nearest_in_sight_of_the_nearest_candidates_are_kept():
    assert seen_by(scene_of(LINE), 0, {0: even_only}) == list(range(2, MAX_CANDIDATES + 1, 2))
    assert seen_by(scene_of(LINE), 0, {0: lambda v, c: c[:, :, 0] > 90}) == list(range(91, 129))
    assert seen_by(scene_of(LINE), 0, {0: lambda v, c: np.ones(c.shape[:2], bool)}) == list(range(1, 65))


def test_who_is_not_in_sight_is_not_seen():
    scene = scene_of(LINE)
    view = look(INTEREST, scene, np.array([0, 5]), {0: lambda v, c: np.zeros(c.shape[:2], bool)})
    assert view.seen.counts.tolist() == [0, 0] and (view.seen.rows == NOBODY).all()


def test_the_always_visible_are_in_sight_and_the_hidden_are_not_asked_about():
    asked = []

    def blind(viewers, candidates):
        asked.extend(candidates[0, :, 0].tolist())
        return np.zeros(candidates.shape[:2], bool)

    assert seen_by(scene_of(LINE, always=[299], hidden=[7]), 0, {0: blind}) == [299]
    assert 7 not in asked and 8 in asked


def test_a_provider_is_asked_about_its_own_place_only():
    places = np.arange(300) % 3
    scene = scene_of(LINE, places)
    view = look(INTEREST, scene, everybody(scene), {1: lambda v, c: np.zeros(c.shape[:2], bool)})
    expected = nearest_by_definition(scene, everybody(scene))
    expected[places == 1] = NOBODY
    np.testing.assert_array_equal(view.seen.rows, expected)
    assert view.seen.rows.shape == (300, MAX_SEEN)


def test_providers_get_positions_of_viewers_and_candidates_and_finite_ones_where_there_are_none():
    scene = scene_of([[3, 4], [5, 6]])

    def check(viewers, candidates):
        assert viewers.tolist() == [[5, 6, 0]]
        assert candidates.shape == (1, MAX_CANDIDATES, 3)
        assert candidates[0, 0].tolist() == [3, 4, 0]
        assert (candidates[0, 1:] == [5, 6, 0]).all()
        return np.ones((1, MAX_CANDIDATES), bool)

    assert seen_by(scene, 1, {0: check}) == [0]


def raises(viewers, candidates):
    raise KeyError("a wall")


@pytest.mark.parametrize(
    "broken, error",
    [
        (raises, KeyError),
        (lambda v, c: None, BadSight),
        (lambda v, c: np.ones(len(v), bool), BadSight),
        (lambda v, c: np.ones(c.shape[:2], np.int64), BadSight),
        (lambda v, c: [[True] * MAX_CANDIDATES] * len(v), BadSight),
    ],
)
def test_where_a_provider_fails_everybody_is_in_sight_and_the_caller_is_told(broken, error):
    scene = scene_of(LINE, np.arange(300) % 2)
    view = look(INTEREST, scene, everybody(scene), {0: broken, 1: even_only})
    assert [(fault.place, type(fault.error)) for fault in view.faults] == [(0, error)]
    expected = nearest_by_definition(scene, everybody(scene))
    np.testing.assert_array_equal(view.seen.rows[::2], expected[::2])
    assert not view.seen.counts[1::2].any()  # place 1 has odd coordinates only


def test_a_provider_cannot_move_anybody():
    scene = scene_of(LINE)

    def vandal(viewers, candidates):
        viewers[:] = np.nan
        candidates[:] = np.nan
        return np.ones(candidates.shape[:2], bool)

    before = scene.position.copy()
    look(INTEREST, scene, everybody(scene), {0: vandal})
    np.testing.assert_array_equal(scene.position, before)
