"""Alarms: what somebody has to look at. Raised again they count; ended they stay as history."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F

from worlds.models import Alarm, World

log = structlog.get_logger(__name__)

MAX_TEXT = 400

# Every kind: the part of a key before the colon, which says of which one. Also in docs/monitoring.md.
KINDS = {
    "cluster_hung": "a zone cluster lived and was silent: it was killed, and is started again",
    "cluster_dies": "a zone cluster ends again and again",
    "cluster_twice": "two processes say that they are one zone cluster",
    "zones_claimed": "a zone cluster keeps zones that run elsewhere",
    "host_lost": "the host agent of a machine is not there any more",
    "host_refused": "a host agent came with a wrong key",
    "host_twice": "two host agents say that they are one machine",
    "hosts_door": "the world daemon cannot listen for host agents of other machines",
    "hosts_door_own": "the world daemon cannot listen for the supervisor of its own machine",
    "two_daemons": "a second world daemon of the same world was started",
    "handler_slow": "a kind of command kept taking too long, and was switched off",
    "placement_no_room": "the zone clusters are too small, whatever is moved",
    "restart_failed": "a restart was given up half-way: everybody plays on",
    "restart_policy": "a restart policy can never come true",
    "restart_missed": "a restart was due, and nobody carried it out",
    "restart_stuck": "a restart does not come to its end",
    "backup_failed": "no backup could be made",
    "backup_target": "a backup could not be copied to where it is safe",
    "backup_drill": "a backup could not be restored: it is worth nothing",
    "backup_old": "no backup was proven by a restore for 26 hours",
    "replica_target": "receipts and states could not be copied to where they are safe",
    "wal_archive": "the database's log is not archived",
}


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
    if key.partition(":")[0] not in KINDS:
        log.error("alarm_of_unknown_kind", key=key)  # a fault of ours; the alarm counts all the same
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
