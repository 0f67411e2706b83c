"""Reads a zone from the world catalog into the plain values that the simulation works with."""

from typing import Any

import structlog

from worlds.models import CreatureSpawn, ItemKind, Zone, ZoneLink
from zonecluster.interest.providers import SightUnusable, sight_of
from zonecluster.interest.visibility import LineOfSight
from zonecluster.rules import items
from zonecluster.simulation.content import (
    ChestContent,
    LinkContent,
    LootContent,
    SpawnContent,
    VendorContent,
    WallContent,
    ZoneContent,
)

log = structlog.get_logger(__name__)


class UnknownZone(LookupError):
    """The world has no zone of that slug."""


def load_zone(world: str, slug: str) -> ZoneContent:
    """Return the zone's content as it is now in the database.

    Raises: UnknownZone; django.db.Error: the database is not there.
    """
    zone = Zone.objects.filter(world__slug=world, slug=slug).first()
    if zone is None:
        raise UnknownZone(f"World {world!r} has no zone {slug!r}.")
    return ZoneContent(
        slug=zone.slug,
        name=zone.name,
        description=zone.description,
        size=zone.size,
        entry_x=zone.entry_x,
        entry_y=zone.entry_y,
        entry_heading_deg=zone.entry_heading_deg,
        top_speed=zone.top_speed,
        max_players=zone.max_players,
        links=tuple(map(_link, zone.links.select_related("target").order_by("slug"))),
        spawns=tuple(map(_spawn, zone.spawns.select_related("kind").order_by("id"))),
        walls=tuple(WallContent(*wall) for wall in zone.walls),
        vendors=tuple(map(_vendor, zone.vendors)),
        chests=tuple(map(_chest, zone.chests)),
        kinds=tuple(map(_kind, ItemKind.objects.filter(world=zone.world_id).order_by("slug"))),
    )


def load_sight(content: ZoneContent) -> LineOfSight | None:
    """Return what says who is in sight in the zone. None if an operator's cannot be used: logged."""
    try:
        return sight_of(content)
    except SightUnusable as error:
        log.exception("sight_unusable", zone=content.slug, error=str(error))
        return None


def _link(row: ZoneLink) -> LinkContent:
    return LinkContent(row.slug, row.label, row.target.slug, row.x, row.y, row.radius, row.target.edition)


def _spawn(row: CreatureSpawn) -> SpawnContent:
    return SpawnContent(row.kind.slug, row.kind.name, row.kind.speed, row.count, row.x, row.y, row.radius)


def _kind(row: ItemKind) -> items.ItemKind:
    return items.ItemKind(
        row.slug, row.name, row.stack_size, row.value, row.weight, row.is_valuable, row.slot
    )


def _vendor(written: dict[str, Any]) -> VendorContent:
    """Return a vendor as worlds.content.importer wrote it."""
    wares = tuple(items.Ware(*ware) for ware in written["wares"])
    x, y, heading_deg = written["place"]
    return VendorContent(written["slug"], written["name"], x, y, heading_deg, wares)


def _chest(written: dict[str, Any]) -> ChestContent:
    """Return a chest as worlds.content.importer wrote it."""
    loot = tuple(LootContent(*line) for line in written["loot"])
    (x, y), (least, most) = written["place"], written["coins"]
    return ChestContent(written["slug"], written["name"], x, y, written["refill_s"], least, most, loot)
