"""Kinds of commands that a world refuses since they kept taking too long, and how staff switches one on.

Written by the world daemon, read by it once a second and by the admin.
"""

from datetime import datetime

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.alarms import end_alarm
from worlds.cost_rules import handler_alarm
from worlds.models import SlowHandler, World

log = structlog.get_logger(__name__)


def handlers_off(world: World) -> frozenset[str]:
    """Return the kinds of commands that are off."""
    rows = SlowHandler.objects.filter(world=world, on_at__isnull=True)
    return frozenset(rows.values_list("kind", flat=True))


def switch_off(
    *, world: World, kind: str, cluster: str, p99_ms: float, worst_ms: float, runs: int, now: datetime
) -> None:
    """Note that a kind is refused from now on; one that is off already stays as it is."""
    figures = {"cluster": cluster[:24], "p99_ms": p99_ms, "worst_ms": worst_ms, "runs": runs, "off_at": now}
    SlowHandler.objects.get_or_create(world=world, kind=kind[:40], on_at=None, defaults=figures)


def switch_on(*, handler: SlowHandler, reason: str, by: Account | None, now: datetime) -> bool:
    """Let the world run this kind of command again, and end its alarm. Returns: whether it was off."""
    world = handler.world
    with transaction.atomic():
        rows = SlowHandler.objects.filter(pk=handler.pk, on_at__isnull=True)
        if not rows.update(on_at=now, on_by=by):
            return False
        detail: dict[str, object] = {"reason": reason, "world": world.slug, "kind": handler.kind}
        record_audit(action="handler_switched_on", account=by, target=handler.kind, detail=detail, now=now)
        end_alarm(key=handler_alarm(handler.kind), now=now, world=world)
    log.warning("handler_switched_on", world=world.slug, kind=handler.kind)
    return True
