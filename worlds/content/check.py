"""Zones of a pack against each other: doubles, portals to nowhere, places outside, zones nobody reaches."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import hypot
from typing import Protocol

from accounts.rules import Edition
from worlds.content.check_goods import check_goods
from worlds.content.pack import (
    ClusterContent,
    CreatureContent,
    ItemContent,
    LinkContent,
    SpawnContent,
    Where,
    ZoneContent,
)
from worlds.content.problems import Problem, Severity

CLEARANCE = 1.0  # metres between an arrival and a trigger: nobody is carried on before taking a step
MAX_CREATURES_IN_ZONE = 5000


class _Named(Protocol):
    @property
    def slug(self) -> str: ...
    @property
    def where(self) -> Where: ...


def check_pack(
    clusters: list[ClusterContent],
    creatures: list[CreatureContent],
    items: list[ItemContent],
    zones: list[ZoneContent],
    *,
    is_complete: bool,
) -> list[Problem]:
    """Return everything wrong between the parts of a pack.

    Args: is_complete: every file could be read; else missing names are not held against those who use them.
    """
    problems = [
        *_doubles("cluster", clusters),
        *_doubles("creature", creatures),
        *_doubles("item", items),
        *_doubles("zone", zones),
        *_inside_zones(zones),
        *check_goods(items, zones, is_complete=is_complete),
    ]
    if is_complete:
        problems += _names({c.slug for c in clusters}, {c.slug for c in creatures}, zones)
        problems += _entry(zones)
    problems += _arrivals(zones)
    if is_complete and not problems:
        problems += _reachability(zones)
    return problems


def _refuse(where: Where, message: str) -> Problem:
    return Problem(where.file, where.line, message)


def _doubles(what: str, items: Iterable[_Named]) -> Iterator[Problem]:
    first: dict[str, Where] = {}
    for item in items:
        if item.slug in first:
            before = first[item.slug]
            yield _refuse(
                item.where, f"{what} {item.slug!r} is already defined in {before.file}:{before.line}"
            )
        first.setdefault(item.slug, item.where)


def _is_inside(x: float, y: float, size: float) -> bool:
    return 0 <= x <= size and 0 <= y <= size


def _inside_zones(zones: list[ZoneContent]) -> Iterator[Problem]:
    """Everything that a zone itself contains must lie in it."""
    for zone in zones:
        yield from _doubles("link", zone.links)
        extent = f"zone {zone.slug!r} reaches from 0 to {zone.size:g} m"
        if not _is_inside(zone.entry_x, zone.entry_y, zone.size):
            yield _refuse(zone.where, f"the entry ({zone.entry_x:g}, {zone.entry_y:g}) is outside: {extent}")
        for link in zone.links:
            if not _is_inside(link.x, link.y, zone.size):
                yield _refuse(
                    link.where,
                    f"the trigger of link {link.slug!r} ({link.x:g}, {link.y:g}) is outside: {extent}",
                )
            elif _is_in_trigger(zone.entry_x, zone.entry_y, link):
                yield _refuse(
                    link.where,
                    f"link {link.slug!r} would carry off everybody who enters: move it or the entry",
                )
        yield from _spawns(zone, extent)
        yield from _walls(zone, extent)


def _spawns(zone: ZoneContent, extent: str) -> Iterator[Problem]:
    seen: Counter[tuple[str, float, float]] = Counter()
    for spawn in zone.spawns:
        low, high = min(spawn.x, spawn.y) - spawn.radius, max(spawn.x, spawn.y) + spawn.radius
        if low < 0 or high > zone.size:
            yield _refuse(spawn.where, f"the disc of spawn {spawn.creature!r} reaches outside: {extent}")
        seen[_spawn_key(spawn)] += 1
        if seen[_spawn_key(spawn)] == 2:
            yield _refuse(
                spawn.where, f"a second spawn of {spawn.creature!r} at the same place: add up the counts"
            )
    if sum(spawn.count for spawn in zone.spawns) > MAX_CREATURES_IN_ZONE:
        yield _refuse(zone.where, f"zone {zone.slug!r} spawns more than {MAX_CREATURES_IN_ZONE} creatures")


def _walls(zone: ZoneContent, extent: str) -> Iterator[Problem]:
    for wall in zone.walls:
        ends = f"({wall.x:g}, {wall.y:g}) to ({wall.to_x:g}, {wall.to_y:g})"
        if not (_is_inside(wall.x, wall.y, zone.size) and _is_inside(wall.to_x, wall.to_y, zone.size)):
            yield _refuse(wall.where, f"the wall from {ends} reaches outside: {extent}")
        elif (wall.x, wall.y) == (wall.to_x, wall.to_y):
            yield _refuse(wall.where, f"the wall from {ends} has no length")


def _spawn_key(spawn: SpawnContent) -> tuple[str, float, float]:
    return spawn.creature, spawn.x, spawn.y


def _names(clusters: set[str], creatures: set[str], zones: list[ZoneContent]) -> Iterator[Problem]:
    known = {zone.slug for zone in zones}
    for zone in zones:
        if zone.cluster not in clusters:
            yield _refuse(
                zone.where,
                f"zone {zone.slug!r} asks for cluster {zone.cluster!r}; there are: {_list(clusters)}",
            )
        for link in zone.links:
            if link.target not in known:
                yield _refuse(
                    link.where,
                    f"link {link.slug!r} leads nowhere: no zone {link.target!r}; there are: {_list(known)}",
                )
        for spawn in zone.spawns:
            if spawn.creature not in creatures:
                yield _refuse(spawn.where, f"no creature {spawn.creature!r}; there are: {_list(creatures)}")


def _list(names: set[str]) -> str:
    shown = sorted(names)[:12]
    return ", ".join(shown) + (", …" if len(names) > 12 else "") if shown else "none"


def _entry(zones: list[ZoneContent]) -> Iterator[Problem]:
    entries = [zone for zone in zones if zone.is_entry]
    if not zones:
        yield Problem("zones/", 1, "the pack has no zones: add files zones/<name>.toml")
    elif not entries:
        yield Problem("zones/", 1, "no zone is the entry: set is_entry = true in one of them")
    for entry in entries:
        if entry.edition != Edition.FREE:
            yield _refuse(
                entry.where, f"the entry zone {entry.slug!r} asks for an edition: everybody begins there"
            )
    for second in entries[1:]:
        first = entries[0]
        yield _refuse(
            second.where, f"two entry zones: {second.slug!r}, and {first.slug!r} in {first.where.file}"
        )


def _is_in_trigger(x: float, y: float, link: LinkContent) -> bool:
    return hypot(x - link.x, y - link.y) < link.radius + CLEARANCE


def _arrivals(zones: list[ZoneContent]) -> Iterator[Problem]:
    """Who goes through a portal must arrive inside the target, and must not be taken away at once."""
    by_slug = {zone.slug: zone for zone in reversed(zones)}
    for zone in zones:
        for link in zone.links:
            target = by_slug.get(link.target)
            if target is None:
                continue
            place = f"the arrival of link {link.slug!r} ({link.arrival_x:g}, {link.arrival_y:g})"
            if not _is_inside(link.arrival_x, link.arrival_y, target.size):
                message = f"{place} is outside: zone {target.slug!r} reaches from 0 to {target.size:g} m"
                yield _refuse(link.where, message)
            for other in target.links:
                if _is_in_trigger(link.arrival_x, link.arrival_y, other):
                    effect = (
                        "leads straight back"
                        if other.target == zone.slug
                        else "carries the player on at once"
                    )
                    trigger = f"the trigger of {target.slug!r}/{other.slug!r}"
                    yield _refuse(
                        link.where, f"{place} is within {CLEARANCE:g} m of {trigger}, which {effect}"
                    )


def _reachability(zones: list[ZoneContent]) -> Iterator[Problem]:
    """Every zone must be reachable from the entry; one without a way back is a warning."""
    entry = next(zone for zone in zones if zone.is_entry)
    there = {zone.slug: {link.target for link in zone.links} for zone in zones}
    back: dict[str, set[str]] = {zone.slug: set() for zone in zones}
    for slug, targets in there.items():
        for target in targets:
            back[target].add(slug)
    reached, returning = _reach(entry.slug, there), _reach(entry.slug, back)
    for zone in zones:
        if zone.slug not in reached:
            yield _refuse(
                zone.where, f"no way leads from the entry {entry.slug!r} to zone {zone.slug!r}: add a link"
            )
        elif zone.slug not in returning:
            message = f"no way leads from zone {zone.slug!r} back to the entry {entry.slug!r}"
            yield Problem(zone.where.file, zone.where.line, message, Severity.WARNING)


def _reach(start: str, edges: dict[str, set[str]]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for target in edges[waiting.pop()] - reached:
            reached.add(target)
            waiting.append(target)
    return reached
