"""A restore of the master from a backup: its incarnation rises, and it collects what worlds hold.

While it collects, worlds get nothing but the answers to reports and offers: to everything else the master is
away, and play goes on from their journals.

Source: docs/restore.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Max

from accounts.services import record_audit
from characters.incarnations import current_incarnation
from characters.lines import Entry, append_version
from characters.models import Incarnation, Line, Reoffer, Version, WaitingOffer
from characters.recounting import recount_owners
from characters.rules import LEASE
from worlds.models import World
from zonecluster.protocol.character import canonical_state

log = structlog.get_logger(__name__)

MARGIN = timedelta(minutes=10)  # clocks of transactions and of the backup: better offered twice
ACTIVE_FOR = timedelta(days=14)  # a world that was silent for so long before the backup is not waited for


class NotCollecting(RuntimeError):
    """There is no restore to finish, or another one is under way."""


@dataclass(frozen=True)
class Standing:
    """How far a restore is. `waited_for`: slugs of worlds that have not offered all they hold."""

    incarnation: int
    collects_since: datetime | None
    waited_for: list[str]
    replayed: int
    waiting_lines: int


def collecting() -> Incarnation | None:
    """Return the incarnation that collects what worlds hold; None: the master is in service."""
    newest = Incarnation.objects.order_by("-number").first()
    return newest if newest is not None and newest.is_collecting else None


def begin_restore(*, reason: str, now: datetime) -> Incarnation:
    """Raise the incarnation of a master whose database was just restored, and collect what worlds hold.

    Raises: NotCollecting: a restore is under way already.
    """
    with transaction.atomic():
        if collecting() is not None:
            raise NotCollecting("a restore is under way already; finish it first")
        newest = Version.objects.aggregate(at=Max("at"))["at"]
        row = Incarnation.objects.create(
            number=current_incarnation() + 1,
            began_at=now,
            reason=reason,
            collects_since=(newest or now) - MARGIN,
        )
        detail: dict[str, object] = {"incarnation": row.number, "reason": reason}
        record_audit(action="restore_begun", target=str(row.number), detail=detail, now=now)
    log.warning("restore_begun", incarnation=row.number, collects_since=str(row.collects_since))
    return row


def standing() -> Standing:
    """Return how far the newest restore is."""
    row = Incarnation.objects.order_by("-number").first()
    if row is None:
        return Standing(1, None, [], 0, 0)
    offers = Reoffer.objects.filter(incarnation=row)
    return Standing(
        row.number,
        row.collects_since if row.is_collecting else None,
        worlds_waited_for(row) if row.is_collecting else [],
        sum(offers.values_list("replayed", flat=True)),
        WaitingOffer.objects.count(),
    )


def worlds_waited_for(row: Incarnation) -> list[str]:
    """Return the slugs of worlds that may hold something and have not offered all of it."""
    since = (row.collects_since or row.began_at) - ACTIVE_FOR
    complete = Reoffer.objects.filter(incarnation=row, completed_at__isnull=False).values("world")
    active = World.objects.filter(last_report_at__gte=since).exclude(pk__in=complete)
    return list(active.order_by("slug").values_list("slug", flat=True))


def finish_if_complete(*, now: datetime) -> bool:
    """Go into service if every world has offered all it holds and nothing waits. Returns: whether it did."""
    row = collecting()
    if row is None or worlds_waited_for(row) or WaitingOffer.objects.exists():
        return False
    try:
        finish_restore(now=now)
    except NotCollecting:  # another request was the last one at the same instant
        return False
    return True


def finish_restore(*, now: datetime) -> int:
    """Go into service; worlds that have not offered by now have lost what only they held.

    Where something is missing in a line's chain, the newest state that a world has proved becomes a version
    of its own: the history has a gap, the player has lost nothing but what nobody holds.

    Returns: of how many lines that was so. Raises: NotCollecting.
    """
    with transaction.atomic():
        row = Incarnation.objects.select_for_update().order_by("-number").first()
        if row is None or not row.is_collecting:
            raise NotCollecting("no restore is under way")
        missing = worlds_waited_for(row)
        bridged = sum(_bridge(offer, now) for offer in WaitingOffer.objects.select_related("world"))
        WaitingOffer.objects.all().delete()
        given_up = recount_owners(now)
        # Leases that were renewed since the backup look lapsed: their worlds get the time to renew them.
        Line.objects.filter(holder__isnull=False).update(lease_until=now + LEASE)
        row.closed_at = now
        row.save(update_fields=["closed_at"])
        detail: dict[str, object] = {
            "worlds_missing": missing, "lines_bridged": bridged, "lines_that_gave_up_valuables": given_up,
        }  # fmt: skip
        record_audit(action="restore_finished", target=str(row.number), detail=detail, now=now)
    log.warning("restore_finished", incarnation=row.number, worlds_missing=missing, lines_bridged=bridged)
    return bridged


def _bridge(offer: WaitingOffer, now: datetime) -> bool:
    line = Line.objects.select_for_update(no_key=True).filter(id=offer.line).first()
    if line is None:
        log.error(
            "restored_line_unknown", line=str(offer.line), world=offer.world.slug, version=offer.version
        )
        return False
    if offer.version <= line.version:
        return False
    state = canonical_state(bytes(offer.state))
    entry = Entry(Version.Kind.RESTORE, state, offer.world)
    append_version(line=line, entry=entry, now=now)
    log.warning("restored_over_a_gap", line=str(line.id), world=offer.world.slug, version=offer.version)
    return True
