"""A zone's content as plain values. The daemon fills them from the ORM; tests write them down."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinkContent:
    """A portal out of the zone: a disc, x, y and radius in metres."""

    slug: str
    label: str
    target_zone: str
    x: float
    y: float
    radius: float


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

    def creature_count(self) -> int:
        """Return how many creatures the zone has."""
        return sum(spawn.count for spawn in self.spawns)


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

    def contain(self, positions: np.ndarray) -> np.ndarray:
        """Return (n, p) bool: which of n positions (n, 3) lie within which disc, its edge included."""
        offsets = positions[:, None, :2] - self.centres[None]
        return np.einsum("npi,npi->np", offsets, offsets) <= self.radii**2
