"""What staff does with a running world: maintenance mode, announcements, the pace of its clock. Audited."""

from datetime import UTC, datetime

import structlog
from django.db import transaction

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import Announcement, World
from zonecluster.rules.sky import GameClock

log = structlog.get_logger(__name__)

MAX_ANNOUNCEMENT = 400
MAX_MAINTENANCE = 200
LOWEST_RATE, HIGHEST_RATE = 0.1, 1000.0  # game time per time
MOST_WAITING = 100  # announcements of one world that are not said yet


class LifeRefused(ValueError):
    """It cannot be done; the message says why and what to do."""


def begin_maintenance(*, world: World, text: str, reason: str, by: Account | None, now: datetime) -> bool:
    """Let nobody in but the world's owner and staff; whoever is inside is told and may stay.

    Args: text: told to players; may be empty.
    Returns: whether anything changed; another text is a change too.
    Raises: LifeRefused.
    """
    text = _sentence(text, MAX_MAINTENANCE, may_be_empty=True)
    with transaction.atomic():
        row = World.objects.select_for_update().get(pk=world.pk)
        if row.maintenance_since is not None and row.maintenance_text == text:
            return False
        since = row.maintenance_since or now
        World.objects.filter(pk=world.pk).update(maintenance_since=since, maintenance_text=text)
        detail: dict[str, object] = {"text": text, "reason": reason}
        record_audit(action="maintenance_begun", account=by, target=world.slug, detail=detail, now=now)
    world.maintenance_since, world.maintenance_text = since, text
    log.info("maintenance_begun", slug=world.slug)
    return True


def end_maintenance(*, world: World, reason: str, by: Account | None, now: datetime) -> bool:
    """Let everybody in again. Returns: whether nobody was let in."""
    with transaction.atomic():
        rows = World.objects.filter(pk=world.pk, maintenance_since__isnull=False)
        if not rows.update(maintenance_since=None, maintenance_text=""):
            return False
        detail: dict[str, object] = {"reason": reason}
        record_audit(action="maintenance_ended", account=by, target=world.slug, detail=detail, now=now)
    world.maintenance_since, world.maintenance_text = None, ""
    log.info("maintenance_ended", slug=world.slug)
    return True


def announce(
    *, world: World, text: str, by: Account | None, now: datetime, at: datetime | None = None
) -> Announcement:
    """Have a line said to everybody on a world, once, by its daemon. Args: at: not before; now if not given.

    Raises: LifeRefused: no text, too long, or too many wait.
    """
    text = _sentence(text, MAX_ANNOUNCEMENT)
    with transaction.atomic():
        World.objects.select_for_update().get(pk=world.pk)
        if Announcement.objects.filter(world=world, said_at__isnull=True).count() >= MOST_WAITING:
            raise LifeRefused(f"{MOST_WAITING} announcements wait already; delete some that are not said.")
        row = Announcement.objects.create(world=world, text=text, by=by, at=at or now)
        detail: dict[str, object] = {"text": text, "at": row.at.isoformat()}
        record_audit(action="announced", account=by, target=world.slug, detail=detail, now=now)
    log.info("announcement_made", slug=world.slug, at=row.at.isoformat())
    return row


def set_game_rate(*, world: World, rate: float, reason: str, by: Account | None, now: datetime) -> bool:
    """Let game time run at another rate from now on; it goes on from where it is.

    Returns: whether it was another.
    Raises: LifeRefused: no such rate.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise LifeRefused(f"Game time runs {LOWEST_RATE:g} to {HIGHEST_RATE:g} times as fast as a clock.")
    with transaction.atomic():
        row = World.objects.select_for_update().get(pk=world.pk)
        if row.game_rate == rate:
            return False
        before = GameClock(row.game_epoch.timestamp(), row.game_rate)
        epoch = datetime.fromtimestamp(before.at_rate(rate, now.timestamp()).epoch_s, UTC)
        World.objects.filter(pk=world.pk).update(game_rate=rate, game_epoch=epoch)
        detail: dict[str, object] = {"before": row.game_rate, "after": rate, "reason": reason}
        record_audit(action="game_rate_set", account=by, target=world.slug, detail=detail, now=now)
    world.game_rate, world.game_epoch = rate, epoch
    return True


def _sentence(text: str, longest: int, *, may_be_empty: bool = False) -> str:
    text = text.strip()
    if not text and not may_be_empty:
        raise LifeRefused("Say something.")
    if len(text) > longest or not text.isprintable():
        raise LifeRefused(f"Use at most {longest} characters that can be shown, on one line.")
    return text
