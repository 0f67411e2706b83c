"""Restarts of a world as rows: planned by its policy or by staff, postponed, called off. The rest is
the daemon's.

Called by Celery (every minute) and by the admin. Whatever these die in the middle of, one row says what is
meant: the database holds that a world has at most one restart that is planned or running.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.alarms import end_alarm, raise_alarm
from worlds.models import Alarm, PopulationHour, Restart, RestartPolicy, World
from worlds.restart_rules import (
    LATE,
    Due,
    HourSample,
    NeverDue,
    Policy,
    Profile,
    blackout_of,
    fault_of,
    learn,
    next_due,
)
from worlds.restart_steps import MAX_STEPS, Step, document_of

log = structlog.get_logger(__name__)

LEARN_FROM = timedelta(weeks=8)
MAX_AHEAD = timedelta(days=60)
WARNING_S = 60  # of a full restart that is brought forward: entries are refused, and the players are told
STUCK_AFTER = timedelta(hours=2)
OPEN_STATES = (Restart.State.PLANNED, Restart.State.RUNNING)
ONE_AT_A_TIME = (
    "A restart of this world is planned or under way. Postpone it, bring it forward, or call it off."
)
POLICY_ALARM, MISSED_ALARM, STUCK_ALARM = "restart_policy", "restart_missed", "restart_stuck"


class RestartRefused(ValueError):
    """A restart cannot be planned or changed so; the text says why, and what to do."""


# ---------------------------------------------------------------- policies


def policy_of(row: RestartPolicy) -> Policy:
    """Return a policy's values. Raises: NeverDue: its blackout days are none."""
    return Policy(
        when=RestartPolicy.When(row.when).value,  # type: ignore[arg-type]
        at=row.at,
        time_zone=row.time_zone,
        weekdays=row.weekdays,
        min_uptime=timedelta(hours=row.min_uptime_h),
        blackout_days=blackout_of(row.blackout_days),
    )


def policy_fault(row: RestartPolicy, now: datetime) -> str:
    """Return why a policy can never fire; empty if it can."""
    try:
        return fault_of(policy_of(row), now)
    except NeverDue as error:
        return str(error)


def profile_of(world: World, time_zone: str, now: datetime) -> Profile:
    """Return what is known of a world's population by local hour of the week. Raises: NeverDue."""
    hours = PopulationHour.objects.filter(world=world, at__gte=now - LEARN_FROM, at__lt=now)
    rows = hours.values_list("at", "mean", "samples")
    return learn((HourSample(*row) for row in rows), time_zone)


def due_by_policy(row: RestartPolicy, now: datetime) -> Due:
    """Return when a world is restarted next by its policy. Raises: NeverDue."""
    policy = policy_of(row)
    profile = profile_of(row.world, policy.time_zone, now) if policy.when == "off_peak" else None
    ended = Restart.objects.filter(world=row.world).exclude(state__in=OPEN_STATES).order_by("-due_at")
    newest = ended.values_list("due_at", flat=True).first()
    done = ended.filter(state=Restart.State.DONE).values_list("due_at", flat=True).first()
    return next_due(policy, now, last=done, after=newest, profile=profile)


def plan_by_policies(*, now: datetime) -> int:
    """Plan the next restart of each world that has a policy and none planned. Idempotent.

    Returns: how many were planned.
    """
    for world in World.objects.filter(restarts__state__in=OPEN_STATES).distinct():
        give_up_missed(world=world, now=now)
    planned = 0
    for row in RestartPolicy.objects.exclude(when=RestartPolicy.When.NEVER).select_related("world"):
        if not Restart.objects.filter(world=row.world, state__in=OPEN_STATES).exists():
            planned += _plan_by_policy(row, now)
    return planned


def _plan_by_policy(row: RestartPolicy, now: datetime) -> bool:
    try:
        due = due_by_policy(row, now)
    except NeverDue as error:
        advice = "Change the world's restart policy in the admin, or set it to never."
        raise_alarm(key=POLICY_ALARM, text=str(error), advice=advice, now=now, world=row.world)
        return False
    end_alarm(key=POLICY_ALARM, now=now, world=row.world)
    try:
        _create(row.world, row.kind, due.at, "", None, due.why, now)
    except RestartRefused:
        return False  # another worker, or somebody of the staff, was quicker
    return True


def change_policy(*, row: RestartPolicy, now: datetime) -> None:
    """A policy was saved: what it had planned before is planned anew, unless staff has put it off already.

    Raises: RestartRefused: the policy can never fire.
    """
    if fault := policy_fault(row, now):
        raise RestartRefused(fault)
    end_alarm(key=POLICY_ALARM, now=now, world=row.world)
    with transaction.atomic():
        restart = _open_of(row.world)
        if restart is None or restart.state != Restart.State.PLANNED or restart.by_id or _is_put_off(restart):
            return
        if row.when == RestartPolicy.When.NEVER:
            _end(restart, Restart.State.CANCELLED, Step(now, "called_off", text="The policy is never."), now)
            return
        due = due_by_policy(row, now)
        restart.kind = row.kind
        _move(restart, due.at, Step(now, "changed", due=due.at, text=f"policy changed: {due.why}"))


# ---------------------------------------------------------------- what staff does


def plan_fault(world: World, due_at: datetime, now: datetime) -> str:
    """Return why a restart cannot be planned for this instant; empty if it can."""
    if not now - timedelta(minutes=1) <= due_at <= now + MAX_AHEAD:
        return f"Choose a time between now and {MAX_AHEAD.days} days ahead."
    return ONE_AT_A_TIME if Restart.objects.filter(world=world, state__in=OPEN_STATES).exists() else ""


def plan_restart(
    *, world: World, kind: str, due_at: datetime, reason: str, by: Account | None, now: datetime
) -> Restart:
    """Plan a restart by hand.

    Raises: RestartRefused: one is planned already, or the instant is past or too far ahead.
    """
    if fault := plan_fault(world, due_at, now):
        raise RestartRefused(fault)
    with transaction.atomic():
        restart = _create(world, kind, due_at, reason, by, "", now)
        detail: dict[str, object] = {"kind": kind, "due_at": due_at.isoformat(), "reason": reason}
        record_audit(action="restart_planned", account=by, target=world.slug, detail=detail, now=now)
    return restart


def postpone_restart(
    *, restart: Restart, minutes: int, reason: str, by: Account | None, now: datetime
) -> Restart:
    """Put a planned restart off by some minutes. Raises: RestartRefused: it has begun or is over."""
    with transaction.atomic():
        due_at = _planned(restart).due_at + timedelta(minutes=minutes)
        return move_restart(restart=restart, due_at=due_at, reason=reason, by=by, now=now)


def move_restart(
    *, restart: Restart, due_at: datetime, reason: str, by: Account | None, now: datetime
) -> Restart:
    """Have a planned restart at another instant. Raises: RestartRefused: it has begun, or is too far."""
    with transaction.atomic():
        row = _planned(restart)
        if not now < due_at <= now + MAX_AHEAD:
            raise RestartRefused(f"It would be due at {due_at:%Y-%m-%d %H:%M} UTC. Choose another time.")
        minutes = round((due_at - row.due_at).total_seconds() / 60)
        _move(row, due_at, Step(now, "changed", due=due_at, text=reason[:400], by=str(by or "")))
        detail: dict[str, object] = {"minutes": minutes, "due_at": due_at.isoformat(), "reason": reason}
        record_audit(action="restart_postponed", account=by, target=row.world.slug, detail=detail, now=now)
    return row


def restart_now(*, restart: Restart, reason: str, by: Account | None, now: datetime) -> Restart:
    """Bring a planned restart forward: a full one to a minute from now, a rolling one to this moment.

    Raises: RestartRefused: it has begun or is over.
    """
    with transaction.atomic():
        row = _planned(restart)
        is_full = row.kind == RestartPolicy.Kind.FULL
        due_at = min(row.due_at, now + timedelta(seconds=WARNING_S if is_full else 0))
        _move(row, due_at, Step(now, "changed", due=due_at, text=reason[:400], by=str(by or "")))
        detail: dict[str, object] = {"due_at": due_at.isoformat(), "reason": reason}
        record_audit(
            action="restart_brought_forward", account=by, target=row.world.slug, detail=detail, now=now
        )
    return row


def cancel_restart(*, restart: Restart, reason: str, by: Account | None, now: datetime) -> Restart:
    """Call a planned restart off. Its policy plans the next one, later. Raises: RestartRefused."""
    with transaction.atomic():
        row = _planned(restart)
        step = Step(now, "called_off", text=reason[:400], by=str(by or ""))
        _end(row, Restart.State.CANCELLED, step, now)
        detail: dict[str, object] = {"due_at": row.due_at.isoformat(), "reason": reason}
        record_audit(action="restart_cancelled", account=by, target=row.world.slug, detail=detail, now=now)
    return row


# ---------------------------------------------------------------- what nobody has carried out


def give_up_missed(*, world: World, now: datetime) -> None:
    """Fail a planned restart that nobody began in time, with an alarm: its quiet hour is over.

    One that was begun stays as it is: the world daemon goes on with it, or fails it, as soon as there is one.
    """
    with transaction.atomic():
        row = _open_of(world)
        if row is None:
            return
        if row.state == Restart.State.PLANNED and now - row.due_at > LATE:
            text = f"The restart of {row.due_at:%Y-%m-%d %H:%M} UTC was not begun within 15 minutes."
            _end(row, Restart.State.FAILED, Step(now, "failed", text=text), now, error=text)
            advice = (
                "See whether the world daemon runs. The next restart comes by the policy; or plan one now."
            )
            raise_alarm(key=MISSED_ALARM, text=text, advice=advice, now=now, world=world)
        elif row.state == Restart.State.RUNNING and now - (row.started_at or row.due_at) > STUCK_AFTER:
            text = (
                f"The restart of {row.due_at:%Y-%m-%d %H:%M} UTC has been under way for more than two hours."
            )
            advice = "See whether the world daemon runs: it goes on with it, or fails it with the reason."
            level = Alarm.Level.URGENT
            raise_alarm(key=STUCK_ALARM, text=text, advice=advice, now=now, world=world, level=level)


# ---------------------------------------------------------------- rows


def _create(
    world: World, kind: str, due_at: datetime, reason: str, by: Account | None, why: str, now: datetime
) -> Restart:
    step = Step(now, "planned", due=due_at, text=why, by=str(by or ""))
    values: dict[str, Any] = {"kind": kind, "due_at": due_at, "reason": reason, "by": by, "made_at": now}
    try:
        with transaction.atomic():
            row = Restart.objects.create(world=world, steps=document_of(step), **values)
    except IntegrityError as error:
        raise RestartRefused(ONE_AT_A_TIME) from error
    log.info("restart_planned", world=world.slug, kind=kind, due_at=due_at.isoformat(), why=why or reason)
    return row


def _open_of(world: World) -> Restart | None:
    """Return a world's planned or running restart, locked."""
    rows = Restart.objects.select_for_update(of=("self",)).select_related("world")
    return rows.filter(world=world, state__in=OPEN_STATES).first()


def _planned(restart: Restart) -> Restart:
    """Return a planned restart, locked. Raises: RestartRefused: it has begun or is over."""
    row = Restart.objects.select_for_update(of=("self",)).select_related("world").get(pk=restart.pk)
    if row.state != Restart.State.PLANNED:
        raise RestartRefused(f"This restart is {row.get_state_display().lower()}: too late to change it.")
    return row


def _is_put_off(row: Restart) -> bool:
    return any(step.get("what") == "changed" and step.get("by") for step in row.steps)


def _move(row: Restart, due_at: datetime, step: Step) -> None:
    row.due_at = due_at
    row.steps = [*row.steps, *document_of(step)][-MAX_STEPS:]
    row.save(update_fields=["due_at", "kind", "steps"])
    log.info("restart_moved", world=row.world.slug, due_at=due_at.isoformat(), text=step.text)


def _end(row: Restart, state: str, step: Step, now: datetime, error: str = "") -> None:
    row.state, row.ended_at, row.error = state, now, error[:400]
    row.steps = [*row.steps, *document_of(step)][-MAX_STEPS:]
    row.save(update_fields=["state", "ended_at", "error", "steps"])
    log.info("restart_ended", world=row.world.slug, state=state, text=step.text)
