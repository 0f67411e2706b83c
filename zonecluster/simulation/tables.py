"""The table of everything that stands in one zone instance: a struct of arrays, one row for each entity.

An entity id is `row | generation << 16`: the generation rises each time a row is given out again, so an id of
someone who left is not mistaken for the one who came after. 0 is nobody.
"""

import heapq
from hashlib import sha256

import numpy as np

PLAYER = 0
CREATURE = 1
STAND, WALK, RUN, FROZEN = range(4)  # animations, as in the snapshot
MAX_ROWS = 2**16  # rows have 16 bits in an entity id
LAST_GENERATION = 2**16 - 1


class TableFull(RuntimeError):
    """No free row: the instance has as many entities as it was opened for."""


class Tables:
    """Columns of one instance, all of the same length, and its tick.

    Columns that describe nobody (alive False) are zero, so that systems may run over whole columns.
    """

    def __init__(self, capacity: int, trigger_count: int) -> None:
        """Make empty tables.

        Raises: ValueError: more rows than an entity id can name.
        """
        if not 1 <= capacity <= MAX_ROWS:
            raise ValueError(f"an instance has 1..{MAX_ROWS} rows, not {capacity}")
        self.capacity = capacity
        self.tick = 1  # 0 means "none" in snapshots
        self.alive = np.zeros(capacity, bool)
        self.generation = np.zeros(capacity, np.uint16)
        self.kind = np.zeros(capacity, np.uint8)
        self.position = np.zeros((capacity, 3), np.float32)  # metres
        self.velocity = np.zeros((capacity, 3), np.float32)  # m/s, of the last tick
        self.heading_deg = np.zeros(capacity, np.float32)
        self.top_speed = np.zeros(capacity, np.float32)  # m/s
        self.wish = np.zeros(
            (capacity, 2), np.float32
        )  # wished velocity as a fraction of the top speed, length ≤ 1
        self.animation = np.zeros(capacity, np.uint8)
        self.health = np.zeros(capacity, np.float32)  # fraction of the maximum
        self.is_frozen = np.zeros(capacity, bool)
        # Players
        self.has_zone_link = np.zeros(capacity, bool)
        self.has_world_link = np.zeros(capacity, bool)
        self.input_seq = np.zeros(capacity, np.uint32)  # last one processed
        self.input_tick = np.zeros(capacity, np.int64)  # when it was
        self.corrections = np.zeros(capacity, np.uint16)
        self.metres_walked = np.zeros(capacity, np.float64)  # not yet folded into the document
        self.was_inside = np.zeros((capacity, trigger_count), bool)  # triggers the player stood in a tick ago
        self.is_portal_pending = np.zeros(capacity, bool)
        self.portal_tick = np.zeros(capacity, np.int64)  # pending: since; else: triggers are silent until
        # Creatures
        self.home = np.zeros((capacity, 2), np.float32)  # centre of the disc they wander in
        self.roam = np.zeros(capacity, np.float32)  # its radius, metres
        self.goal = np.zeros((capacity, 2), np.float32)
        self.rest_until_tick = np.zeros(capacity, np.int64)
        self._columns = {
            name: column for name, column in vars(self).items() if isinstance(column, np.ndarray)
        }
        self._free = list(range(capacity))

    def take_row(self, kind: int) -> int:
        """Give out the lowest free row, zeroed, with a new generation.

        Raises: TableFull.
        """
        if not self._free:
            raise TableFull(f"all {self.capacity} rows are taken")
        row = heapq.heappop(self._free)
        generation = int(self.generation[row])
        self.generation[row] = 1 if generation == LAST_GENERATION else generation + 1
        self.alive[row] = True
        self.kind[row] = kind
        return row

    def free_row(self, row: int) -> None:
        """Take a row back and zero it, all but its generation.

        Raises: ValueError: nobody is there.
        """
        if not self.alive[row]:
            raise ValueError(f"row {row} is already free")
        for name, column in self._columns.items():
            if name != "generation":
                column[row] = 0
        heapq.heappush(self._free, row)

    def entity_ids(self, rows: np.ndarray) -> np.ndarray:
        """Return the entity ids (u32) of rows."""
        return rows.astype(np.uint32) | self.generation[rows].astype(np.uint32) << np.uint32(16)

    def entity_id(self, row: int) -> int:
        """Return the entity id of one row."""
        return row | int(self.generation[row]) << 16

    def row_of(self, entity: int) -> int | None:
        """Return the row of an entity id; None if it is nobody's (any more). Any integer is safe."""
        row = entity & 0xFFFF
        if row >= self.capacity or not self.alive[row] or int(self.generation[row]) != entity >> 16:
            return None
        return row

    def player_rows(self) -> np.ndarray:
        """Return the rows of all players, ascending."""
        return np.flatnonzero(self.alive & (self.kind == PLAYER))

    def digest(self) -> bytes:
        """Return SHA-256 over the tick and all columns: equal for equal histories."""
        sum_of_all = sha256(self.tick.to_bytes(8, "little"))
        for column in self._columns.values():
            sum_of_all.update(column.tobytes())
        return sum_of_all.digest()
