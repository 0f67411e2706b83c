"""What interest is asked about, what it answers, and what exactly "nearest" means.

Nearest: by squared distance in the plane, computed in float32 as dx*dx + dy*dy with each operation rounded on
its own; among equals the lower row first. So that every implementation gives the same rows in the same order.
"""

from typing import NamedTuple, Protocol

import numpy as np

MAX_SEEN = 64  # others that a player is told about
MAX_CANDIDATES = 128  # others that a line of sight is tried to
NOBODY = -1
FARTHEST_M = 1e6  # from the origin, on each axis


class Scene(NamedTuple):
    """All rows of the cluster's tables. Nothing is copied, nothing written.

    A row whose place is not in `sizes` is nobody's; so is one whose position is no number or beyond
    FARTHEST_M.
    """

    position: np.ndarray  # (n, 3) f4 metres
    place: np.ndarray  # (n,) i4 index into `sizes`; -1: nobody stands in this row
    sizes: np.ndarray  # (p,) f4 extent of each place, metres
    is_hidden: np.ndarray  # (n,) bool: nobody sees it but itself
    is_always_visible: np.ndarray  # (n,) bool: everybody in its place sees it, however far


class Seen(NamedTuple):
    """Whom viewers see. Good until the next call of the same Interest."""

    rows: np.ndarray  # (m, most) i4: the always visible, nearest first; then others, nearest first; then -1
    counts: np.ndarray  # (m,) i4


class Interest(Protocol):
    """Finds exactly the nearest others of viewers."""

    name: str

    def nearest(self, scene: Scene, viewers: np.ndarray, most: int = MAX_SEEN) -> Seen:
        """Return whom each viewer sees among those in its place, itself left out.

        Hidden ones are left out, always visible ones come first, both within `most`. A viewer in no place
        sees nobody; a hidden viewer sees as any other.

        Args: viewers: (m,) i8 rows, each at most once; most: 1..MAX_CANDIDATES.
        Raises: ValueError: arguments of other shapes or ranges.
        """


def check_arguments(scene: Scene, viewers: np.ndarray, most: int) -> None:
    """Refuse what would be read beyond its end, or mean nothing.

    Raises: ValueError.
    """
    if not 1 <= most <= MAX_CANDIDATES:
        raise ValueError(f"1..{MAX_CANDIDATES} others may be asked for, not {most}")
    if scene.position.ndim != 2 or scene.position.shape[1] != 3 or viewers.ndim != 1:
        raise ValueError(f"positions (n, 3) and viewers (m,), not {scene.position.shape}, {viewers.shape}")
    columns = (scene.place, scene.is_hidden, scene.is_always_visible)
    if any(column.shape != scene.position.shape[:1] for column in columns):
        raise ValueError("columns of one scene have one length")
    if len(viewers) and not 0 <= viewers.min() <= viewers.max() < len(scene.place):
        raise ValueError("a viewer is no row of the scene")
