"""Webhooks of a world: made, changed, removed by its keepers. Each change leaves its audit row."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import Webhook, WebhookDelivery, World
from worlds.outward import is_local_deployment
from worlds.rules import is_online
from worlds.webhooks.rules import (
    EVENTS,
    MAX_OLD_SECRETS,
    MAX_WEBHOOKS,
    OLD_SECRET_FOR,
    TEST,
    signing_numbers,
    url_fault,
)
from worlds.webhooks.signing import derived_secret, shown


class WebhookRefused(ValueError):
    """It cannot be done so. `errors`: field name → sentences; "" for none of them."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(" ".join(text for texts in errors.values() for text in texts))
        self.errors = errors


class WebhookStopped(WebhookRefused):
    """It cannot be done while the webhook is stopped."""


def webhooks_of(world: World) -> QuerySet[Webhook]:
    """Return a world's webhooks, oldest first."""
    return Webhook.objects.filter(world=world).order_by("made_at", "pk")


def secret_of(webhook: Webhook) -> str:
    """Return the newest secret, as its keeper gets it."""
    return shown(derived_secret(settings.SECRET_KEY, webhook.pk, webhook.secret_number))


def secret_numbers(webhook: Webhook, now: datetime) -> range:
    """Return the numbers of the secrets that sign now, the newest first."""
    return signing_numbers(webhook.secret_number, webhook.old_secrets, webhook.old_secret_until, now)


def make_webhook(*, world: World, url: str, events: Iterable[str], by: Account, now: datetime) -> Webhook:
    """Make a webhook; from now on it is told.

    Raises: WebhookRefused
    """
    url, wanted = url.strip(), set(events)
    errors = {}
    if fault := url_fault(url, may_be_plain=is_local_deployment()):
        errors["url"] = [fault]
    if not wanted or wanted - EVENTS.keys():
        errors["events"] = [f"Choose at least one of {', '.join(EVENTS)}."]
    if errors:
        raise WebhookRefused(errors)
    with transaction.atomic():
        World.objects.select_for_update(no_key=True).get(pk=world.pk)  # two at once must count each other
        if webhooks_of(world).count() >= MAX_WEBHOOKS:
            raise WebhookRefused({"": [f"A world has at most {MAX_WEBHOOKS} webhooks. Remove one first."]})
        webhook = Webhook.objects.create(
            world=world,
            url=url,
            events=[event for event in EVENTS if event in wanted],
            told_online=is_online(world.last_report_at, now),
            looked_at=now,
            made_by=by,
            made_at=now,
        )
        _audit("webhook_made", webhook, by, now, events=webhook.events)
    return webhook


def remove_webhook(*, world: World, webhook: UUID, by: Account, now: datetime) -> bool:
    """Remove a webhook with its log. Returns: whether the world has it."""
    with transaction.atomic():
        row = _locked(world, webhook)
        if row is None:
            return False
        _audit("webhook_removed", row, by, now)
        row.delete()
    return True


def rotate_secret(*, world: World, webhook: UUID, by: Account, now: datetime) -> Webhook | None:
    """Give a webhook a new secret; for a day those before sign, too: at most MAX_OLD_SECRETS.

    Returns: the webhook; None: the world has it not.
    """
    with transaction.atomic():
        row = _locked(world, webhook)
        if row is None:
            return None
        row.old_secrets = min(len(secret_numbers(row, now)), MAX_OLD_SECRETS)
        row.secret_number += 1
        row.old_secret_until = now + OLD_SECRET_FOR
        row.save(update_fields=["secret_number", "old_secret_until", "old_secrets"])
        _audit("webhook_secret_rotated", row, by, now)
    return row


def resume(*, world: World, webhook: UUID, by: Account, now: datetime) -> Webhook | None:
    """Switch a webhook on that was stopped. Returns: the webhook; None: the world has it not."""
    with transaction.atomic():
        row = _locked(world, webhook)
        if row is None:
            return None
        if not row.is_on:
            row.is_on, row.stopped_because = True, ""
            row.told_online = is_online(row.world.last_report_at, now)
            row.looked_at = now  # what was done while it was off is not told
            row.save(update_fields=["is_on", "stopped_because", "told_online", "looked_at"])
            _audit("webhook_resumed", row, by, now)
    return row


def send_test(*, world: World, webhook: UUID, by: Account, now: datetime) -> WebhookDelivery | None:
    """Send the event `test`. Returns: its delivery; None: the world has no such webhook.

    Raises: WebhookStopped: nothing is sent there. WebhookRefused: a test waits already.
    """
    with transaction.atomic():
        row = _locked(world, webhook)
        if row is None:
            return None
        if not row.is_on:
            raise WebhookStopped({"": ["It is stopped, so nothing is sent there. Switch it on again first."]})
        if row.deliveries.filter(event=TEST, state=WebhookDelivery.State.WAITING).exists():
            raise WebhookRefused({"": ["A test is on its way already. Look at the log in a moment."]})
        delivery = new_delivery(row, TEST, f"test:{uuid4()}", {"by": "a keeper of the world"}, now, now)
        delivery.save(force_insert=True)
        _audit("webhook_tested", row, by, now)
    return delivery


def new_delivery(
    webhook: Webhook, event: str, source: str, data: dict[str, object], at: datetime, now: datetime
) -> WebhookDelivery:
    """Return a delivery that is due now, not stored yet."""
    body = {"type": event, "timestamp": at, "world": webhook.world.slug, "data": data}
    return WebhookDelivery(
        webhook=webhook, event=event, source=source, body=msgspec.json.encode(body), made_at=now, next_at=now
    )


def _locked(world: World, webhook: UUID) -> Webhook | None:
    rows = Webhook.objects.select_related("world").select_for_update(of=("self",))
    return rows.filter(world=world, pk=webhook).first()


def _audit(action: str, webhook: Webhook, by: Account, now: datetime, **detail: object) -> None:
    record_audit(
        action=action,
        account=by,
        target=webhook.world.slug,
        detail={"url": webhook.url, "webhook": str(webhook.pk), **detail},
        now=now,
    )
