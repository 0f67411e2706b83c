"""Alarms: what somebody has to look at. Raised again they count; ended they stay as history."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F

from worlds.models import Alarm, World

log = structlog.get_logger(__name__)

MAX_TEXT = 400


def raise_alarm(
    *,
    key: str,
    text: str,
    advice: str,
    now: datetime,
    world: World | None = None,
    level: Alarm.Level = Alarm.Level.WARNING,
) -> Alarm:
    """Open an alarm, or note that it still lasts. `key` says what is wrong, as backup_old."""
    words = {"text": text[:MAX_TEXT], "advice": advice[:MAX_TEXT], "level": level, "last_at": now}
    with transaction.atomic():
        open_ones = Alarm.objects.filter(world=world, key=key, ended_at__isnull=True)
        if not open_ones.update(times=F("times") + 1, **words):
            row = {**words, "began_at": now}
            alarm, is_new = Alarm.objects.get_or_create(world=world, key=key, ended_at=None, defaults=row)
            if is_new:
                log.error("alarm", key=key, world=world.slug if world else None, text=text)
            return alarm
        return open_ones.get()


def end_alarm(*, key: str, now: datetime, world: World | None = None) -> None:
    """Note that it is over; nothing happens if there was none."""
    if Alarm.objects.filter(world=world, key=key, ended_at__isnull=True).update(ended_at=now):
        log.info("alarm_ended", key=key, world=world.slug if world else None)
