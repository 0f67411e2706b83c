"""Placement plans as rows: made from what zones cost and clusters say, approved, dropped. The daemon moves.

Called by Celery every few minutes, and by the admin. A plan has a row for each of its moves; what runs
nowhere needs no move, only another home.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.alarms import end_alarm, raise_alarm
from worlds.models import PlacementPlan, Restart, World, Zone, ZoneCluster, ZoneCost, ZoneMove
from worlds.planning.capacity import CLUSTER_MB, cluster_capacity, instance_memory, machine_capacity
from worlds.planning.forecast import week_of, with_present
from worlds.planning.model import Item, Machine, Plan, Seat
from worlds.planning.planner import plan
from worlds.rules import COPIES, is_online

log = structlog.get_logger(__name__)

REST = timedelta(minutes=30)  # between two plans of the planner itself
GOOD_FOR = timedelta(hours=1)  # a proposal: by then others are playing elsewhere
RESTART_NEAR = timedelta(minutes=20)  # a restart so near makes moves for nothing
UNPLACED_ALARM = "placement_no_room"
OPEN_MOVES = (ZoneMove.State.WAITING, ZoneMove.State.MOVING)


class PlanRefused(ValueError):
    """A plan cannot be made, approved or dropped now; the text says why."""


# ---------------------------------------------------------------- what there is


def seats_and_machines(world: World, now: datetime) -> tuple[list[Seat], list[Machine]]:
    """Return the clusters that live and may be used, and the machines that they are on."""
    rows = ZoneCluster.objects.filter(world=world, is_enabled=True).select_related("host")
    alive = [row for row in rows if is_online(row.last_seen_at, now)]
    seats = [
        Seat(
            name=row.name,
            machine=row.host.name if row.host else "",
            capacity=cluster_capacity(float(_figures(row).get("unassigned_ms") or 0.0)),
        )
        for row in alive
    ]
    machines = {}
    for row in alive:
        host = row.host
        said: Mapping[str, Any] = host.status if host else world.host_status
        cores = (host.cores if host else None) or said.get("cores")
        memory = (host.memory_mb if host else None) or said.get("memory_mb")
        name = host.name if host else ""
        processes = sum(seat.machine == name for seat in seats)
        room = float("inf") if memory is None else max(float(memory) - CLUSTER_MB * processes, 0.0)
        machines[name] = Machine(name, machine_capacity(cores, is_own=host is None), room)
    return seats, list(machines.values())


def items(world: World, now: datetime) -> list[Item]:
    """Return every open instance, and every zone that has none, with what it costs hour by hour."""
    hour = hour_of_week(now)
    known: dict[int, dict[int, float]] = {}
    costs = ZoneCost.objects.filter(zone__world=world).values_list("zone", "hour", "cpu_ms")
    for number, at, cost in costs:
        known.setdefault(number, {})[at] = cost
    running = _running(world, now)
    found = []
    for zone in Zone.objects.filter(world=world).select_related("home_cluster"):
        week = week_of(known.get(zone.pk, {}))
        copies = running.get(zone.pk, [])
        for number, cluster, figures in copies:
            week_ahead = with_present(week / len(copies), hour, float(figures.get("cpu_ms") or 0.0))
            memory = instance_memory(float(figures.get("players") or 0))
            found.append(Item(zone.slug, number, week_ahead, memory, cluster, _pin(zone)))
        if not copies:
            home = zone.home_cluster.name if zone.home_cluster else None
            found.append(Item(zone.slug, 0, week, instance_memory(0), home, _pin(zone)))
    return found


def hour_of_week(at: datetime) -> int:
    """Return an instant's hour of the week, UTC; Monday's first is 0."""
    at = at.astimezone(UTC)
    return at.weekday() * 24 + at.hour


def _running(world: World, now: datetime) -> dict[int, list[tuple[int, str, Mapping[str, Any]]]]:
    """Return the open instances by zone: number, cluster, figures."""
    found: dict[int, list[tuple[int, str, Mapping[str, Any]]]] = {}
    for row in ZoneCluster.objects.filter(world=world):
        if not is_online(row.last_seen_at, now):
            continue
        figures = {each["instance"]: each for each in _figures(row).get("instances") or []}
        for number in row.status.get("instances") or []:
            found.setdefault(number // COPIES, []).append((number, row.name, figures.get(number, {})))
    return found


def _figures(row: ZoneCluster) -> Mapping[str, Any]:
    return row.status.get("figures") or {}


def _pin(zone: Zone) -> str | None:
    return zone.home_cluster.name if zone.is_pinned and zone.home_cluster else None


# ---------------------------------------------------------------- plans


def make_plan(*, world: World, now: datetime, by: Account | None = None) -> PlacementPlan:
    """Make a dry run: a plan that is proposed, with a row for each move. An older proposal is dropped.

    Raises: PlanRefused: no cluster is alive.
    """
    seats, machines = seats_and_machines(world, now)
    if not seats:
        raise PlanRefused("No zone cluster of this world is alive: there is nothing to plan with.")
    made = plan(items(world, now), seats, machines)
    with transaction.atomic():
        World.objects.select_for_update().get(pk=world.pk)  # one plan of a world after the other
        _drop(PlacementPlan.objects.filter(world=world, state=PlacementPlan.State.PROPOSED), now)
        row = PlacementPlan.objects.create(
            world=world, by=by, reason=_reason(made), figures=_document(made), made_at=now
        )
        ZoneMove.objects.bulk_create(
            ZoneMove(
                world=world,
                plan=row,
                zone=move.zone,
                instance=move.instance,
                source=move.source or "",
                target=move.target,
                reason=move.reason[:400],
                asked_at=now,
            )
            for move in made.moves
        )
        if by is not None:
            record_audit(
                action="placement_planned", account=by, target=str(row.pk), world_slug=world.slug, now=now
            )
    _tell_of_room(world, made, now)
    return row


def approve(*, plan: PlacementPlan, by: Account | None, now: datetime, reason: str = "") -> None:
    """Let the daemon carry out a plan; zones that run nowhere get their new home at once.

    Raises: PlanRefused: it is not proposed any more, another one is being carried out, or what it was made of
        is not so any more: a cluster is gone, a zone was moved or pinned, an hour has passed.
    """
    with transaction.atomic():
        world = World.objects.select_for_update().get(pk=plan.world_id)
        row = PlacementPlan.objects.select_for_update().get(pk=plan.pk)
        if row.state != PlacementPlan.State.PROPOSED:
            raise PlanRefused("This plan is not proposed any more. Make a new one.")
        if is_moving(world):
            raise PlanRefused("Zones are being moved just now. Wait until they are there, then plan anew.")
        moves = list(row.moves.filter(state=ZoneMove.State.PROPOSED))
        if (
            changed := "its hour is over"
            if now - row.made_at > GOOD_FOR
            else _what_changed(world, moves, now)
        ):
            raise PlanRefused(f"This plan was made of what was then, and {changed}. Make a new one.")
        _set_homes(world, moves)
        idle = [move.pk for move in moves if not move.instance]
        row.moves.filter(pk__in=idle).update(state=ZoneMove.State.DONE, started_at=now, ended_at=now)
        row.moves.filter(state=ZoneMove.State.PROPOSED).update(state=ZoneMove.State.WAITING, asked_at=now)
        is_over = len(idle) == len(moves)
        row.state = PlacementPlan.State.DONE if is_over else PlacementPlan.State.APPROVED
        row.ended_at = now if is_over else None
        row.save(update_fields=["state", "ended_at"])
        detail: dict[str, object] = {"moves": len(moves), "plan": row.pk, "reason": reason}
        record_audit(action="placement_approved", account=by, world_slug=world.slug, detail=detail, now=now)


def drop(*, plan: PlacementPlan, by: Account, now: datetime, reason: str) -> None:
    """Put a proposal aside. Raises: PlanRefused: it is not proposed any more."""
    with transaction.atomic():
        if not _drop(PlacementPlan.objects.filter(pk=plan.pk, state=PlacementPlan.State.PROPOSED), now):
            raise PlanRefused("This plan is not proposed any more.")
        detail: dict[str, object] = {"plan": plan.pk, "reason": reason}
        slug = plan.world.slug
        record_audit(action="placement_dropped", account=by, world_slug=slug, detail=detail, now=now)


def is_moving(world: World) -> bool:
    """Return whether moves are waiting or under way."""
    return ZoneMove.objects.filter(world=world, state__in=OPEN_MOVES).exists()


def plan_when_due(*, now: datetime) -> None:
    """Plan for each world that wants it, unless it has just been done, moves, or is about to restart."""
    for world in World.objects.exclude(placement=World.Placement.BY_HAND):
        if not _is_due(world, now):
            continue
        try:
            row = make_plan(world=world, now=now)
        except PlanRefused:
            continue  # nothing is alive: other alarms tell of that
        if not row.moves.exists():
            row.delete()
        elif world.placement == World.Placement.AUTOMATIC:
            _approve_own(row, now)


def _approve_own(row: PlacementPlan, now: datetime) -> None:
    try:
        approve(plan=row, by=None, now=now)
    except PlanRefused as error:  # staff was quicker
        log.info("plan_not_approved", world=row.world.slug, cause=str(error))


def _is_due(world: World, now: datetime) -> bool:
    if PlacementPlan.objects.filter(world=world, made_at__gt=now - REST).exists() or is_moving(world):
        return False
    is_planned = Restart.objects.filter(
        world=world, state=Restart.State.PLANNED, due_at__lt=now + RESTART_NEAR
    ).exists()
    return not is_planned and not Restart.objects.filter(world=world, state=Restart.State.RUNNING).exists()


# ---------------------------------------------------------------- parts


def _drop(plans: Any, now: datetime) -> int:
    numbers = list(plans.values_list("pk", flat=True))
    ZoneMove.objects.filter(plan__in=numbers, state=ZoneMove.State.PROPOSED).update(
        state=ZoneMove.State.DROPPED, ended_at=now
    )
    return PlacementPlan.objects.filter(pk__in=numbers).update(
        state=PlacementPlan.State.DROPPED, ended_at=now
    )


def _what_changed(world: World, moves: Iterable[ZoneMove], now: datetime) -> str:
    """Return in words what the first move cannot count on any more; empty: all is as it was planned."""
    seats = {seat.name for seat in seats_and_machines(world, now)[0]}
    found = {(item.zone, item.instance): item for item in items(world, now)}
    for move in moves:
        item = found.get((move.zone, move.instance))
        if move.target not in seats:
            return f"{move.target} is not there any more"
        if item is None or (item.seat or "") != move.source:
            return f"{move.zone} is not where it was"
        if item.pinned_to not in (None, move.target):
            return f"{move.zone} is pinned to {item.pinned_to} now"
    return ""


def _set_homes(world: World, moves: Iterable[ZoneMove]) -> None:
    """A zone's first copy opens from now on where the plan puts it: also after a restart of everything."""
    clusters = {row.name: row for row in ZoneCluster.objects.filter(world=world)}
    for move in moves:
        if move.instance % COPIES in (0, 1) and move.target in clusters:
            zones = Zone.objects.filter(world=world, slug=move.zone, is_pinned=False)
            zones.update(home_cluster=clusters[move.target])


def _reason(made: Plan) -> str:
    if not made.moves:
        return "Nothing to move: no cluster will be too full, or no move would help."
    count = len(made.moves)
    moves = "one move" if count == 1 else f"{count} moves"
    return (
        f"{moves.capitalize()}: the fullest cluster goes from {made.before.busiest:.0%} to "
        f"{made.after.busiest:.0%} of what it can do, in its busiest hour."
    )


def _document(made: Plan) -> dict[str, Any]:
    return {
        "before": asdict(made.before),
        "after": asdict(made.after),
        "unplaced": list(made.unplaced),
    }


def _tell_of_room(world: World, made: Plan, now: datetime) -> None:
    """Alarm if there is not enough room whatever is moved; end the alarm when there is."""
    if made.after.overload_hours or made.unplaced:
        lacking = f", and {len(made.unplaced)} zones fit nowhere" if made.unplaced else ""
        raise_alarm(
            key=UNPLACED_ALARM,
            text=f"The zone clusters of {world.slug} are too small: {made.after.overload_hours} hours a week "
            f"over what they can do{lacking}, whatever is moved.",
            advice="Add a zone cluster or a host in the admin, or unpin zones.",
            now=now,
            world=world,
        )
    else:
        end_alarm(key=UNPLACED_ALARM, now=now, world=world)
