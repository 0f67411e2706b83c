"""Orders of keepers as rows: given, carried by answers to the world's reports, ended by what reports say.

The master opens no connection to a world: an order waits here until the world reports, every 5 s.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
import structlog
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import World, WorldOrder
from worlds.uplink.orders import (
    MAX_ORDERS,
    Announce,
    Cancel,
    Deed,
    Kick,
    Order,
    OrderEnded,
    PlanRestart,
    Policy,
    Postpone,
    body_of,
    deed_of,
)

log = structlog.get_logger(__name__)

Outcome = WorldOrder.Outcome
MOST_WAITING = MAX_ORDERS
KEEP_FOR = timedelta(days=90)
# How long an order waits for a world that does not report. Somebody may be back long after a kick was meant.
GOOD_FOR: dict[type, timedelta] = {
    Kick: timedelta(minutes=1),
    Announce: timedelta(minutes=10),
    PlanRestart: timedelta(hours=1),
    Postpone: timedelta(hours=1),
    Cancel: timedelta(hours=1),
    Policy: timedelta(days=7),
}
KIND_OF: dict[type, WorldOrder.Kind] = {
    Kick: WorldOrder.Kind.KICK,
    Announce: WorldOrder.Kind.ANNOUNCE,
    PlanRestart: WorldOrder.Kind.RESTART,
    Postpone: WorldOrder.Kind.POSTPONE,
    Cancel: WorldOrder.Kind.CANCEL,
    Policy: WorldOrder.Kind.POLICY,
}


class OrderRefused(ValueError):
    """It cannot be ordered; the text says why and what to do."""


def give_order(*, world: World, deed: Deed, about: str, by: Account, now: datetime) -> WorldOrder:
    """Have a world do something, as soon as it reports.

    Args: about: for people: whom or what it is about.
    Raises: OrderRefused: too many wait already, or it is none that a world could understand.
    """
    kind, body = KIND_OF[type(deed)], body_of(deed)
    try:
        deed_of(Order(uuid4(), kind.value, body))
    except ValueError as error:
        raise OrderRefused(str(error)) from error
    with transaction.atomic():
        World.objects.select_for_update(no_key=True).get(pk=world.pk)
        if _waiting(world, now).count() >= MOST_WAITING:
            raise OrderRefused("The world has not answered your last orders yet. Wait until it has.")
        order = WorldOrder.objects.create(
            world=world,
            kind=kind,
            body=body,
            about=about[:200],
            by=by,
            made_at=now,
            expires_at=now + GOOD_FOR[type(deed)],
        )
        detail: dict[str, object] = {"order": str(order.pk), **body}
        record_audit(action=f"ordered_{kind.value}", account=by, target=world.slug, detail=detail, now=now)
    log.info("order_given", world=world.slug, kind=kind.value, order=str(order.pk))
    return order


def orders_for(world: World, now: datetime) -> list[Order]:
    """Return what the answer to a report carries: all that wait, oldest first. A query, two if any is new."""
    rows = list(_waiting(world, now).order_by("made_at", "pk")[:MAX_ORDERS])
    fresh = [row.pk for row in rows if row.sent_at is None]
    if fresh:
        WorldOrder.objects.filter(pk__in=fresh).update(sent_at=now)
    return [Order(row.pk, row.kind, row.body) for row in rows]


def note_ended(world: World, ended: Sequence[OrderEnded], now: datetime) -> None:
    """Write down what a report says has become of orders. Others' orders, and ended ones, are left alone."""
    for end in ended:
        told = "".join(c for c in end.told if c.isprintable())
        outcome = Outcome.DONE if end.is_done else Outcome.REFUSED
        rows = WorldOrder.objects.filter(world=world, pk=end.id, ended_at__isnull=True)
        if rows.update(ended_at=now, outcome=outcome, told=told):
            log.info("order_ended", world=world.slug, order=str(end.id), outcome=outcome.value)


def expire_orders(*, now: datetime) -> int:
    """End what no world has answered in time, and forget what is long over. Returns: how many expired."""
    late = WorldOrder.objects.filter(outcome=Outcome.WAITING, expires_at__lte=now)
    expired = late.update(outcome=Outcome.EXPIRED, ended_at=now)
    WorldOrder.objects.filter(made_at__lt=now - KEEP_FOR).exclude(outcome=Outcome.WAITING).delete()
    return expired


def newest_orders(world: World, limit: int = 20) -> list[WorldOrder]:
    """Return the newest orders of a world, for its keepers. One query."""
    return list(WorldOrder.objects.filter(world=world).select_related("by")[:limit])


def policy_reported(world: World) -> Policy | None:
    """Return by which policy a world says that it restarts; None: it has not said."""
    said = world.report.get("policy") if isinstance(world.report, dict) else None
    try:
        return msgspec.convert(said, Policy | None)
    except msgspec.ValidationError:
        return None


def _waiting(world: World, now: datetime) -> QuerySet[WorldOrder]:
    return WorldOrder.objects.filter(world=world, outcome=Outcome.WAITING, expires_at__gt=now)
