"""Moves of zones that staff asks for, as rows that the world daemon carries out; pins. Plans: plans.py."""

from datetime import datetime

from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import Zone, ZoneCluster, ZoneMove
from worlds.rules import COPIES

OPEN_STATES = (ZoneMove.State.WAITING, ZoneMove.State.MOVING)


class MoveRefused(ValueError):
    """A zone cannot be moved so, or a move cannot be taken back; the text says why."""


def ask_for_move(
    *, zone: Zone, cluster: str, copy: int, by: Account | None, reason: str, now: datetime
) -> ZoneMove:
    """Have a copy of a zone moved to another cluster with everybody in it.

    Args: cluster: its name. copy: 1 is the first. reason: kept in the row and the audit record.
    Raises: MoveRefused.
    """
    target = ZoneCluster.objects.filter(world=zone.world_id, name=cluster).first()
    if target is None:
        raise MoveRefused(f"The world has no cluster {cluster!r}.")
    if not target.is_enabled:
        raise MoveRefused(f"Cluster {cluster} is disabled. Enable it first.")
    if zone.is_pinned and zone.home_cluster_id != target.pk:
        raise MoveRefused("The zone is pinned to its home cluster. Change that first.")
    number = zone.pk * COPIES + copy
    with transaction.atomic():
        Zone.objects.select_for_update().get(pk=zone.pk)  # one after the other: no two for one instance
        if ZoneMove.objects.filter(world=zone.world_id, instance=number, state__in=OPEN_STATES).exists():
            raise MoveRefused("A move of this copy is waiting or under way.")
        move = ZoneMove.objects.create(
            world_id=zone.world_id,
            zone=zone.slug,
            instance=number,
            target=target.name,
            reason=reason,
            state=ZoneMove.State.WAITING,
            asked_at=now,
        )
        _audit("zone_move_asked", move, by, reason, now)
    return move


def take_back(*, move: ZoneMove, by: Account | None, reason: str, now: datetime) -> ZoneMove:
    """Drop a move that has not begun. Raises: MoveRefused: it has, or is over."""
    with transaction.atomic():
        waiting = ZoneMove.objects.filter(pk=move.pk, state=ZoneMove.State.WAITING)
        if not waiting.update(state=ZoneMove.State.DROPPED, ended_at=now):
            raise MoveRefused("The move has begun or is over by now.")
        _audit("zone_move_dropped", move, by, reason, now)
    move.refresh_from_db()
    return move


def set_pin(*, zone: Zone, is_pinned: bool, by: Account | None, reason: str, now: datetime) -> Zone:
    """Keep a zone on its home cluster, or let the planner move it again. Raises: MoveRefused: it is so."""
    with transaction.atomic():
        if not Zone.objects.filter(pk=zone.pk, is_pinned=not is_pinned).update(is_pinned=is_pinned):
            raise MoveRefused("It is so already.")
        record_audit(
            action="zone_pinned" if is_pinned else "zone_unpinned",
            now=now,
            account=by,
            target=f"{zone.world.slug}/{zone.slug}",
            detail={"reason": reason},
        )
    zone.refresh_from_db()
    return zone


def _audit(action: str, move: ZoneMove, by: Account | None, reason: str, now: datetime) -> None:
    record_audit(
        action=action,
        now=now,
        account=by,
        target=f"{move.world.slug}/{move.zone}",
        detail={"move": move.pk, "instance": move.instance, "target": move.target, "reason": reason},
    )
