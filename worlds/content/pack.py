"""A content pack as plain values, checked. Lengths in metres, headings in degrees, 0 = north, clockwise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Where:
    """The place in the files that a value came from."""

    file: str
    line: int


@dataclass(frozen=True)
class ClusterContent:
    """A zone cluster that zones of the pack ask for."""

    slug: str
    max_players: int
    where: Where


@dataclass(frozen=True)
class CreatureContent:
    """A kind of creature."""

    slug: str
    name: str
    speed: float  # m/s
    where: Where


@dataclass(frozen=True)
class ItemContent:
    """A kind of item. `slot`: where it is worn; empty: nowhere."""

    slug: str
    name: str
    stack_size: int
    value: int  # coins
    weight: float  # kg
    is_valuable: bool
    slot: str
    where: Where


@dataclass(frozen=True)
class LinkContent:
    """A portal: a disc that leads to a point of the target zone."""

    slug: str
    label: str
    x: float
    y: float
    radius: float
    target: str
    arrival_x: float
    arrival_y: float
    arrival_heading_deg: float
    where: Where


@dataclass(frozen=True)
class SpawnContent:
    """So many creatures of a kind, wandering within a disc."""

    creature: str
    count: int
    x: float
    y: float
    radius: float
    where: Where


@dataclass(frozen=True)
class WallContent:
    """A line that takes the sight from one side to the other. It stops nobody."""

    x: float
    y: float
    to_x: float
    to_y: float
    where: Where


@dataclass(frozen=True)
class WareContent:
    """What a vendor takes and gives for one of a kind, in coins; 0: does not."""

    vendor: str
    item: str
    price: int
    pays: int
    where: Where


@dataclass(frozen=True)
class VendorContent:
    """Somebody who buys and sells, and where they stand."""

    slug: str
    name: str
    x: float
    y: float
    heading_deg: float
    where: Where


@dataclass(frozen=True)
class LootContent:
    """What may be in a chest: by chance (0..1) from `least` to `most` of a kind."""

    chest: str
    item: str
    chance: float
    least: int
    most: int
    where: Where


@dataclass(frozen=True)
class ChestContent:
    """A chest, where it stands, what coins are in it, and how long after it was emptied it is full again."""

    slug: str
    name: str
    x: float
    y: float
    refill_s: int
    least_coins: int
    most_coins: int
    where: Where


@dataclass(frozen=True)
class ZoneContent:
    """A zone with everything in it."""

    slug: str
    name: str
    description: str
    size: float
    cluster: str
    is_entry: bool
    entry_x: float
    entry_y: float
    entry_heading_deg: float
    top_speed: float  # m/s
    max_players: int
    climate: str
    edition: str  # that it asks for: "free" or "premium"
    instancing: str  # who meets whom: "shared" or "alliance"
    max_instances: int
    links: tuple[LinkContent, ...]
    spawns: tuple[SpawnContent, ...]
    walls: tuple[WallContent, ...]
    vendors: tuple[VendorContent, ...]
    wares: tuple[WareContent, ...]
    chests: tuple[ChestContent, ...]
    loot: tuple[LootContent, ...]
    where: Where


@dataclass(frozen=True)
class Pack:
    """A whole pack. `digest`: hex SHA-256 over its files."""

    name: str
    version: str
    digest: str
    clusters: tuple[ClusterContent, ...]
    creatures: tuple[CreatureContent, ...]
    items: tuple[ItemContent, ...]
    zones: tuple[ZoneContent, ...]
