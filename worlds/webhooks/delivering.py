"""Deliveries on their way: claimed, sent by several threads, written down. At least once, with one id.

An attempt is claimed by putting its next one a minute off, in a transaction of its own; whoever dies in
between leaves a delivery that is tried again. Threads only send: they touch no database, and each ends in
SEND_S.
"""

import http.client
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from worlds.models import Webhook, WebhookDelivery
from worlds.outward import OutwardRefused, post
from worlds.webhooks.keeping import secret_numbers
from worlds.webhooks.rules import KEPT_FOR, MAX_WEBHOOKS, is_delivered, next_attempt
from worlds.webhooks.signing import derived_secret, signed_headers

log = structlog.get_logger(__name__)

SENDERS = 8
AT_ONCE = 32  # attempts of one round
OF_ONE_WEBHOOK = 4  # of these: one that hangs must not take all senders
OF_ONE_WORLD = 8  # of these, whatever its webhooks are
SEND_S = 5.0  # for one attempt, from the name's resolving to the status
CLAIMED_FOR = timedelta(minutes=1)
GONE = 410  # by the specification: stop sending


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: a status, or what kept it from one."""

    status: int | None = None
    error: str = ""


Send = Callable[[WebhookDelivery, datetime], Outcome]


def deliver_due(now: datetime, clock: Callable[[], datetime]) -> int:
    """Try the deliveries that are due. Returns: how many. Args: clock: tells when an attempt ended."""
    claimed = _claim(now)
    if not claimed:
        return 0
    with ThreadPoolExecutor(min(SENDERS, len(claimed))) as senders:
        outcomes = list(senders.map(lambda delivery: send(delivery, now), claimed))
    for delivery, outcome in zip(claimed, outcomes, strict=True):
        note(delivery, outcome, clock())
    return len(claimed)


def _claim(now: datetime) -> Sequence[WebhookDelivery]:
    due = WebhookDelivery.objects.filter(
        state=WebhookDelivery.State.WAITING, next_at__lte=now, webhook__is_on=True
    )
    with transaction.atomic():
        rows = due.select_for_update(of=("self",), skip_locked=True).select_related("webhook")
        claimed = list(rows.filter(pk__in=_next(due)).order_by("next_at", "made_at"))
        for row in claimed:
            row.attempts += 1
            row.next_at = now + CLAIMED_FOR
        WebhookDelivery.objects.bulk_update(claimed, ["attempts", "next_at"])
    return claimed


def _next(due: QuerySet[WebhookDelivery]) -> list[UUID]:
    """Return whose turn it is: the oldest of each webhook, then the second of each, and so on.

    So a backlog, however old and long, waits for itself and not in front of others.
    """
    turn = Window(RowNumber(), partition_by=[F("webhook")], order_by=[F("next_at"), F("made_at")])
    turns = due.annotate(turn=turn).filter(turn__lte=OF_ONE_WEBHOOK).order_by("turn", "next_at", "made_at")
    of_world: dict[object, int] = {}
    found: list[UUID] = []
    # A world has MAX_WEBHOOKS with OF_ONE_WEBHOOK turns each: among so many are enough of enough worlds.
    for key, world in turns.values_list("pk", "webhook__world_id")[: AT_ONCE * MAX_WEBHOOKS]:
        of_world[world] = of_world.get(world, 0) + 1
        if of_world[world] <= OF_ONE_WORLD and len(found) < AT_ONCE:
            found.append(key)
    return found


def send(delivery: WebhookDelivery, now: datetime) -> Outcome:
    """Make one attempt."""
    webhook, body = delivery.webhook, bytes(delivery.body)
    numbers = secret_numbers(webhook, now)
    secrets = [derived_secret(settings.SECRET_KEY, webhook.pk, number) for number in numbers]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Waystone webhooks",
        **signed_headers(secrets, delivery.pk, int(now.timestamp()), body),
    }
    try:
        status = post(webhook.url, body, headers, timeout_s=SEND_S)
    except OutwardRefused as refusal:
        return Outcome(error=str(refusal)[:200])
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(error=f"No answer: {error or type(error).__name__}"[:200])
    if is_delivered(status):
        return Outcome(status)
    return Outcome(status, f"It answered {status}, not 200 to 299.")


def note(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    """Write down how an attempt ended.

    A webhook that took nothing, this delivery in all its attempts and no other meanwhile, is switched off.
    """
    delivery.status, delivery.error = outcome.status, outcome.error
    delivery.next_at = None
    if outcome.status is not None and is_delivered(outcome.status):
        delivery.state, delivery.ended_at = WebhookDelivery.State.DELIVERED, now
    else:
        is_gone = outcome.status == GONE
        delivery.next_at = None if is_gone else next_attempt(delivery.attempts, now)
        if delivery.next_at is None:
            delivery.state, delivery.ended_at = WebhookDelivery.State.FAILED, now
            because = "The receiver said that it is gone (410)." if is_gone else outcome.error
            if is_gone or not _took_others(delivery):
                Webhook.objects.filter(pk=delivery.webhook_id).update(is_on=False, stopped_because=because)
    log.info(
        "webhook_attempt", webhook=str(delivery.webhook_id), event_name=delivery.event, state=delivery.state,
        status=outcome.status, attempts=delivery.attempts,
    )  # fmt: skip
    WebhookDelivery.objects.filter(pk=delivery.pk).update(  # of no row: its webhook was removed meanwhile
        status=delivery.status, error=delivery.error, next_at=delivery.next_at, state=delivery.state,
        ended_at=delivery.ended_at,
    )  # fmt: skip


def _took_others(delivery: WebhookDelivery) -> bool:
    """Return whether the webhook took anything since this delivery was made: then it is this one's fault."""
    delivered = WebhookDelivery.objects.filter(state=WebhookDelivery.State.DELIVERED)
    return delivered.filter(webhook=delivery.webhook_id, ended_at__gte=delivery.made_at).exists()


def delete_old_deliveries(now: datetime) -> int:
    """Delete deliveries that ended, or were given up with their webhook, more than KEPT_FOR ago."""
    return WebhookDelivery.objects.filter(made_at__lt=now - KEPT_FOR).delete()[0]
