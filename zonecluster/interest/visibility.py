"""Who of the nearest is in sight: line-of-sight providers. Hidden and always visible are in scene.py.

A provider may be anybody's code: what it breaks, it breaks for its place and tick, and the caller is told.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from zonecluster.interest.scene import MAX_CANDIDATES, MAX_SEEN, NOBODY, Interest, Scene, Seen

# (viewers' positions (m, 3), candidates' positions (m, k, 3)), f4 metres -> (m, k) bool, True: in sight.
# Where a viewer has fewer than k candidates, its own position fills the rest.
LineOfSight = Callable[[np.ndarray, np.ndarray], np.ndarray]


class BadSight(ValueError):
    """A provider answered with something else than (m, k) bool."""


class SightFault(NamedTuple):
    """A provider failed: in its place everybody counted as in sight. For the log."""

    place: int
    error: Exception


class Look(NamedTuple):
    """Whom viewers see, and which providers failed. Good until the next call of the same Interest."""

    seen: Seen
    faults: tuple[SightFault, ...]


def look(interest: Interest, scene: Scene, viewers: np.ndarray, sights: Mapping[int, LineOfSight]) -> Look:
    """Return the nearest MAX_SEEN that each viewer sees.

    Where a place has a provider, it is asked about each viewer's nearest MAX_CANDIDATES, and the nearest in
    sight are kept. The always visible are in sight.

    Args: viewers: (m,) i8 rows, each at most once; sights: by place.
    Raises: ValueError: as Interest.nearest.
    """
    if not sights:
        return Look(interest.nearest(scene, viewers), ())
    places = scene.place[viewers]
    is_screened = np.isin(places, list(sights))
    if not is_screened.any():
        return Look(interest.nearest(scene, viewers), ())
    rows = np.full((len(viewers), MAX_SEEN), NOBODY, np.int32)
    counts = np.zeros(len(viewers), np.int32)
    faults = []
    screened = np.flatnonzero(is_screened)
    candidates = interest.nearest(scene, viewers[screened], MAX_CANDIDATES).rows
    for place in np.unique(places[screened]).tolist():
        is_mine = places[screened] == place
        mine = screened[is_mine]
        others = candidates[is_mine]
        is_seen = others != NOBODY
        try:
            is_seen &= _ask(sights[place], scene, viewers[mine], others)
        except Exception as error:  # noqa: BLE001  (foreign code: whatever it raises must not stop the tick)
            faults.append(SightFault(place, error))
        rows[mine], counts[mine] = _keep(others, is_seen)
    open_to_all = np.flatnonzero(~is_screened)
    seen = interest.nearest(scene, viewers[open_to_all])
    rows[open_to_all], counts[open_to_all] = seen
    return Look(Seen(rows, counts), tuple(faults))


def _ask(sight: LineOfSight, scene: Scene, viewers: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return (m, k) bool: in sight, or always visible.

    Raises: BadSight, or whatever the provider raises.
    """
    rows = np.where(others == NOBODY, viewers[:, None], others)
    answer = sight(scene.position[viewers], scene.position[rows])  # copies: a provider cannot move anybody
    if not isinstance(answer, np.ndarray) or answer.dtype != np.bool_ or answer.shape != others.shape:
        what = f"{answer.dtype} {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
        raise BadSight(f"expected bool {others.shape}, not {what}")
    return answer | scene.is_always_visible[rows]


def _keep(others: np.ndarray, is_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first MAX_SEEN of each line that are seen, padded with -1, and how many."""
    order = np.argsort(~is_seen, axis=1, kind="stable")[:, :MAX_SEEN]
    counts = np.minimum(is_seen.sum(axis=1), MAX_SEEN)
    rows = np.take_along_axis(others, order, axis=1)
    return np.where(np.arange(MAX_SEEN) < counts[:, None], rows, NOBODY), counts
