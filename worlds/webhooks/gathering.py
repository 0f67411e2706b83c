"""What there is to tell webhooks: deeds of the audit about their worlds, and worlds that came or went.

The audit is the outbox: a deed's row is written in the deed's own transaction, so what was done is told,
and what was rolled back is not. Each webhook knows until when it was looked at for it (`looked_at`), so an
outage of the worker keeps nothing back, and rows of LOOKED_BACK before that are looked at again, since a long
transaction shows its row late; a constraint keeps each from being told twice.
"""

from collections import defaultdict
from datetime import datetime

from django.db import transaction

from accounts.models import AuditRecord
from worlds.models import Webhook, WebhookDelivery
from worlds.rules import is_online
from worlds.webhooks.keeping import new_delivery
from worlds.webhooks.rules import EVENT_OF_DEED, LOOKED_BACK, NOTED_EVERY, looked_back_to

# Of webhooks and their worlds. A world's row has its report and its page, some 100 KB, and this is every 5 s.
_READ = ("events", "made_at", "looked_at", "told_online", "world__slug", "world__last_report_at")
SHOWN_DETAILS = ("reason", "before", "after", "name", "role", "kind", "until", "tier")


def gather(now: datetime) -> int:
    """Make the deliveries that are missing. Returns: how many. The same few queries each time."""
    hooks: dict[str, list[Webhook]] = defaultdict(list)
    rows = Webhook.objects.filter(is_on=True).select_related("world")
    for hook in rows.only(*_READ):
        hooks[hook.world.slug].append(hook)
    if not hooks:
        return 0
    found = _of_deeds(hooks, now)
    changed = _of_presence(hooks, now, found)
    each = [hook for of_world in hooks.values() for hook in of_world]
    to_note = [hook.pk for hook in each if hook.looked_at is None or now - hook.looked_at >= NOTED_EVERY]
    with transaction.atomic():
        Webhook.objects.bulk_update(changed, ["told_online"])
        if to_note:
            Webhook.objects.filter(pk__in=to_note).update(looked_at=now)
        WebhookDelivery.objects.bulk_create(found, ignore_conflicts=True)
    return len(found)


def _of_deeds(hooks: dict[str, list[Webhook]], now: datetime) -> list[WebhookDelivery]:
    since = {
        hook.pk: max(hook.made_at, looked_back_to(hook.looked_at, now))
        for each in hooks.values()
        for hook in each
    }
    first = min(since.values())
    deeds = AuditRecord.objects.filter(at__gte=first, action__in=EVENT_OF_DEED, target__in=hooks)
    known = set(
        WebhookDelivery.objects.filter(made_at__gt=first - LOOKED_BACK).values_list("webhook_id", "source")
    )
    found = []
    for deed in deeds.order_by("at"):
        event, source = EVENT_OF_DEED[deed.action], f"audit:{deed.pk}"
        for hook in hooks[deed.target]:
            if event in hook.events and deed.at >= since[hook.pk] and (hook.pk, source) not in known:
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
