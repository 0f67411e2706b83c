"""The line-of-sight provider for zones whose content has walls: lines in the plane, of any height."""

from collections.abc import Sequence

import numpy as np


class WallSight:
    """Sees whatever no wall lies before. Who stands exactly on a wall sees, and is seen, on both sides."""

    def __init__(self, walls: Sequence[tuple[float, float, float, float]]) -> None:
        """Args: walls: (x, y, x, y) of both ends, metres."""
        self._ends = np.asarray(walls, np.float64).reshape(-1, 2, 2)

    def __call__(self, viewers: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Return (m, k) bool, True where in sight. Args: viewers: (m, 3), candidates: (m, k, 3), metres.

        A wall costs 3 µs for each viewer that it is near enough to concern; 64 of them, 40 to 180 µs.
        """
        eyes = viewers[:, :2].astype(np.float64)
        offsets = candidates[:, :, :2].astype(np.float64) - eyes[:, None]
        reach = np.sqrt(np.einsum("mki,mki->mk", offsets, offsets).max(axis=1, initial=0))
        is_seen = np.ones(offsets.shape[:2], bool)
        for start, end in self._ends:
            near = np.flatnonzero(_distance(eyes, start, end) <= reach)
            if len(near):
                is_seen[near] &= ~_is_between(offsets[near], start - eyes[near], end - eyes[near])
        return is_seen


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how far points (m, 2) are from the line between two."""
    along = end - start
    length = max(float(along @ along), 1e-12)
    part = np.clip((points - start) @ along / length, 0, 1)
    return np.hypot(*(points - start - part[:, None] * along).T)


def _is_between(offsets: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return (m, k): the wall crosses the way. All relative to the viewer: offsets (m, k, 2), ends (m, 2).

    A way that only touches the wall's end is crossed: else one would see through corners.
    """
    along = end - start
    side_of_viewer = _cross(along, -start)[:, None]
    side_of_other = _cross(along[:, None], offsets - start[:, None])
    of_start, of_end = _cross(offsets, start[:, None]), _cross(offsets, end[:, None])
    return (side_of_viewer * side_of_other < 0) & (of_start * of_end <= 0)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product of vectors in the plane."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
