"""A zone's content as plain values. The daemon fills them from the ORM; tests write them down."""

from dataclasses import dataclass, replace

import numpy as np

from zonecluster.rules.items import ItemKind, Ware

FARTHEST_M = 1e6  # no number of any content is greater; NaN is not smaller
MOST_LOOT = 10**9  # coins, or items of a kind, in one chest


@dataclass(frozen=True)
class LinkContent:
    """A portal out of the zone: a disc, x, y and radius in metres. `edition`: which the target asks for."""

    slug: str
    label: str
    target_zone: str
    x: float
    y: float
    radius: float
    edition: str = "free"


@dataclass(frozen=True)
class SpawnContent:
    """So many creatures of a kind wander within a disc. Metres, m/s."""

    kind: str
    name: str
    speed: float
    count: int
    x: float
    y: float
    radius: float

    def times(self, count: int) -> "SpawnContent":
        """Return the same spawn with so many creatures."""
        return replace(self, count=count)


@dataclass(frozen=True)
class WallContent:
    """A line, metres, that takes the sight from one side to the other. It stops nobody."""

    x: float
    y: float
    to_x: float
    to_y: float


@dataclass(frozen=True)
class VendorContent:
    """Somebody who buys and sells. Metres, degrees."""

    slug: str
    name: str
    x: float
    y: float
    heading_deg: float = 0.0
    wares: tuple[Ware, ...] = ()


@dataclass(frozen=True)
class LootContent:
    """With this chance (0..1), from `least` to `most` of a kind are in a chest."""

    kind: str
    chance: float = 1.0
    least: int = 1
    most: int = 1


@dataclass(frozen=True)
class ChestContent:
    """A chest. Metres; `refill_s` seconds of game time after it was looted it is full again."""

    slug: str
    name: str
    x: float
    y: float
    refill_s: float = 600.0
    least_coins: int = 0
    most_coins: int = 0
    loot: tuple[LootContent, ...] = ()


@dataclass(frozen=True)
class ZoneContent:
    """A zone: square, `size` metres on a side, origin in the south-west corner; top speed in m/s."""

    slug: str
    name: str
    description: str
    size: float
    entry_x: float
    entry_y: float
    entry_heading_deg: float = 0.0
    top_speed: float = 5.0
    max_players: int = 500
    links: tuple[LinkContent, ...] = ()
    spawns: tuple[SpawnContent, ...] = ()
    walls: tuple[WallContent, ...] = ()
    vendors: tuple[VendorContent, ...] = ()
    chests: tuple[ChestContent, ...] = ()
    kinds: tuple[ItemKind, ...] = ()  # all that the world has

    def creature_count(self) -> int:
        """Return how many creatures the zone has."""
        return sum(spawn.count for spawn in self.spawns)

    def check(self) -> None:
        """Make sure that nothing in here can spoil the tables that all zones share.

        Raises: ValueError: a number that is no place, length or speed.
        """
        places = [self.entry_x, self.entry_y, self.entry_heading_deg]
        lengths = [self.size, self.top_speed]
        for x, y, radius in [
            *((link.x, link.y, link.radius) for link in self.links),
            *((spawn.x, spawn.y, spawn.radius) for spawn in self.spawns),
        ]:
            places += [x, y]
            lengths.append(radius)
        for wall in self.walls:
            places += [wall.x, wall.y, wall.to_x, wall.to_y]
        lengths += [number for spawn in self.spawns for number in (spawn.speed, spawn.count)]
        for vendor in self.vendors:
            places += [vendor.x, vendor.y, vendor.heading_deg]
        for chest in self.chests:
            places += [chest.x, chest.y]
            lengths.append(chest.refill_s)
        self._check_loot()
        if not all(abs(number) <= FARTHEST_M for number in places):
            raise ValueError(f"zone {self.slug!r} has a place that is none")
        if self.size <= 0 or not all(0 <= number <= FARTHEST_M for number in lengths):
            raise ValueError(f"zone {self.slug!r} has a size, radius, speed or count that is none")

    def _check_loot(self) -> None:
        ranges = [(chest.least_coins, chest.most_coins) for chest in self.chests]
        ranges += [(loot.least, loot.most) for chest in self.chests for loot in chest.loot]
        if not all(0 <= least <= most <= MOST_LOOT for least, most in ranges):
            raise ValueError(f"zone {self.slug!r} has a chest whose loot has no number")


@dataclass(frozen=True)
class Triggers:
    """The portals' discs as arrays: centres (p, 2) and radii (p,), metres."""

    centres: np.ndarray
    radii: np.ndarray

    @classmethod
    def of(cls, links: tuple[LinkContent, ...]) -> "Triggers":
        """Build the arrays in the order of the links."""
        return cls(
            np.array([(link.x, link.y) for link in links], np.float32).reshape(-1, 2),
            np.array([link.radius for link in links], np.float32),
        )
