"""What differs by zone, as arrays: one slot for each zone instance that is open, so systems need no loop.

Kept by the tables (tables.py). A row's `place` is an index into these arrays. A closed slot is used again.
"""

import numpy as np

from zonecluster.simulation.content import Triggers

NO_TRIGGER = -1.0  # squared radius of padding: no distance is that small
MAP_CELLS = 64  # a trigger map has so many cells each way
ROUNDING_M = 0.01  # a float32 of some kilometres may be so far off
FREE = 0  # instance number of a slot that is nobody's


class Places:
    """Columns by place. Triggers are padded to the place that has most."""

    def __init__(self) -> None:
        """Make empty arrays."""
        self.numbers = np.empty(0, np.uint32)  # of the instance; FREE: none
        self.sizes = np.empty(0, np.float32)  # extent, metres; 1 where there is none
        self.centres = np.empty((0, 0, 2), np.float32)  # of triggers, metres
        self.squares = np.empty((0, 0), np.float32)  # of triggers: squared radius
        # Whether any trigger reaches into a cell [east, north]: most players are near none.
        self.has_trigger = np.empty((0, MAP_CELLS, MAP_CELLS), bool)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def trigger_count(self) -> int:
        """How many triggers the place with most of them has had."""
        return self.squares.shape[1]

    def open(self, number: int, size: float, triggers: Triggers) -> int:
        """Take the lowest free slot for an instance; returns it.

        Raises: ValueError: the number is none of an instance.
        """
        if not FREE < number < 1 << 32:
            raise ValueError(f"an instance has a number of 1..{(1 << 32) - 1}, not {number}")
        free = np.flatnonzero(self.numbers == FREE)
        if not len(free):
            self._grow()
        self._widen(len(triggers.radii))
        place = int(free[0]) if len(free) else len(self) - 1
        count = len(triggers.radii)
        self.numbers[place], self.sizes[place] = number, size
        self.centres[place, :count], self.squares[place, :count] = triggers.centres, triggers.radii**2
        scale = np.float32(MAP_CELLS) / np.float32(size)
        for centre, radius in zip(triggers.centres, triggers.radii, strict=True):
            west, south = map_cells(centre - radius - ROUNDING_M, scale)
            east, north = map_cells(centre + radius + ROUNDING_M, scale)
            self.has_trigger[place, west : east + 1, south : north + 1] = True
        return place

    def close(self, place: int) -> None:
        """Give a slot back."""
        self.numbers[place], self.sizes[place] = FREE, 1.0
        self.centres[place], self.squares[place] = 0, NO_TRIGGER
        self.has_trigger[place] = False

    def _grow(self) -> None:
        """Add one free slot: instances are opened seldom."""
        self.numbers = np.append(self.numbers, np.uint32(FREE))
        self.sizes = np.append(self.sizes, np.float32(1.0))
        self.centres = np.concatenate([self.centres, np.zeros((1, self.trigger_count, 2), np.float32)])
        none = np.full((1, self.trigger_count), NO_TRIGGER, np.float32)
        self.squares = np.concatenate([self.squares, none])
        self.has_trigger = np.concatenate([self.has_trigger, np.zeros((1, MAP_CELLS, MAP_CELLS), bool)])

    def _widen(self, count: int) -> None:
        """Make room for so many triggers in each place."""
        missing = count - self.trigger_count
        if missing > 0:
            self.centres = np.pad(self.centres, ((0, 0), (0, missing), (0, 0)))
            self.squares = np.pad(self.squares, ((0, 0), (0, missing)), constant_values=NO_TRIGGER)

    def near_triggers(self, places: np.ndarray, positions: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return (n,) bool: whose cell a trigger reaches into. Anything for rows that are nobody's.

        Args: places: (n,) of the rows; positions: (n, 3), metres; sizes: (n,) of their zones, metres.
        """
        scale = np.float32(MAP_CELLS) / sizes
        east, north = (map_cells(positions[:, axis], scale) for axis in (0, 1))
        cells = (places * MAP_CELLS + east) * MAP_CELLS + north
        return self.has_trigger.reshape(-1).take(cells, mode="wrap")


def map_cells(metres: np.ndarray, scale: np.ndarray | np.floating) -> np.ndarray:
    """Return the column or row of a trigger map that coordinates fall into; scale: cells for each metre."""
    cells = (metres * scale).astype(np.int32)
    return np.minimum(np.maximum(cells, 0), MAP_CELLS - 1)
