"""Reads about versions: a line's history in words, and everything that one world wrote.

Histories are paged by version numbers, so that the thousandth page costs what the first does.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from characters.differences import ZoneName, slugs_of
from characters.models import Fall, Line, Version
from characters.readings import state_if_readable, told_differences
from worlds.models import World
from worlds.selectors import place_names
from zonecluster.protocol.character import CharacterState

# What a world wrote, as against what the master wrote for it (a fork) or the staff.
WRITTEN = (
    *(Version.Kind.PERIODIC, Version.Kind.LEVEL, Version.Kind.QUEST, Version.Kind.ITEM),
    *(Version.Kind.TRADE, Version.Kind.MAIL, Version.Kind.HANDOFF, Version.Kind.LOGOUT),
)
KIND_WORDS = {
    Version.Kind.CREATE: "made",
    Version.Kind.FORK: "a path of its own begins",
    Version.Kind.PERIODIC: "saved",
    Version.Kind.LEVEL: "a new level",
    Version.Kind.QUEST: "a quest",
    Version.Kind.ITEM: "an item",
    Version.Kind.TRADE: "a trade",
    Version.Kind.MAIL: "a letter",
    Version.Kind.HANDOFF: "on the way",
    Version.Kind.LOGOUT: "left",
    Version.Kind.RESTORE: "brought back by the staff",
    Version.Kind.ROLLBACK: "taken back by the staff",
    Version.Kind.LIFT: "made to count everywhere by the staff",
}
PAGE = 20
EXPORTED_AT_ONCE = 500


@dataclass(frozen=True)
class HistoryRow:
    """One version of a line, as a page shows it. `changes`: against the version before it that is kept."""

    pk: int
    version: int
    kind: str
    words: str
    at: datetime
    world: str | None  # slug; None: the master itself
    world_name: str | None
    brings_back: int | None  # version of the same line
    fell: str  # why the write is on the fork and not on main; empty: it is where it was to go
    changes: tuple[str, ...]
    is_head: bool


@dataclass(frozen=True)
class HistoryPage:
    """Some versions of a line, newest first. `older`: where the next page begins; None: this is the last."""

    rows: list[HistoryRow]
    older: int | None


def history_page(line: Line, *, before: int | None = None, size: int = PAGE) -> HistoryPage:
    """Return the versions of a line below `before`, newest first, each with what it changed."""
    versions = Version.objects.filter(line=line).select_related("world", "source", "fall")
    versions = versions.defer("source__state").order_by("-version")
    if before is not None:
        versions = versions.filter(version__lt=before)
    found = list(versions[: size + 1])
    states = [state_if_readable(bytes(version.state), line.pk) for version in found]
    zone_name = _zone_names(states)
    rows = [
        _row(line, version, _changes(states[index : index + 2], zone_name))
        for index, version in enumerate(found)
    ]
    has_more = len(found) > size
    return HistoryPage(rows[:size], older=rows[size - 1].version if has_more else None)


def changes_of(version: Version) -> tuple[str, ...]:
    """Return what one version changed against the one before it that is kept."""
    earlier = Version.objects.filter(line=version.line_id, version__lt=version.version)
    before = earlier.order_by("-version").first()
    if before is None:
        return ()
    states = [state_if_readable(bytes(one.state), version.line_id) for one in (version, before)]
    return _changes(states, _zone_names(states))


def _changes(states: Sequence[CharacterState | None], zone_name: ZoneName) -> tuple[str, ...]:
    """Return what a version changed. Args: states: its own and the one before, if that is kept."""
    return told_differences(states[1], states[0], zone_name) if len(states) == 2 else ()


def _row(line: Line, version: Version, changes: tuple[str, ...]) -> HistoryRow:
    source, fall = version.source, getattr(version, "fall", None)
    return HistoryRow(
        pk=version.pk,
        version=version.version,
        kind=version.kind,
        words=KIND_WORDS[Version.Kind(version.kind)],
        at=version.at,
        world=version.world.slug if version.world else None,
        world_name=version.world.name if version.world else None,
        brings_back=source.version if source is not None and source.line_id == line.pk else None,
        fell=Fall.Reason(fall.reason).label if fall is not None else "",
        changes=changes,
        is_head=version.version == line.version,
    )


def _zone_names(states: Sequence[CharacterState | None]) -> ZoneName:
    readable = [state for state in states if state is not None]
    places = {(world, place.zone) for state in readable for world, place in state.places.items()}
    names = place_names(places)

    def zone_name(world: str, zone: str) -> str:
        known = names.get((world, zone), ("", zone))[1]
        return known if known != zone else slugs_of(world, zone)

    return zone_name


def written_by(world: World, since: datetime) -> QuerySet[Version]:
    """Return everything a world wrote since then, oldest first."""
    return Version.objects.filter(world=world, at__gte=since, kind__in=WRITTEN).order_by("at", "pk")


def json_lines(versions: QuerySet[Version]) -> Iterator[str]:
    """Yield one JSON document a version, each with a line feed: who, when, where, chain and state."""
    rows = versions.select_related("line__character", "line__world", "world", "source").defer(
        "line__state", "source__state"
    )
    for version in rows.iterator(chunk_size=EXPORTED_AT_ONCE):
        yield json.dumps(_exported(version), sort_keys=True, ensure_ascii=False) + "\n"


def _exported(version: Version) -> dict[str, object]:
    line = version.line
    return {
        "character": str(line.character_id),
        "character_name": line.character.name,
        "line": str(line.pk),
        "line_of": line.world.slug if line.world else None,
        "version": version.version,
        "kind": version.kind,
        "world": version.world.slug if version.world else None,
        "epoch": version.epoch,
        "op_id": str(version.op_id),
        "at": version.at.isoformat(),
        "brings_back": version.source.version if version.source else None,
        "prev_chain": bytes(version.prev_chain).hex(),
        "chain": bytes(version.chain).hex(),
        "state_hash": bytes(version.state_hash).hex(),
        "state": json.loads(bytes(version.state)),
    }
