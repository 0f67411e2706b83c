"""The table of everything that stands in any zone instance of the process: a struct of arrays, a row each.

Systems run once per tick over whole columns, for all instances together. An instance holds pages of PAGE_ROWS
rows; it gets a further one when it needs it, so that the table stays dense however many players a zone might
take. A row's number never changes while somebody stands in it, but columns are reallocated when the table
grows: nobody may keep a reference to a column from one tick to the next.

An entity id is `local row | generation << 16`, within its instance: local rows count through the pages of the
instance, and the generation rises each time a row is given out again, so an id of someone who left is not
mistaken for the one who came after. 0 is nobody.
"""

import heapq
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

from zonecluster.simulation.content import Triggers
from zonecluster.simulation.places import Places

PLAYER, CREATURE, ITEM, CHEST, VENDOR = range(5)  # kinds, as in the snapshot
STAND, WALK, RUN, FROZEN, CAST = range(5)  # animations, as in the snapshot
NOBODY = -1  # place of a row that nobody stands in
MAX_ROWS = 2**16  # of one instance: local rows have 16 bits in an entity id
LAST_GENERATION = 2**16 - 1
PAGE_ROWS = 32
GROWTH = 1.25  # systems run over free rows too: grow by little
MAX_EFFECTS = 8  # kinds of spell effects: bits of `effects`
MAX_PENDING = 16  # inputs of one player that wait for their tick


class TableFull(RuntimeError):
    """No free row: the instance has as many entities as it was opened for."""


class Column(NamedTuple):
    """How one column is made: type and shape of a row's value, and the value of a row that is nobody's."""

    dtype: type
    shape: tuple[int, ...] = ()
    nobody: float = 0

    def empty(self, rows: int) -> np.ndarray:
        """Return the column for so many rows that are nobody's."""
        return np.full((rows, *self.shape), self.nobody, self.dtype)


@dataclass
class Range:
    """The rows of one place: its pages in the order of its local rows."""

    capacity: int
    pages: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)  # heap of local rows in pages that it has
    opened: int = 0  # local rows that its pages hold

    def row(self, local: int) -> int:
        """Return the row of a local one."""
        return self.pages[local // PAGE_ROWS] * PAGE_ROWS + local % PAGE_ROWS


class Tables:
    """All columns, all of the same length, the tick, and who holds which rows.

    In rows that are nobody's a column has its `nobody` value, mostly zero, so that systems may run over whole
    columns.
    """

    alive: Annotated[np.ndarray, Column(bool)]
    place: Annotated[np.ndarray, Column(np.int32, nobody=NOBODY)]  # index into `places`
    entity: Annotated[np.ndarray, Column(np.uint32)]  # entity id
    generation: Annotated[np.ndarray, Column(np.uint16)]  # kept while nobody is there
    kind: Annotated[np.ndarray, Column(np.uint8)]
    extent: Annotated[np.ndarray, Column(np.float32, nobody=1)]  # size of the zone, metres
    position: Annotated[np.ndarray, Column(np.float32, (3,))]  # metres
    velocity: Annotated[np.ndarray, Column(np.float32, (3,))]  # m/s, of the last tick
    heading_deg: Annotated[np.ndarray, Column(np.float32)]
    base_speed: Annotated[np.ndarray, Column(np.float32)]  # top speed without effects, m/s
    top_speed: Annotated[np.ndarray, Column(np.float32)]  # now, with effects, m/s
    wish: Annotated[np.ndarray, Column(np.float32, (2,))]  # velocity as a fraction of the top speed, ≤ 1
    animation: Annotated[np.ndarray, Column(np.uint8)]
    health: Annotated[np.ndarray, Column(np.float32)]  # fraction of the maximum
    effects: Annotated[np.ndarray, Column(np.uint8)]  # bit set of spell effects that others see
    effect_until_tick: Annotated[np.ndarray, Column(np.int64, (MAX_EFFECTS,))]  # when each ends
    cast_until_tick: Annotated[np.ndarray, Column(np.int64)]  # it is seen casting until then
    is_frozen: Annotated[np.ndarray, Column(bool)]
    is_hidden: Annotated[np.ndarray, Column(bool)]  # nobody sees it but itself
    is_always_visible: Annotated[np.ndarray, Column(bool)]  # all in its place see it, however far
    # Players
    has_zone_link: Annotated[np.ndarray, Column(bool)]
    has_world_link: Annotated[np.ndarray, Column(bool)]
    input_tick: Annotated[np.ndarray, Column(np.int64)]  # when the newest input came
    cursor: Annotated[np.ndarray, Column(np.int64)]  # client tick that is played; 0: none yet
    newest_seq: Annotated[np.ndarray, Column(np.int64)]  # newest client tick received
    playing: Annotated[np.ndarray, Column(np.uint64)]  # input in play: client tick << 32 | record
    pending: Annotated[np.ndarray, Column(np.uint64, (MAX_PENDING,))]  # inputs that wait for their tick
    late_since_tick: Annotated[
        np.ndarray, Column(np.int64)
    ]  # all inputs came late since then; 0: the last did not
    corrections: Annotated[np.ndarray, Column(np.uint16)]
    metres_walked: Annotated[np.ndarray, Column(np.float64)]  # not yet folded into the document
    selected: Annotated[np.ndarray, Column(np.uint32)]  # entity id; 0: nobody
    group: Annotated[np.ndarray, Column(np.uint32)]  # number of the alliance; 0: none
    was_near_trigger: Annotated[np.ndarray, Column(bool)]
    was_inside: Annotated[np.ndarray, Column(bool, (0,))]  # triggers of the place it stood in a tick ago
    is_portal_pending: Annotated[np.ndarray, Column(bool)]
    portal_link: Annotated[np.ndarray, Column(np.int64)]  # pending: which of the zone's links
    portal_tick: Annotated[np.ndarray, Column(np.int64)]  # pending: told at; else: triggers are silent until
    # Creatures
    home: Annotated[np.ndarray, Column(np.float32, (2,))]  # centre of the disc they wander in
    roam: Annotated[np.ndarray, Column(np.float32)]  # its radius, metres
    goal: Annotated[np.ndarray, Column(np.float32, (2,))]
    is_resting: Annotated[np.ndarray, Column(bool)]
    decide_tick: Annotated[np.ndarray, Column(np.int64)]  # when its rest, or the way to its goal, is over

    def __init__(self, rows: int = 0) -> None:
        """Make empty tables with room for so many rows; they grow by themselves."""
        self.tick = 1  # 0 means "none" in snapshots
        self.wishes_cut = self.cursors_moved = 0  # in all, for the operator
        self.places = Places()
        self._ranges: dict[int, Range] = {}  # by place
        self._free_pages: list[int] = []
        for name, column in COLUMNS.items():
            setattr(self, name, column.empty(0))
        self._grow(rows)

    def __len__(self) -> int:
        return len(self.alive)

    # ------------------------------------------------------------ places

    def open_place(self, number: int, capacity: int, size: float, triggers: Triggers) -> int:
        """Make room for an instance of at most `capacity` entities; returns its place.

        Raises: ValueError: more rows than an entity id can name.
        """
        if not 1 <= capacity <= MAX_ROWS:
            raise ValueError(f"an instance has 1..{MAX_ROWS} rows, not {capacity}")
        place = self.places.open(number, size, triggers)
        missing = self.places.trigger_count - self.was_inside.shape[1]
        self.was_inside = np.pad(self.was_inside, ((0, 0), (0, missing)))
        self._ranges[place] = Range(capacity)
        return place

    def close_place(self, place: int) -> None:
        """Take back all rows of a place, whoever stands there, and forget it.

        Raises: KeyError: it is not open.
        """
        pages = self._ranges.pop(place).pages
        self._clear(rows_of_pages(pages))
        self.generation[rows_of_pages(pages)] = 0
        for page in pages:
            heapq.heappush(self._free_pages, page)
        self.places.close(place)

    def rows_of_place(self, place: int) -> np.ndarray:
        """Return the rows of everybody in a place, ascending."""
        return np.flatnonzero(self.place == place)

    # ------------------------------------------------------------ rows

    def take_row(self, place: int, kind: int) -> int:
        """Give out the lowest free local row of a place, with a new generation; returns the row.

        Raises: TableFull.
        """
        held = self._ranges[place]
        if not held.free:
            self._take_page(held)
        local = heapq.heappop(held.free)
        row = held.row(local)
        generation = int(self.generation[row])
        generation = 1 if generation == LAST_GENERATION else generation + 1
        self.generation[row], self.entity[row] = generation, local | generation << 16
        self.alive[row], self.place[row], self.kind[row] = True, place, kind
        self.extent[row] = self.places.sizes[place]
        return row

    def free_row(self, row: int) -> None:
        """Take a row back and clear it, all but its generation.

        Raises: ValueError: nobody is there.
        """
        if not self.alive[row]:
            raise ValueError(f"row {row} is already free")
        held = self._ranges[int(self.place[row])]
        heapq.heappush(held.free, int(self.entity[row]) & 0xFFFF)
        self._clear(np.array([row]))

    def _clear(self, rows: np.ndarray) -> None:
        """Make rows nobody's."""
        for name, column in COLUMNS.items():
            if name != "generation":
                getattr(self, name)[rows] = column.nobody

    def _take_page(self, held: Range) -> None:
        """Give a place one page more.

        Raises: TableFull.
        """
        more = min(held.capacity - held.opened, PAGE_ROWS)
        if more == 0:
            raise TableFull(f"all {held.capacity} rows are taken")
        if not self._free_pages:
            self._grow(max(len(self) + PAGE_ROWS, int(len(self) * GROWTH)))
        held.pages.append(heapq.heappop(self._free_pages))
        for local in range(held.opened, held.opened + more):
            heapq.heappush(held.free, local)
        held.opened += more

    def _grow(self, rows: int) -> None:
        """Make room for at least so many rows, in whole pages. Here alone columns are reallocated."""
        before, pages = len(self) // PAGE_ROWS, -(-rows // PAGE_ROWS)
        for name, column in COLUMNS.items():
            old = getattr(self, name)
            more = column._replace(shape=old.shape[1:]).empty(pages * PAGE_ROWS - len(old))
            setattr(self, name, np.concatenate([old, more]))
        for page in range(before, pages):
            heapq.heappush(self._free_pages, page)

    # ------------------------------------------------------------ questions

    def row_of(self, place: int, entity: int) -> int | None:
        """Return the row of an entity id; None if it is nobody's (any more). Any integer is safe."""
        held, local = self._ranges[place], entity & 0xFFFF
        if local >= held.opened or int(self.entity[held.row(local)]) != entity or entity == 0:
            return None
        return held.row(local)

    def player_rows(self) -> np.ndarray:
        """Return the rows of all players, ascending."""
        return np.flatnonzero(self.alive & (self.kind == PLAYER))

    def digest(self) -> bytes:
        """Return SHA-256 over the tick and all columns: equal for equal histories."""
        sum_of_all = sha256(self.tick.to_bytes(8, "little"))
        for name in COLUMNS:
            sum_of_all.update(getattr(self, name).tobytes())
        for column in vars(self.places).values():
            sum_of_all.update(column.tobytes())
        return sum_of_all.digest()


COLUMNS: dict[str, Column] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Tables, include_extras=True).items()
}


def rows_of_pages(pages: list[int]) -> np.ndarray:
    """Return all rows of some pages, in their order."""
    return (np.array(pages, np.int64)[:, None] * PAGE_ROWS + np.arange(PAGE_ROWS)).reshape(-1)
