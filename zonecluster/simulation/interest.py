"""The fifth system: whom each player sees: exactly the nearest others, nearest first."""

import numpy as np
from scipy.spatial import cKDTree

from zonecluster.protocol.zone_payloads import MAX_NEAREST
from zonecluster.simulation.tables import Tables

DENSE_PAIRS = 10_000  # up to so many pairs a plain distance table is faster than building a tree


def nearest_others(positions: np.ndarray, viewers: np.ndarray, most: int = MAX_NEAREST) -> np.ndarray:
    """Find the nearest others of some, in the plane.

    Args: positions: (n, ≥2), metres; viewers: (m,) indices into positions.
    Returns: (m, k) indices into positions, nearest first, k = min(most, n − 1); never the viewer itself.
    """
    count = len(positions)
    k = min(most, count - 1)
    if len(viewers) == 0 or k <= 0:
        return np.empty((len(viewers), max(k, 0)), np.int64)
    plane = np.ascontiguousarray(positions[:, :2])
    found = (
        _by_table(plane, viewers, k + 1)
        if count * len(viewers) <= DENSE_PAIRS
        else _by_tree(plane, viewers, k + 1)
    )
    # One of the k + 1 is to go: the viewer, or the farthest where more than k others stand on the same spot.
    is_viewer = found == viewers[:, None]
    is_viewer[~is_viewer.any(axis=1), -1] = True
    return found[~is_viewer].reshape(len(viewers), k)


def _by_table(plane: np.ndarray, viewers: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest (m, k) by a table of all distances."""
    offsets = plane[viewers, None].astype(np.float64) - plane[None]
    squares = np.einsum("mni,mni->mn", offsets, offsets)
    if k < len(plane):
        near = np.argpartition(squares, k - 1, axis=1)[:, :k]
    else:
        near = np.broadcast_to(np.arange(len(plane)), squares.shape)
    order = np.argsort(np.take_along_axis(squares, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1)


def _by_tree(plane: np.ndarray, viewers: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest (m, k) by a tree. Unbalanced: else it is slow where many stand on one spot."""
    tree = cKDTree(plane, leafsize=32, compact_nodes=False, balanced_tree=False)
    return tree.query(plane[viewers], k=k)[1].reshape(len(viewers), k)


def nearest_in_places(tables: Tables, viewers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest others of rows (m,), in their places.

    Returns: rows (m, 64) i4, nearest first, padded with -1; counts (m,) i4.
    """
    rows = np.full((len(viewers), MAX_NEAREST), -1, np.int32)
    counts = np.zeros(len(viewers), np.int32)
    for place in np.unique(tables.place[viewers]).tolist():
        everybody = tables.rows_of_place(place)
        mine = np.flatnonzero(tables.place[viewers] == place)
        found = nearest_others(tables.position[everybody], np.searchsorted(everybody, viewers[mine]))
        rows[mine, : found.shape[1]] = everybody[found]
        counts[mine] = found.shape[1]
    return rows, counts
