"""Orders that are rows of this world's database: restarts, and the policy of them. Sync; called by the shell.

An order may come twice (the daemon died before it told of its end): each finds what it wants already there.
"""

from datetime import datetime, time

from django.db import transaction
from django.utils import timezone

from worlds.daemon.core.ordering import CarriedOut, CarryOut, RowDeed
from worlds.models import Restart, RestartPolicy, World
from worlds.restart_rules import NeverDue, fault_of
from worlds.restarts import (
    OPEN_STATES,
    RestartRefused,
    cancel_restart,
    change_policy,
    move_restart,
    plan_restart,
    policy_of,
)
from worlds.uplink.orders import Cancel, PlanRestart, Policy, Postpone

ANOTHER = "The next restart is another one by now. Look at it, and order again."


def carry_out(slug: str, effect: CarryOut, now: datetime) -> CarriedOut:
    """Have the rows as ordered. Raises: DatabaseError: the database is away; nothing was changed."""
    world = World.objects.get(slug=slug)
    try:
        with transaction.atomic():
            told = _carry_out(world, effect.deed, now)
    except RestartRefused as error:
        return CarriedOut(effect.order, False, str(error))
    return CarriedOut(effect.order, True, told)


def _carry_out(world: World, deed: RowDeed, now: datetime) -> str:
    row = Restart.objects.filter(world=world, state__in=OPEN_STATES).order_by("due_at").first()
    match deed:
        case PlanRestart(kind, due_at, reason):
            if row is None or (row.kind, row.due_at) != (kind, due_at):
                plan_restart(world=world, kind=kind, due_at=due_at, reason=reason, by=None, now=now)
            return f"The restart is planned for {_words(due_at)}."
        case Postpone(was_due_at, due_at, reason):
            if row is None or row.due_at not in (was_due_at, due_at):
                raise RestartRefused(ANOTHER)
            if row.due_at != due_at:
                move_restart(restart=row, due_at=due_at, reason=reason, by=None, now=now)
            return f"The restart is at {_words(due_at)} now."
        case Cancel(was_due_at, reason):
            if row is None:
                return "No restart is planned."
            if row.due_at != was_due_at:
                raise RestartRefused(ANOTHER)
            cancel_restart(restart=row, reason=reason, by=None, now=now)
            return "The restart has been called off."
        case Policy():
            _set_policy(world, deed, now)
            return "The world restarts by this policy now."


def _set_policy(world: World, deed: Policy, now: datetime) -> None:
    row = RestartPolicy.objects.filter(world=world).first() or RestartPolicy(world=world)
    row.when, row.kind, row.time_zone, row.weekdays = deed.when, deed.kind, deed.time_zone, deed.weekdays
    row.min_uptime_h, row.blackout_days = deed.min_uptime_h, list(deed.blackout_days)
    row.at = None if deed.at is None else time.fromisoformat(deed.at)
    try:
        fault = fault_of(policy_of(row), now)
    except NeverDue as error:
        fault = str(error)
    if fault:
        raise RestartRefused(fault)
    row.save()
    change_policy(row=row, now=now)


def policy_told(row: RestartPolicy | None) -> Policy:
    """Return what the master is told of the policy; a world without one restarts never by itself."""
    if row is None:
        return Policy("never")
    return Policy(
        when=RestartPolicy.When(row.when).value,  # type: ignore[arg-type]
        kind=RestartPolicy.Kind(row.kind).value,  # type: ignore[arg-type]
        at=None if row.at is None else f"{row.at:%H:%M}",
        time_zone=row.time_zone,
        weekdays=row.weekdays,
        min_uptime_h=min(row.min_uptime_h, 1000),
        blackout_days=[str(day)[:10] for day in row.blackout_days][:400],
    )


def _words(instant: datetime) -> str:
    return f"{timezone.localtime(instant):%Y-%m-%d %H:%M %Z}"
