"""Brings a world's rows in line with a content pack: in place by slug, in one transaction, with a diff.

Rows keep their ids, so a running cluster and the admin's history go on. Clusters are only added: where they
listen is the operator's business, not the pack's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.db.models import Model

from accounts.models import Account
from accounts.services import record_audit
from worlds.content.pack import Pack, ZoneContent
from worlds.models import (
    ContentPack,
    CreatureKind,
    CreatureSpawn,
    ItemKind,
    PlaySession,
    World,
    Zone,
    ZoneCluster,
    ZoneLink,
)

_ZONE_FIELDS = (
    *("name", "description", "size", "top_speed", "max_players", "climate", "edition"),
    *("instancing", "max_instances"),
    *("is_entry", "entry_x", "entry_y", "entry_heading_deg"),
)
_ITEM_FIELDS = ("name", "stack_size", "value", "weight", "is_valuable", "slot")
_LINK_FIELDS = ("label", "x", "y", "radius", "arrival_x", "arrival_y", "arrival_heading_deg")


@dataclass(frozen=True)
class Change:
    """One row added, changed or removed. `fields`: name to (before, after), for changed rows."""

    action: Literal["added", "changed", "removed"]
    what: str
    name: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportResult:
    """What an import did, or would do. `is_unchanged`: this very pack was imported before."""

    changes: list[Change]
    is_unchanged: bool
    is_dry_run: bool


class ZoneInUse(ValueError):
    """The pack leaves out a zone that somebody is playing in. Nothing was imported."""


def import_pack(
    *, world: World, pack: Pack, now: datetime, by: Account | None = None, is_dry_run: bool = False
) -> ImportResult:
    """Make the world's content what the pack says.

    Raises: ZoneInUse: a zone to be removed has a character in play.
    """
    with transaction.atomic():
        World.objects.select_for_update().get(pk=world.pk)
        before = ContentPack.objects.filter(world=world).first()
        if before is not None and before.digest == pack.digest:
            return ImportResult([], is_unchanged=True, is_dry_run=is_dry_run)
        changes = _apply(world, pack)
        ContentPack.objects.update_or_create(
            world=world,
            defaults={"name": pack.name, "version": pack.version, "digest": pack.digest, "imported_at": now},
        )
        record_audit(
            now=now,
            account=by,
            action="content_imported",
            target=world.slug,
            detail={
                "pack": pack.name,
                "version": pack.version,
                "digest": pack.digest,
                "changes": len(changes),
            },
        )
        if is_dry_run:
            transaction.set_rollback(True)
    return ImportResult(changes, is_unchanged=False, is_dry_run=is_dry_run)


def _apply(world: World, pack: Pack) -> list[Change]:
    changes: list[Change] = []
    clusters = {row.name: row for row in ZoneCluster.objects.filter(world=world)}
    for cluster in pack.clusters:
        if cluster.slug not in clusters:
            clusters[cluster.slug] = ZoneCluster.objects.create(
                world=world, name=cluster.slug, udp_port=0, max_players=cluster.max_players
            )
            changes.append(Change("added", "cluster", cluster.slug))
    kinds = _sync(
        "creature",
        {row.slug: row for row in CreatureKind.objects.filter(world=world)},
        {kind.slug: {"name": kind.name, "speed": kind.speed} for kind in pack.creatures},
        lambda slug, values: CreatureKind(world=world, slug=slug, **values),
        changes,
    )
    items = _sync(
        "item",
        {row.slug: row for row in ItemKind.objects.filter(world=world)},
        {kind.slug: {key: getattr(kind, key) for key in _ITEM_FIELDS} for kind in pack.items},
        lambda slug, values: ItemKind(world=world, slug=slug, **values),
        changes,
    )
    zones, dropped = _sync_zones(world, pack.zones, clusters, changes)
    for content in pack.zones:
        _sync_links(content, zones, changes)
        _sync_spawns(content, zones[content.slug], kinds, changes)
    _remove(
        "zone", dropped, changes
    )  # only now: links that led there lead elsewhere, or were told as removed
    _remove(
        "creature",
        [kind for slug, kind in kinds.items() if slug not in {creature.slug for creature in pack.creatures}],
        changes,
    )
    wanted = {item.slug for item in pack.items}
    _remove("item", [row for slug, row in items.items() if slug not in wanted], changes)
    return changes


def _sync(
    what: str,
    rows: dict[str, Any],
    wanted: Mapping[str, dict[str, Any]],
    make: Callable[[str, dict[str, Any]], Model],
    changes: list[Change],
    name: str = "{}",
) -> dict[str, Any]:
    """Add and change rows by slug; rows that are not wanted stay. Returns all rows by slug."""
    for slug, values in wanted.items():
        row = rows.get(slug)
        if row is None:
            rows[slug] = row = make(slug, values)
            row.save(force_insert=True)
            changes.append(Change("added", what, name.format(slug)))
            continue
        fields = {
            key: (getattr(row, key), value) for key, value in values.items() if getattr(row, key) != value
        }
        if fields:
            for key, (_, value) in fields.items():
                setattr(row, key, value)
            row.save(update_fields=list(fields))
            changes.append(Change("changed", what, name.format(slug), fields))
    return rows


def _remove(what: str, rows: Iterable[Any], changes: list[Change], name: str = "{}") -> None:
    for row in rows:
        changes.append(Change("removed", what, name.format(row.slug)))
        row.delete()


def _sync_zones(
    world: World, contents: Iterable[ZoneContent], clusters: dict[str, ZoneCluster], changes: list[Change]
) -> tuple[dict[str, Zone], list[Zone]]:
    """Bring the zones in line.

    Returns: the pack's zones by slug, and those left out, which are to be removed.
    Raises: ZoneInUse.
    """
    wanted = {
        zone.slug: {key: getattr(zone, key) for key in _ZONE_FIELDS}
        | {
            "home_cluster": clusters[zone.cluster],
            "walls": _walls(zone),
            "vendors": _vendors(zone),
            "chests": _chests(zone),
        }
        for zone in contents
    }
    rows = {row.slug: row for row in Zone.objects.filter(world=world).select_related("home_cluster")}
    dropped = [row for slug, row in rows.items() if slug not in wanted]
    _refuse_zones_in_use(world, dropped)
    # The constraint allows one entry zone at any moment: the old one steps down before the new one steps up.
    entry = next(slug for slug, values in wanted.items() if values["is_entry"])
    Zone.objects.filter(world=world, is_entry=True).exclude(slug=entry).update(is_entry=False)
    zones = _sync("zone", rows, wanted, lambda slug, values: Zone(world=world, slug=slug, **values), changes)
    return {slug: zone for slug, zone in zones.items() if slug in wanted}, dropped


def _walls(zone: ZoneContent) -> list[list[float]]:
    return [[wall.x, wall.y, wall.to_x, wall.to_y] for wall in zone.walls]


def _vendors(zone: ZoneContent) -> list[dict[str, Any]]:
    return [
        {
            "slug": vendor.slug,
            "name": vendor.name,
            "place": [vendor.x, vendor.y, vendor.heading_deg],
            "wares": [
                [ware.item, ware.price, ware.pays] for ware in zone.wares if ware.vendor == vendor.slug
            ],
        }
        for vendor in zone.vendors
    ]


def _chests(zone: ZoneContent) -> list[dict[str, Any]]:
    return [
        {
            "slug": chest.slug,
            "name": chest.name,
            "place": [chest.x, chest.y],
            "refill_s": chest.refill_s,
            "coins": [chest.least_coins, chest.most_coins],
            "loot": [
                [loot.item, loot.chance, loot.least, loot.most]
                for loot in zone.loot
                if loot.chest == chest.slug
            ],
        }
        for chest in zone.chests
    ]


def _refuse_zones_in_use(world: World, dropped: list[Zone]) -> None:
    slugs = [zone.slug for zone in dropped]
    names = list(
        PlaySession.objects.filter(world=world, ended_at__isnull=True, zone__in=slugs)
        .order_by("zone", "character_name")
        .values_list("zone", "character_name")[:10]
    )
    if names:
        who = ", ".join(f"{name} in {zone}" for zone, name in names)
        raise ZoneInUse(
            f"the pack leaves out a zone that is being played in ({who}); "
            "import again when nobody is there, or keep the zone in the pack"
        )


def _sync_links(content: ZoneContent, zones: dict[str, Zone], changes: list[Change]) -> None:
    zone, name = zones[content.slug], f"{content.slug}/{{}}"
    wanted = {
        link.slug: {key: getattr(link, key) for key in _LINK_FIELDS} | {"target": zones[link.target]}
        for link in content.links
    }
    rows = {row.slug: row for row in zone.links.select_related("target")}
    dropped = [row for slug, row in rows.items() if slug not in wanted]
    _sync("link", rows, wanted, lambda slug, values: ZoneLink(zone=zone, slug=slug, **values), changes, name)
    _remove("link", dropped, changes, name)


def _sync_spawns(
    content: ZoneContent, zone: Zone, kinds: dict[str, CreatureKind], changes: list[Change]
) -> None:
    """Spawns have no names: one is the same if creature and place are."""
    rows = {(row.kind_id, row.x, row.y): row for row in zone.spawns.all()}
    wanted = {(kinds[spawn.creature].pk, spawn.x, spawn.y): spawn for spawn in content.spawns}
    for key, spawn in wanted.items():
        row = rows.pop(key, None)
        values = {"count": spawn.count, "radius": spawn.radius}
        name = f"{content.slug}/{spawn.creature}"
        if row is None:
            CreatureSpawn.objects.create(
                zone=zone, kind=kinds[spawn.creature], x=spawn.x, y=spawn.y, **values
            )
            changes.append(Change("added", "spawn", name))
            continue
        fields = {
            key: (getattr(row, key), value) for key, value in values.items() if getattr(row, key) != value
        }
        if fields:
            CreatureSpawn.objects.filter(pk=row.pk).update(**values)
            changes.append(Change("changed", "spawn", name, fields))
    slugs = {kind.pk: slug for slug, kind in kinds.items()}
    for row in rows.values():
        changes.append(Change("removed", "spawn", f"{content.slug}/{slugs[row.kind_id]}"))
        row.delete()
