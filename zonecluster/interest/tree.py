"""Interest without compiled code: one tree (scipy) over all places, and numpy for the rest.

The tree knows distances in float64; who is among the nearest is decided by those of scene.py. Where
equals may stand just beyond what the tree gave, it is asked for more.
"""

import numpy as np
from scipy.spatial import cKDTree

from zonecluster.interest.scene import FARTHEST_M, MAX_SEEN, NOBODY, Scene, Seen, check_arguments

BEYOND = 2  # neighbours more than wanted that are asked for first: the viewer, and one to see what comes next
CLOSER = 1 - 1e-5  # for the rounding of float32 distances, many times over
ROUNDED_AWAY = 1e-15  # metres: the square of less may be 0 in float32


class TreeInterest:
    """Finds the nearest by a k-d tree. See scene.py: Interest."""

    name = "tree"

    def nearest(self, scene: Scene, viewers: np.ndarray, most: int = MAX_SEEN) -> Seen:
        """Return whom each viewer sees. See scene.py."""
        check_arguments(scene, viewers, most)
        if len(np.unique(viewers)) != len(viewers):
            raise ValueError("a viewer is listed twice")
        places = _places(scene)
        seen = np.full((len(viewers), most), NOBODY, np.int32)
        counts = np.zeros(len(viewers), np.int32)
        standing = np.flatnonzero(places[viewers] >= 0)
        rows = viewers[standing]
        can_be_seen = (places >= 0) & ~scene.is_hidden
        always, always_counts = _always_visible(scene, places, can_be_seen, rows, most)
        others, other_counts = _Tree(scene, places, can_be_seen, most).nearest(rows)
        counts[standing] = np.minimum(always_counts + other_counts, most)
        seen[standing] = _append(always, always_counts, others, counts[standing])
        return Seen(seen, counts)


def _places(scene: Scene) -> np.ndarray:
    """Return each row's place; -1 where nobody stands."""
    is_standing = (scene.place >= 0) & (scene.place < len(scene.sizes))
    is_standing &= (np.abs(scene.position[:, :2]) <= FARTHEST_M).all(axis=1)
    return np.where(is_standing, scene.place, NOBODY)


def _squares(scene: Scene, viewers: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return squared distances (m, k) f4 as scene.py defines them. Args: others: (m, k) rows."""
    x, y = scene.position[:, 0], scene.position[:, 1]
    dx, dy = x[others] - x[viewers, None], y[others] - y[viewers, None]
    return dx * dx + dy * dy


def _sorted(squares: np.ndarray, others: np.ndarray, is_real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort each line by distance, then row; what is not real goes last, as -1.

    Returns: rows (m, k), and their squared distances, infinite for -1.
    """
    # One number to sort by: a distance is never negative, so its bits sort as it does.
    keys = squares.view(np.uint32).astype(np.uint64) << np.uint64(32) | others.astype(np.uint64)
    keys = np.sort(np.where(is_real, keys, np.uint64(2**64 - 1)), axis=1)
    squares = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    rows = (keys & np.uint64(0xFFFF_FFFF)).astype(np.uint32).view(np.int32)
    return rows, np.where(rows == NOBODY, np.float32(np.inf), squares)


def _always_visible(
    scene: Scene, places: np.ndarray, can_be_seen: np.ndarray, viewers: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest of those whom everybody in their place sees, (m, most), and how many (m,)."""
    found = np.full((len(viewers), most), NOBODY, np.int32)
    landmarks = np.flatnonzero(can_be_seen & scene.is_always_visible)
    for place in np.unique(places[landmarks]):
        mine = np.flatnonzero(places[viewers] == place)
        others = np.broadcast_to(
            landmarks[places[landmarks] == place], (len(mine), (places[landmarks] == place).sum())
        )
        rows, _ = _sorted(
            _squares(scene, viewers[mine], others), others, is_real=others != viewers[mine, None]
        )
        found[mine, : rows.shape[1]] = rows[:, :most]
    return found, (found != NOBODY).sum(axis=1)


def _append(
    always: np.ndarray, always_counts: np.ndarray, others: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Put others (m, most) behind the always visible (m, most), up to `counts` in each line."""
    if not always_counts.any():
        return others
    places = np.arange(always.shape[1])
    behind = np.take_along_axis(others, np.maximum(places - always_counts[:, None], 0), axis=1)
    joined = np.where(places < always_counts[:, None], always, behind)
    return np.where(places < counts[:, None], joined, NOBODY)


class _Tree:
    """All who can be seen but are not always, of all places: a third coordinate keeps these apart."""

    def __init__(self, scene: Scene, places: np.ndarray, can_be_seen: np.ndarray, most: int) -> None:
        self._scene = scene
        self._most = most
        rows = np.flatnonzero(can_be_seen & ~scene.is_always_visible)
        self._rows = _without_crowds(scene, places, rows, most)
        plane = scene.position[:, :2].astype(np.float64)
        span = np.ptp(plane[places >= 0], axis=0) if (places >= 0).any() else np.zeros(2)
        self._reach = float(np.hypot(*span)) + 1.0  # metres; nobody in one place is farther from another
        self._points = np.column_stack([plane, places * 2 * self._reach])
        # Unbalanced: else it is slow where many stand on one spot.
        points = self._points[self._rows]
        self._tree = cKDTree(points, leafsize=32, compact_nodes=False, balanced_tree=False)

    def nearest(self, viewers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest of each viewer (m, most), padded with -1, and how many (m,)."""
        found = np.full((len(viewers), self._most), NOBODY, np.int32)
        unsure = np.arange(len(viewers) if len(self._rows) else 0)
        asked = self._most + BEYOND
        while len(unsure):
            asked = min(asked, len(self._rows))
            rows, is_sure = self._ask(viewers[unsure], asked)
            found[unsure, : rows.shape[1]] = rows
            unsure = unsure[~is_sure]
            asked = asked * 3 // 2
        return found, (found != NOBODY).sum(axis=1)

    def _ask(self, viewers: np.ndarray, asked: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest among `asked` neighbours, and (m,) bool whether no other could be among them."""
        distances, found = self._tree.query(
            self._points[viewers], k=np.arange(1, asked + 1), distance_upper_bound=self._reach
        )
        is_there = found < len(self._rows)
        others = self._rows[np.where(is_there, found, 0)]
        squares = _squares(self._scene, viewers, others)
        rows, squares = _sorted(squares, others, is_there & (others != viewers[:, None]))
        last = distances[:, -1]
        is_sure = np.isinf(last) | (asked == len(self._rows))
        if asked > self._most:
            nearer = np.square(last * CLOSER)
            is_sure |= (squares[:, self._most - 1].astype(np.float64) < nearer) & (last > ROUNDED_AWAY)
        return rows[:, : self._most], is_sure


def _without_crowds(scene: Scene, places: np.ndarray, rows: np.ndarray, most: int) -> np.ndarray:
    """Return rows, but of those on one and the same spot only the first most + 1.

    No other can be among the `most` nearest of anybody, and a crowd on one spot would cost its square.
    """
    x, y, place = scene.position[rows, 0], scene.position[rows, 1], places[rows]
    order = np.lexsort((rows, y, x, place))
    is_first = np.ones(len(rows), bool)
    is_first[1:] = np.any([np.diff(column[order]) != 0 for column in (x, y, place)], axis=0)
    numbers = np.arange(len(rows))
    spot_begins = np.maximum.accumulate(np.where(is_first, numbers, 0))
    return np.sort(rows[order[numbers - spot_begins <= most]])
