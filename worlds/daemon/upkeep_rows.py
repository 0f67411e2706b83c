"""The tables of upkeep: read into one event, and what the core writes back. Sync; called by the shell."""

from datetime import datetime
from typing import Any

from worlds import alarms, slow_handlers
from worlds.daemon.core.upkeep import (
    AnnouncementRow,
    EndAlarm,
    Maintenance,
    MoveRow,
    NoteAnnouncement,
    NoteMove,
    NoteRestart,
    RaiseAlarm,
    RestartRow,
    UpkeepEffect,
    UpkeepLoaded,
)
from worlds.daemon.order_rows import policy_told
from worlds.daemon.restart_rows import OPEN_STATES, note_restart
from worlds.models import Alarm, Announcement, PlacementPlan, Restart, RestartPolicy, World, ZoneMove

MAX_TEXT = 400  # characters of an error or a reason
MOST_AT_ONCE = 200  # rows of a kind in one read; the others come when these are done

M, R = ZoneMove.State, Restart.State
OPEN_MOVES = (M.WAITING, M.MOVING)
ENDED_MOVES = (M.DONE, M.FAILED, M.DROPPED)


def load_upkeep(slug: str, now: datetime) -> UpkeepLoaded:
    """Read what this world's daemon is asked for. Args: now: UTC. Raises: World.DoesNotExist."""
    world = World.objects.only("id", "maintenance_since", "maintenance_text").get(slug=slug)
    moves = ZoneMove.objects.filter(world=world, state__in=OPEN_MOVES).order_by("state", "asked_at", "id")
    restarts = Restart.objects.filter(world=world, state__in=OPEN_STATES).order_by("due_at", "id")
    due = Announcement.objects.filter(world=world, said_at__isnull=True, at__lte=now).order_by("at", "id")
    since = world.maintenance_since
    return UpkeepLoaded(
        wall=now,
        moves=tuple(_move(row) for row in moves[:MOST_AT_ONCE]),
        restarts=tuple(_restart(row) for row in restarts[:MOST_AT_ONCE]),
        announcements=tuple(AnnouncementRow(row.pk, row.text) for row in due[:MOST_AT_ONCE]),
        maintenance=Maintenance(since, world.maintenance_text) if since is not None else None,
        handlers_off=slow_handlers.handlers_off(world),
        policy=policy_told(RestartPolicy.objects.filter(world=world).first()),
    )


def _move(row: ZoneMove) -> MoveRow:
    return MoveRow(
        id=row.pk,
        zone=row.zone,
        instance=row.instance,
        source=row.source,
        target=row.target,
        reason=row.reason,
        state="waiting" if row.state == M.WAITING else "moving",
    )


def _restart(row: Restart) -> RestartRow:
    return RestartRow(
        id=row.pk,
        kind="rolling" if row.kind == "rolling" else "full",
        state="planned" if row.state == R.PLANNED else "running",
        due_at=row.due_at,
        reason=row.reason,
        started_at=row.started_at,
        steps=tuple(row.steps),
    )


def write_upkeep(world: World, effect: UpkeepEffect, now: datetime) -> None:
    """Carry out one effect. A row that has ended, by staff or before, stays as it is."""
    match effect:
        case NoteMove():
            _note_move(world, effect, now)
        case NoteRestart():
            note_restart(world, effect, now)
        case NoteAnnouncement(row, heard):
            rows = Announcement.objects.filter(world=world, pk=row, said_at__isnull=True)
            rows.update(said_at=now, heard=heard)
        case RaiseAlarm(key, text, advice, level):
            alarms.raise_alarm(
                key=key, text=text, advice=advice, now=now, world=world, level=Alarm.Level(level)
            )
        case EndAlarm(key):
            alarms.end_alarm(key=key, now=now, world=world)


def _note_move(world: World, note: NoteMove, now: datetime) -> None:
    fields: dict[str, Any] = {
        "instance": note.instance,
        "source": note.source,
        "target": note.target,
        "state": note.state,
        "players": note.players,
        "error": note.error[:MAX_TEXT],
    }
    if note.state in ENDED_MOVES:
        fields["ended_at"] = now
    if note.row is None:
        if note.state in ENDED_MOVES:
            reason = note.reason[:MAX_TEXT]
            ZoneMove.objects.create(world=world, zone=note.zone, reason=reason, asked_at=now, **fields)
        return
    rows = ZoneMove.objects.filter(world=world, pk=note.row, state__in=OPEN_MOVES)
    if note.state == M.MOVING:
        rows.filter(started_at__isnull=True).update(started_at=now)
    rows.update(**fields)
    if note.state in ENDED_MOVES:
        _end_plan(world, note.row, now)


def _end_plan(world: World, move: int, now: datetime) -> None:
    """A plan is over with the last of its moves."""
    plans = PlacementPlan.objects.filter(world=world, moves=move, state=PlacementPlan.State.APPROVED)
    for plan in plans:
        states = set(plan.moves.values_list("state", flat=True))
        if states <= set(ENDED_MOVES):
            plan.state = PlacementPlan.State.FAILED if M.FAILED in states else PlacementPlan.State.DONE
            plan.ended_at = now
            plan.save(update_fields=["state", "ended_at"])
