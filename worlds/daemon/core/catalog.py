"""What the daemon knows of its world's content and clusters: plain values, read by the shell."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from worlds.rules import COPIES
from zonecluster.protocol.character import Place
from zonecluster.rules.items import ItemKind
from zonecluster.rules.sky import DEFAULT_CLIMATE


@dataclass(frozen=True)
class ZoneInfo:
    """A zone. `number` is its row's id; size in metres."""

    number: int
    slug: str
    name: str
    size: float
    entry: Place
    home_cluster: str = ""  # empty: the daemon chooses
    is_entry: bool = False
    climate: str = DEFAULT_CLIMATE
    max_players: int = 500
    max_instances: int = 8
    is_pinned: bool = False
    is_by_alliance: bool = False  # each alliance has a copy of its own
    is_premium: bool = False  # only who may enter premium zones is let in

    def instance(self, copy: int = 1) -> int:
        """Return the number of a copy of this zone (1..999)."""
        return self.number * COPIES + copy


@dataclass(frozen=True)
class LinkInfo:
    """A portal: where it leads."""

    zone: str
    slug: str
    arrival: Place


@dataclass(frozen=True)
class ClusterInfo:
    """A cluster as configured."""

    name: str
    max_players: int
    is_enabled: bool = True
    host: str = ""  # empty: the machine of the world daemon


@dataclass(frozen=True)
class HostInfo:
    """A machine as configured. None: what its agent counts is used."""

    name: str
    is_enabled: bool = True
    cores: float | None = None
    memory_mb: int | None = None
    key: bytes = b""  # of its agent; empty: it has not joined, or was revoked


@dataclass(frozen=True)
class Catalog:
    """A world, whole."""

    world: str
    motd: str
    max_players: int
    gateway_url: str
    zones: dict[str, ZoneInfo] = field(default_factory=dict)
    links: dict[tuple[str, str], LinkInfo] = field(default_factory=dict)  # by zone and link slug
    clusters: dict[str, ClusterInfo] = field(default_factory=dict)
    hosts: dict[str, HostInfo] = field(default_factory=dict)
    kinds: dict[str, ItemKind] = field(default_factory=dict)  # of items, by slug
    # characters that are not let in with that document: its digest (poison.digest_of); b"": with any
    quarantined: dict[UUID, bytes] = field(default_factory=dict)
    max_queue: int = 500  # how many may wait for a place
    game_rate: float = 24.0  # game time per time
    game_epoch_s: float = 0.0  # when game time began, seconds since 1970

    def entry_zone(self) -> ZoneInfo | None:
        """Return the zone where new characters begin; else the first by name; None without any."""
        return self._first_zone(self.zones.values())

    def free_entry_zone(self) -> ZoneInfo | None:
        """Return where everybody may begin: the entry zone, or the first by name that asks for no edition."""
        return self._first_zone(zone for zone in self.zones.values() if not zone.is_premium)

    def _first_zone(self, zones: Iterable[ZoneInfo]) -> ZoneInfo | None:
        return min(zones, key=lambda zone: (not zone.is_entry, zone.slug), default=None)

    def zone_of_instance(self, instance: int) -> ZoneInfo | None:
        """Return the zone of an instance number."""
        number = instance // COPIES
        return next((zone for zone in self.zones.values() if zone.number == number), None)

    def place_or_entry(self, place: Place | None) -> Place | None:
        """Return the place if its zone exists, else the entry; None in a world without zones."""
        if place is not None and place.zone in self.zones:
            return place
        entry = self.entry_zone()
        return entry.entry if entry else None
