"""Interest in compiled code: scratch, checks, and the call. The work is in kernels.py.

Importing this raises ImportError without numba; warm_up() compiles everything, or loads it.
"""

from typing import NamedTuple

import numpy as np

from zonecluster.interest import kernels
from zonecluster.interest.scene import MAX_SEEN, NOBODY, Scene, Seen, check_arguments

LEAST_ROWS = 1024


class Work(NamedTuple):
    """Scratch of compiled code, for n rows and p places; what each is for is said where it is written."""

    place_starts: np.ndarray  # (p + 2,)
    by_place: np.ndarray  # (n,) rows
    viewer_of: np.ndarray  # (n,) index into viewers, by row; -1 between calls
    # The place at hand
    order: np.ndarray  # (n,)
    by_cell: np.ndarray
    keys: np.ndarray
    spare_keys: np.ndarray
    digits: np.ndarray
    slab_of: np.ndarray  # (n,) by row
    cell_of: np.ndarray  # (n,) by row
    slab_lines: np.ndarray
    column_lines: np.ndarray
    cell_starts: np.ndarray
    xs: np.ndarray  # (n,) candidates
    ys: np.ndarray
    rows: np.ndarray
    always_x: np.ndarray  # (n,) always visible
    always_y: np.ndarray
    always_rows: np.ndarray
    # The viewer at hand
    squares: np.ndarray  # (n,) everybody in the window
    found: np.ndarray
    near: np.ndarray  # (n + 1,) those within the limit
    near_rows: np.ndarray
    taken: np.ndarray
    chosen: np.ndarray  # the same, nearest first
    chosen_rows: np.ndarray


def make_work(rows: int, places: int) -> Work:
    """Return scratch for so many rows and places."""
    metres, numbers = np.float32, np.int32

    def column(dtype: type, count: int = rows + 1) -> np.ndarray:
        return np.zeros(count, dtype)

    return Work(
        place_starts=column(np.int64, places + 2),
        by_place=column(numbers),
        viewer_of=np.full(rows, NOBODY, numbers),
        order=column(numbers),
        by_cell=column(numbers),
        keys=column(np.uint32),
        spare_keys=column(np.uint32),
        digits=np.zeros((3, kernels.DIGITS), numbers),
        slab_of=column(numbers),
        cell_of=column(numbers),
        slab_lines=column(metres, kernels.MAX_LINES),
        column_lines=column(metres, kernels.MAX_LINES),
        cell_starts=column(numbers, kernels.MAX_CELLS + 1),
        xs=column(metres),
        ys=column(metres),
        rows=column(numbers),
        always_x=column(metres),
        always_y=column(metres),
        always_rows=column(numbers),
        squares=column(metres),
        found=column(numbers),
        near=column(metres),
        near_rows=column(numbers),
        taken=column(numbers),
        chosen=column(metres),
        chosen_rows=column(numbers),
    )


class GridInterest:
    """Finds the nearest by a grid that is fine where many stand. See scene.py: Interest."""

    name = "grid"

    def __init__(self) -> None:
        self._work = make_work(LEAST_ROWS, LEAST_ROWS)
        self._seen = np.empty(0, np.int32)
        self._counts = np.empty(0, np.int32)

    def nearest(self, scene: Scene, viewers: np.ndarray, most: int = MAX_SEEN) -> Seen:
        """Return whom each viewer sees. See scene.py."""
        check_arguments(scene, viewers, most)
        self._make_room(len(scene.place), len(scene.sizes))
        # Another type or layout would be compiled anew, for seconds, in a tick.
        own = Scene(
            np.require(scene.position, np.float32, ["C", "W"]),
            np.require(scene.place, np.int32, ["C", "W"]),
            np.require(scene.sizes, np.float32, ["C", "W"]),
            np.require(scene.is_hidden, np.bool_, ["C", "W"]),
            np.require(scene.is_always_visible, np.bool_, ["C", "W"]),
        )
        seen, counts = self._answer(len(viewers), most)
        is_fair = kernels.see(
            own,
            own.position.view(np.uint32),
            np.require(viewers, np.int64, ["C", "W"]),
            most,
            self._work,
            seen,
            counts,
        )
        if not is_fair:
            raise ValueError("a viewer is listed twice")
        return Seen(seen, counts)

    def _answer(self, viewers: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (m, most), anything, and counts (m,), all 0: in the same memory at each call."""
        if self._seen.size < viewers * most:
            self._seen = np.empty(2 * viewers * most, np.int32)
        if len(self._counts) < viewers:
            self._counts = np.empty(2 * viewers, np.int32)
        seen = self._seen[: viewers * most].reshape(viewers, most)
        counts = self._counts[:viewers]
        counts[:] = 0
        return seen, counts

    def _make_room(self, rows: int, places: int) -> None:
        work = self._work
        if rows > len(work.viewer_of) or places + 2 > len(work.place_starts):
            self._work = make_work(max(2 * rows, LEAST_ROWS), max(2 * places, LEAST_ROWS))


def _nobody() -> Scene:
    """Return a scene of one empty row."""
    return Scene(
        np.zeros((1, 3), np.float32),
        np.full(1, NOBODY, np.int32),
        np.ones(1, np.float32),
        np.zeros(1, bool),
        np.zeros(1, bool),
    )


def warm_up() -> None:
    """Call what is compiled, on nobody. See compiled.py."""
    GridInterest().nearest(_nobody(), np.zeros(1, np.int64))
