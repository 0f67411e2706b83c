"""Scenes for tests, and the plainest possible answer to compare with."""

import numpy as np

from zonecluster.interest.scene import MAX_SEEN, NOBODY, Scene

SIZE = 512.0


def scene_of(points, places=None, hidden=(), always=(), place_count=None):
    """Return a scene of points (n, 2); `hidden` and `always` are rows."""
    points = np.asarray(points, np.float32).reshape(-1, 2)
    count = len(points)
    position = np.zeros((count, 3), np.float32)
    position[:, :2] = points
    place = np.zeros(count, np.int32) if places is None else np.asarray(places, np.int32)
    if place_count is None:
        place_count = max(int(place.max(initial=0)) + 1, 1)
    is_hidden, is_always = np.zeros(count, bool), np.zeros(count, bool)
    is_hidden[list(hidden)] = True
    is_always[list(always)] = True
    return Scene(position, place, np.full(place_count, SIZE, np.float32), is_hidden, is_always)


def everybody(scene):
    """Return all rows."""
    return np.arange(len(scene.place))


def nearest_by_definition(scene, viewers, most=MAX_SEEN):
    """Return rows (m, most), by sorting everybody for every viewer."""
    found = np.full((len(viewers), most), NOBODY, np.int32)
    places = scene.place
    for index, viewer in enumerate(viewers):
        if not 0 <= places[viewer] < len(scene.sizes):
            continue
        is_other = (places == places[viewer]) & ~scene.is_hidden
        is_other[viewer] = False
        others = np.flatnonzero(is_other)
        offsets = scene.position[others, :2] - scene.position[viewer, :2]
        squares = offsets * offsets
        order = np.lexsort((others, squares[:, 0] + squares[:, 1], ~scene.is_always_visible[others]))
        nearest = others[order][:most]
        found[index, : len(nearest)] = nearest
    return found
