"""Reads about worlds, for lists, pages and REST. Populations are leases in force, not what a world says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from worlds.models import World, Zone, ZoneCluster
from worlds.restart_rules import NOTICE_MINUTES
from worlds.rules import ONLINE_FOR, is_online, maintenance_of
from worlds.uplink.messages import PlannedRestart

ORDERS = {
    "name": ("name", "slug"),
    "-name": ("-name", "-slug"),
    "players": ("players", "name", "slug"),
    "-players": ("-players", "name", "slug"),
    "age": ("-created_at", "slug"),  # youngest first
    "-age": ("created_at", "slug"),
}
DEFAULT_ORDER = "-players"
RESTART_SHOWN = timedelta(hours=1)  # a restart that is past by more has been forgotten to be told

_ROW_COLUMNS = (
    *("slug", "name", "tagline", "tier", "language", "region", "ruleset", "edition"),
    *("players", "max_players", "last_report_at", "suspended_at", "created_at"),
    *("maintenance_since", "maintenance_text", "report__maintenance", "report__restart"),
    *("tags", "gateway_url", "banner__digest"),
)


@dataclass(frozen=True)
class WorldFilters:
    """Which worlds to list, and in what order. Empty text: any."""

    search: str = ""
    language: str = ""
    region: str = ""
    ruleset: str = ""
    tier: str = ""
    edition: str = ""
    is_online: bool | None = None
    order: str = DEFAULT_ORDER
    tag: str = ""


@dataclass(frozen=True)
class NextRestart:
    """When a world restarts, and how: "rolling" puts nobody out, "full" takes up to two minutes."""

    at: datetime
    kind: str
    minutes: int | None  # until then, if players are being told of it already; 0: it is under way


@dataclass(frozen=True)
class WorldRow:
    """A world, as lists show it."""

    slug: str
    name: str
    tagline: str
    tier: str
    language: str
    region: str
    ruleset: str
    edition: str  # needed to enter
    players: int  # leases in force
    max_players: int
    is_online: bool
    is_suspended: bool
    created_at: datetime
    maintenance: str | None = None  # why only its operators are let in
    restart: NextRestart | None = None  # the next one, as the world has told; or the one under way
    tags: Sequence[str] = ()
    gateway_url: str = ""  # of the world link; by its origin browsers measure their ping
    banner: str = ""  # digest of its banner; empty: it has none


@dataclass(frozen=True)
class ZoneRow:
    """A zone, as the world's page shows it."""

    slug: str
    name: str
    description: str
    size: float  # metres
    is_entry: bool


@dataclass(frozen=True)
class ClusterRow:
    """A zone cluster, as the world's page shows it."""

    name: str
    zones: int
    is_up: bool | None  # it reported lately; None: it never did


@dataclass(frozen=True)
class WorldPage:
    """A world with everything its page shows. `zones`: only where the master knows them (one deployment)."""

    row: WorldRow
    description: str
    motd: str
    zones: Sequence[ZoneRow]
    id: int = 0
    house_rules: str = ""


@dataclass(frozen=True)
class Population:
    """The platform at a moment."""

    players: int
    worlds_online: int
    worlds: int


def with_players(worlds: QuerySet[World], now: datetime) -> QuerySet[World]:
    """Annotate `players`: the leases in force that the master granted to each world.

    Counted for each world by the index of holders: joined and grouped, it read every line there is.
    """
    lines: Any = World._meta.get_field("leases").related_model  # Line: this app knows no lines
    in_force = lines.objects.filter(holder=OuterRef("pk"), lease_until__gt=now).order_by()
    counted = in_force.values("holder").annotate(count=Count("pk")).values("count")
    return worlds.annotate(players=Coalesce(Subquery(counted), 0))


def listed_worlds(now: datetime, filters: WorldFilters | None = None) -> QuerySet[World]:
    """Return the worlds for the public list, annotated with `players`, in the order asked for."""
    filters = filters or WorldFilters()
    worlds = World.objects.filter(is_listed=True, suspended_at__isnull=True)
    exact = {
        name: getattr(filters, name)
        for name in ("language", "region", "ruleset", "tier", "edition")
        if getattr(filters, name)
    }
    worlds = worlds.filter(**exact)
    if filters.tag:
        worlds = worlds.filter(tags__contains=[filters.tag])
    if filters.search:
        words = filters.search
        worlds = worlds.filter(
            Q(name__icontains=words)
            | Q(slug__icontains=words)
            | Q(tagline__icontains=words)
            | Q(description__icontains=words)
        )
    if filters.is_online is not None:
        online = Q(last_report_at__gte=now - ONLINE_FOR)
        worlds = worlds.filter(online) if filters.is_online else worlds.exclude(online)
    return with_players(worlds, now).order_by(*ORDERS[filters.order])


def world_rows(worlds: QuerySet[World], now: datetime) -> list[WorldRow]:
    """Return plain rows of worlds annotated by with_players or listed_worlds. One query."""
    return [_row(values, now) for values in worlds.values(*_ROW_COLUMNS)]


def listing_rows(worlds: QuerySet[World], now: datetime) -> list[tuple[int, WorldRow]]:
    """Return (id, row) of worlds annotated by with_players, listed or not. One query."""
    return [(values.pop("id"), _row(values, now)) for values in worlds.values("id", *_ROW_COLUMNS)]


def choices_of_list() -> dict[str, list[str]]:
    """Return which languages, regions, rulesets and tags the listed worlds have. One query."""
    columns = ("language", "region", "ruleset", "tags")
    worlds = World.objects.filter(is_listed=True, suspended_at__isnull=True).order_by()
    found: dict[str, set[str]] = {name: set() for name in columns}
    for *words, tags in worlds.values_list(*columns).distinct():
        for name, word in zip(columns, words, strict=False):
            found[name].add(word)
        found["tags"].update(tags)
    return {name: sorted(words, key=str.casefold) for name, words in found.items()}


def world_page(slug: str, now: datetime) -> WorldPage | None:
    """Return a world for its page; None if there is no such world. Unlisted worlds have pages too."""
    values = (
        with_players(World.objects.filter(slug=slug), now)
        .values(*_ROW_COLUMNS, "description", "motd", "house_rules", "id")
        .first()
    )
    if values is None:
        return None
    world_id = values.pop("id")
    zones = Zone.objects.filter(world_id=world_id).order_by("-is_entry", "name")
    return WorldPage(
        id=world_id,
        house_rules=values.pop("house_rules"),
        description=values.pop("description"),
        motd=values.pop("motd"),
        zones=[
            ZoneRow(*zone) for zone in zones.values_list("slug", "name", "description", "size", "is_entry")
        ],
        row=_row(values, now),
    )


def clusters_of(slug: str, now: datetime) -> list[ClusterRow]:
    """Return a world's enabled zone clusters, where the master knows them (one deployment). One query."""
    clusters = ZoneCluster.objects.filter(world__slug=slug, is_enabled=True).order_by("name")
    rows = clusters.annotate(count=Count("zones")).values_list("name", "count", "last_seen_at")
    return [ClusterRow(name, count, is_online(seen, now) if seen else None) for name, count, seen in rows]


def place_names(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the names of places: (world slug, zone slug) → (world name, zone name). Two queries.

    A world whose zones the master does not know gives its own name and the zone's slug.
    """
    wanted = set(places)
    worlds = dict(World.objects.filter(slug__in={world for world, _ in wanted}).values_list("slug", "name"))
    zones = Zone.objects.filter(world__slug__in=worlds, slug__in={zone for _, zone in wanted})
    names = {(world, zone): name for world, zone, name in zones.values_list("world__slug", "slug", "name")}
    return {
        (world, zone): (worlds[world], names.get((world, zone), zone))
        for world, zone in wanted
        if world in worlds
    }


def _row(values: dict[str, Any], now: datetime) -> WorldRow:
    last_report_at, suspended_at = values.pop("last_report_at"), values.pop("suspended_at")
    since, text = values.pop("maintenance_since"), values.pop("maintenance_text")
    return WorldRow(
        restart=restart_of_report(values.pop("report__restart"), now),
        maintenance=maintenance_of(since, text, text_of_report(values.pop("report__maintenance"))),
        banner=values.pop("banner__digest") or "",
        **values,
        is_online=suspended_at is None and is_online(last_report_at, now),
        is_suspended=suspended_at is not None,
    )


def restart_of_report(said: object, now: datetime) -> NextRestart | None:
    """Return what a world's report says of its next restart; what is none, or long past, says nothing."""
    try:
        told = msgspec.convert(said, PlannedRestart | None)
    except msgspec.ValidationError:
        return None
    if told is None or told.at.tzinfo is None or now - told.at > RESTART_SHOWN:
        return None
    left_s = (told.at - now).total_seconds()
    minutes = max(0, -int(-left_s // 60)) if left_s <= 60 * NOTICE_MINUTES[0] else None
    return NextRestart(told.at, told.kind, minutes)


def text_of_report(said: object) -> str | None:
    """Return what a world's report says of its maintenance; what is no text says nothing."""
    return said if isinstance(said, str) else None


def platform_population(now: datetime) -> Population:
    """Return how many play, and how many listed worlds there are and are online, in one query each."""
    worlds = World.objects.filter(is_listed=True, suspended_at__isnull=True)
    counts = worlds.aggregate(
        worlds=Count("pk"), worlds_online=Count("pk", filter=Q(last_report_at__gte=now - ONLINE_FOR))
    )
    players = World.objects.aggregate(players=Count("leases", filter=Q(leases__lease_until__gt=now)))
    return Population(**counts, **players)
