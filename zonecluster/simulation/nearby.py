"""Who is near one entity: for a player's questions and for speech. For all at once: zonecluster/interest."""

import numpy as np

from zonecluster.protocol.zone_payloads import MAX_NEAREST
from zonecluster.simulation.tables import PLAYER, Tables


def nearest_to(tables: Tables, row: int, most: int = MAX_NEAREST) -> np.ndarray:
    """Return the rows (≤ most,) of whom one sees in its place: the always visible, then the nearest."""
    others = tables.rows_of_place(int(tables.place[row]))
    others = others[(others != row) & ~tables.is_hidden[others]]
    squares = _squares(tables, row, others)
    return others[np.lexsort((squares, ~tables.is_always_visible[others]))[:most]]


def players_within(tables: Tables, row: int, radius: float) -> np.ndarray:
    """Return the rows of the other players within so many metres of one, in its place."""
    others = tables.rows_of_place(int(tables.place[row]))
    others = others[(others != row) & (tables.kind[others] == PLAYER)]
    offsets = tables.position[others] - tables.position[row]
    return others[np.einsum("ni,ni->n", offsets, offsets) <= radius * radius]


def _squares(tables: Tables, row: int, others: np.ndarray) -> np.ndarray:
    """Return the squared distances in the plane."""
    offsets = tables.position[others, :2] - tables.position[row, :2]
    return np.einsum("ni,ni->n", offsets, offsets)
