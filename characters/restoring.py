"""The staff undoes: one character to one of its versions, or everything that a world wrote since a moment.

Undo is a new version that brings an old one back (DESIGN section 5, rule 12): nothing is overwritten, and an
undo can be undone. No line that is in play is touched: its world would write on top of what it knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Min, QuerySet

from accounts.models import Account
from accounts.services import record_audit
from characters.heads import head_of
from characters.lines import Entry, append_version
from characters.models import Character, Line, Version
from characters.provenance import WRITTEN, written_by
from characters.readings import state_if_readable, told_differences
from characters.undoing import Step, Undo, undo_of
from characters.valuable_rules import unpacked
from characters.valuables import BroughtBack, bring_back, to_bring_back
from worlds.models import World

log = structlog.get_logger(__name__)


class LineInPlay(Exception):
    """A world has the lease: the line cannot be changed under it."""

    def __init__(self, line: Line) -> None:
        where = line.holder.name if line.holder else "a world"
        super().__init__(f"{line.character} is in play in {where}; it must log out there first.")


def restore_version(*, version: Version, reason: str, by: Account | None, now: datetime) -> Version | None:
    """Bring one version back as the newest of its line.

    Returns: the new version; None if the head has this very state.
    Raises: LineInPlay.
    """
    with transaction.atomic():
        line = _lock(version.line_id)
        if head_of(line).is_leased(now):
            raise LineInPlay(line)
        found = to_bring_back(line, bytes(version.state), is_locked=True)
        if bytes(line.state) == found.state:
            return None
        made = _bring_back(line, version, found, Version.Kind.RESTORE, now)
        detail: dict[str, object] = {
            "reason": reason, "line": str(line.pk), "to": version.version, "as": made.version,
            "left_out": _ids(found),
        }  # fmt: skip
        target = str(line.character_id)
        record_audit(action="character_restored", account=by, target=target, detail=detail, now=now)
    log.warning("character_restored", character=target, line=str(line.pk), to=version.version)
    return made


def _lock(line_id: UUID) -> Line:
    """Return a line, locked as an acquire locks it: its character, then itself."""
    characters = Character.objects.select_for_update(no_key=True, of=("self",))
    characters.get(lines__id=line_id)
    lines = Line.objects.select_for_update(no_key=True, of=("self",))
    return lines.select_related("character", "holder", "world").get(pk=line_id)


def _bring_back(
    line: Line, source: Version, found: BroughtBack, kind: Version.Kind, now: datetime
) -> Version:
    """Append a version with an old one's state, but for valuables that somebody else has by now.

    A lapsed lease ends: what its world still knows is stale.
    """
    Line.objects.filter(pk=line.pk).update(holder=None, lease_until=None)
    had = unpacked(bytes(line.valuables))
    entry = Entry(kind, found.state, world=None, source=source)
    made = append_version(line=line, entry=entry, now=now)
    bring_back(line=line, had=had, has=found.has, op_id=made.op_id, now=now)
    return made


def _ids(found: BroughtBack) -> list[str]:
    return sorted(str(thing) for thing in found.left_out)


# ---------------------------------------------------------------- one world

Verdict = Literal["to do", "done", "in play", "built on"]


@dataclass(frozen=True)
class LineRollback:
    """What a rollback does, or would do, to one line."""

    line: UUID
    character: UUID
    name: str
    line_name: str
    verdict: Verdict
    undone: int  # versions
    head: int
    back_to: int  # version
    changes: tuple[str, ...]  # from the head to what is brought back
    note: str  # why not; and who else builds on it


def lines_written_by(world: World, since: datetime) -> list[UUID]:
    """Return the lines that a rollback has to look at, in a fixed order."""
    wrote, lifted = (versions.values("line") for versions in _written(world, since))
    lines = Line.objects.filter(pk__in=wrote.union(lifted), character__deleted_at=None)
    return list(lines.order_by("pk").values_list("pk", flat=True))


def _written(world: World, since: datetime) -> tuple[QuerySet[Version], QuerySet[Version]]:
    """Return what a world wrote since then, and what of its forks was lifted to main since then."""
    lifts = Version.objects.filter(kind=Version.Kind.LIFT, at__gte=since, source__isnull=False)
    return written_by(world, since).order_by(), lifts.filter(source__world=world).order_by()


def plan_rollback(*, world: World, since: datetime, now: datetime) -> Iterator[LineRollback]:
    """Say what a rollback of a world would do, line by line; changes nothing."""
    for line_id in lines_written_by(world, since):
        line = Line.objects.select_related("character", "holder", "world").get(pk=line_id)
        if (found := _look(line, world, since, now)) is not None:
            yield found[0]


def roll_back_line(
    *, line_id: UUID, world: World, since: datetime, reason: str, by: Account | None, now: datetime
) -> LineRollback | None:
    """Undo what a world wrote to one line since then, as a new version. Doing it again changes nothing.

    Returns: what was done or why not; None if the head has nothing of it.
    """
    with transaction.atomic():
        line = _lock(line_id)
        found = _look(line, world, since, now)
        if found is None or found[0].verdict != "to do":
            return found[0] if found is not None else None
        rollback, source = found
        back = to_bring_back(line, bytes(source.state), is_locked=True)
        made = _bring_back(line, source, back, Version.Kind.ROLLBACK, now)
        detail: dict[str, object] = {
            "reason": reason, "world": world.slug, "since": since.isoformat(), "line": str(line.pk),
            "to": source.version, "as": made.version, "undone": rollback.undone, "left_out": _ids(back),
        }  # fmt: skip
        target = str(line.character_id)
        record_audit(action="character_rolled_back", account=by, target=target, detail=detail, now=now)
    log.warning("character_rolled_back", character=target, line=str(line.pk), world=world.slug)
    return LineRollback(**{**vars(rollback), "verdict": "done"})


def note_rollback(
    *, world: World, since: datetime, counts: dict[str, int], reason: str, by: Account | None, now: datetime
) -> None:
    """Leave one audit row for the rollback of a world. Args: counts: verdict → lines."""
    detail: dict[str, object] = {"reason": reason, "since": since.isoformat(), **counts}
    record_audit(action="world_rolled_back", account=by, target=world.slug, detail=detail, now=now)


def _look(line: Line, world: World, since: datetime, now: datetime) -> tuple[LineRollback, Version] | None:
    """Return what a rollback means for a line, and the version that it brings back."""
    steps = _steps_since(line, world, since)
    undo = undo_of(steps, head=line.version, world=world.pk, since=since)
    if undo is None:
        return None
    # The one before; if retention has thinned it, the newest that is kept.
    source = line.versions.filter(version__lt=undo.first).order_by("-version")[0]
    note = _obstacle(line, undo, steps, now)
    verdict: Verdict = "to do" if not note else "in play" if head_of(line).is_leased(now) else "built on"
    back = to_bring_back(line, bytes(source.state), is_locked=False)
    before, after = (state_if_readable(data, line.pk) for data in (bytes(line.state), back.state))
    rollback = LineRollback(
        line=line.pk,
        character=line.character_id,
        name=line.character.name,
        line_name="main" if line.world is None else f"fork of {line.world}",
        verdict=verdict,
        undone=len(undo.undone),
        head=line.version,
        back_to=source.version,
        changes=told_differences(before, after),
        note="; ".join(
            part for part in (note, back.note, _handed_over(line, undo), _forks_on(line, undo, world)) if part
        ),
    )
    return rollback, source


def _steps_since(line: Line, world: World, since: datetime) -> dict[int, Step]:
    """Return the facts of a line's versions from the world's first one on, without states."""
    written = [versions.filter(line=line) for versions in _written(world, since)]
    numbers = [versions.aggregate(first=Min("version"))["first"] for versions in written]
    oldest = min((number for number in numbers if number is not None), default=None)
    if oldest is None:
        return {}
    rows = line.versions.filter(version__gte=oldest).values_list(
        "version", "world", "at", "kind", "source__version", "source__line", "source__world"
    )
    return {
        version: Step(
            version,
            by if kind != Version.Kind.LIFT else lifted_of,
            at,
            is_written=kind in WRITTEN or kind == Version.Kind.LIFT,
            is_begin=kind in (Version.Kind.CREATE, Version.Kind.FORK),
            source=source if source_line == line.pk else None,
        )
        for version, by, at, kind, source, source_line, lifted_of in rows
    }


def _obstacle(line: Line, undo: Undo, steps: dict[int, Step], now: datetime) -> str:
    if head_of(line).is_leased(now):
        return f"in play in {line.holder}"
    if undo.built_on:
        worlds = {by for version in undo.built_on if isinstance(by := steps[version].world, int)}
        names = ", ".join(World.objects.filter(pk__in=worlds).values_list("name", flat=True))
        return f"{len(undo.built_on)} later versions of {names} build on it"
    return ""


def _handed_over(line: Line, undo: Undo) -> str:
    """Say that trades and letters are among what is undone: the other side has its own history."""
    exchanges = (Version.Kind.TRADE, Version.Kind.MAIL)
    count = line.versions.filter(version__in=undo.undone, kind__in=exchanges).count()
    return f"{count} trades or letters among them: look at the other sides too" if count else ""


def _forks_on(line: Line, undo: Undo, world: World) -> str:
    """Name the forks of other worlds that were begun from what is undone; they are left as they are."""
    forked = Version.objects.filter(
        kind=Version.Kind.FORK, source__line=line, source__version__in=undo.undone
    ).exclude(world=world)
    names = sorted(set(forked.values_list("world__name", flat=True)))
    return f"forks of {', '.join(names)} were begun from it and stay" if names else ""
