"""What there is to tell webhooks: deeds of the audit about their worlds, and worlds that came or went.

The audit is the outbox: a deed's row is written in the deed's own transaction, so what was done is told,
and what was rolled back is not. Rows are looked at for LOOKED_BACK, since a long transaction shows its row
late; a constraint keeps each from being told twice.
"""

from collections import defaultdict
from datetime import datetime

from django.db import transaction

from accounts.models import AuditRecord
from worlds.models import Webhook, WebhookDelivery
from worlds.rules import is_online
from worlds.webhooks.keeping import new_delivery
from worlds.webhooks.rules import EVENT_OF_DEED, LOOKED_BACK

SHOWN_DETAILS = ("reason", "before", "after", "name", "role", "kind", "until", "tier")


def gather(now: datetime) -> int:
    """Make the deliveries that are missing. Returns: how many. The same few queries each time."""
    hooks: dict[str, list[Webhook]] = defaultdict(list)
    for hook in Webhook.objects.filter(is_on=True).select_related("world"):
        hooks[hook.world.slug].append(hook)
    if not hooks:
        return 0
    found = _of_deeds(hooks, now)
    changed = _of_presence(hooks, now, found)
    with transaction.atomic():
        Webhook.objects.bulk_update(changed, ["told_online"])
        WebhookDelivery.objects.bulk_create(found, ignore_conflicts=True)
    return len(found)


def _of_deeds(hooks: dict[str, list[Webhook]], now: datetime) -> list[WebhookDelivery]:
    deeds = AuditRecord.objects.filter(at__gt=now - LOOKED_BACK, action__in=EVENT_OF_DEED, target__in=hooks)
    known = set(
        WebhookDelivery.objects.filter(made_at__gt=now - 2 * LOOKED_BACK).values_list("webhook_id", "source")
    )
    found = []
    for deed in deeds.order_by("at"):
        event, source = EVENT_OF_DEED[deed.action], f"audit:{deed.pk}"
        for hook in hooks[deed.target]:
            if event in hook.events and deed.at >= hook.made_at and (hook.pk, source) not in known:
                found.append(new_delivery(hook, event, source, _told(deed), deed.at, now))
    return found


def _told(deed: AuditRecord) -> dict[str, object]:
    """Return what keepers may know of a deed: what was done, not who of the staff did it, nor addresses."""
    detail = deed.detail if isinstance(deed.detail, dict) else {}
    told = {key: detail[key] for key in SHOWN_DETAILS if key in detail and "@" not in str(detail[key])}
    return {"deed": deed.action, **told}


def _of_presence(
    hooks: dict[str, list[Webhook]], now: datetime, found: list[WebhookDelivery]
) -> list[Webhook]:
    """Add what is to be told of worlds that came or went. Returns: the webhooks whose state changed."""
    changed = []
    for hook in (each for of_world in hooks.values() for each in of_world):
        online = is_online(hook.world.last_report_at, now)
        if hook.told_online == online:
            continue
        hook.told_online = online
        changed.append(hook)
        event = "world.online" if online else "world.offline"
        if event in hook.events:
            found.append(new_delivery(hook, event, f"presence:{now.isoformat()}", {}, now, now))
    return changed
