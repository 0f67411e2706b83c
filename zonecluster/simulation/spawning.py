"""Creatures appear by and by: so many in a tick for the whole process, whichever zones are to be filled.

A zone with thousands of creatures would else cost everybody a long tick when it opens. Each instance has a
nest: what its content says it has, less what is there. A creature that is taken out comes back after a while.
"""

from collections import Counter, deque
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from zonecluster.simulation.content import SpawnContent
from zonecluster.simulation.creatures import place_creatures
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import Tables

if TYPE_CHECKING:  # an instance has a nest
    from zonecluster.simulation.instance import ZoneInstance

RESPAWN_S = 60.0  # of game time, from the end of a creature to the next one in its place


class Nest:
    """The creatures that one instance is to have and has not, by the index of their spawn."""

    def __init__(self, spawns: tuple[SpawnContent, ...], tables: Tables, place: int) -> None:
        self._spawns = spawns
        self._tables = tables
        self._place = place
        # Spawn, and from which tick on; the earliest first.
        self._waiting = deque((0, index) for index, spawn in enumerate(spawns) for _ in range(spawn.count))
        self._of_row: dict[int, int] = {}

    def __len__(self) -> int:
        """How many creatures are missing, those that are not due yet included."""
        return len(self._waiting)

    def due(self) -> int:
        """Return how many may appear now."""
        tick = self._tables.tick
        return sum(1 for at, _ in self._waiting if at <= tick)

    def has_due(self) -> bool:
        """Whether any may appear now."""
        return bool(self._waiting) and self._waiting[0][0] <= self._tables.tick

    def hatch(self, most: int, names: dict[int, str], rng: np.random.Generator) -> int:
        """Let at most so many appear that are due. Args: names: by row; added to. Returns: how many did."""
        chosen: list[int] = []
        while len(chosen) < most and self.has_due():
            chosen.append(self._waiting.popleft()[1])
        self._place_all(Counter(chosen), names, rng)
        return len(chosen)

    def hatch_named(self, wanted: Counter[str], names: dict[int, str], rng: np.random.Generator) -> None:
        """Let creatures of these names appear at once, so many of each, as far as they are missing."""
        left, chosen = wanted.copy(), Counter[int]()
        kept: list[tuple[int, int]] = []
        for at, index in self._waiting:
            name = self._spawns[index].name
            if left[name] > 0:
                left[name] -= 1
                chosen[index] += 1
            else:
                kept.append((at, index))
        self._waiting = deque(kept)
        self._place_all(chosen, names, rng)

    def gone(self, row: int) -> None:
        """Somebody was taken out: if it was a creature, another one comes in its place, later."""
        index = self._of_row.pop(row, None)
        if index is not None:
            self._waiting.append((self._tables.tick + round(RESPAWN_S / TICK_S), index))

    def _place_all(self, counts: Counter[int], names: dict[int, str], rng: np.random.Generator) -> None:
        chosen = sorted(index for index, count in counts.items() if count)
        spawns = tuple(self._spawns[index].times(counts[index]) for index in chosen)
        rows = place_creatures(self._tables, self._place, spawns, rng)
        kinds = [index for index in chosen for _ in range(counts[index])]
        for row, index in zip(rows, kinds, strict=True):
            self._of_row[row] = index
            names[row] = self._spawns[index].name


def spawn_due(instances: Collection["ZoneInstance"], budget: int, rng: np.random.Generator) -> int:
    """Let creatures appear in all instances, so many together.

    Whoever misses few gets all of them first, and what is left is shared alike: a small zone is whole at
    once however large the others are.

    Returns: how many appeared.
    """
    hungry = [each for each in instances if not each.is_still and each.nest.has_due()]
    if not hungry or budget <= 0:
        return 0
    left = budget
    for done, instance in enumerate(sorted(hungry, key=lambda each: (each.nest.due(), each.number))):
        share = -(-left // (len(hungry) - done))
        left -= instance.nest.hatch(share, instance.names, rng)
    return budget - left
