"""Background work of a deployment as a whole: its backups, and what is written elsewhere all the time."""

import structlog
from celery import shared_task
from django.utils import timezone

from waystone.backups.cycle import judge_age, look_after
from waystone.backups.keeping import Busy, backup_config
from waystone.backups.replicating import is_wanted, keep_replicating
from waystone.backups.wal_keeping import look_after_wal

log = structlog.get_logger(__name__)

BEAT_SCHEDULE = {
    "waystone: look after the WAL archive": {"task": "waystone.look_after_wal_archive", "schedule": 3600.0},
    "waystone: write receipts elsewhere": {"task": "waystone.write_receipts_elsewhere", "schedule": 20.0},
    "waystone: look after backups": {"task": "waystone.look_after_backups", "schedule": 300.0},
}


@shared_task(name="waystone.look_after_backups")
def look_after_backups() -> None:
    """Make, copy, prove and forget backups, whatever is due by the clock; and raise the alarms."""
    config = backup_config()
    judge_age(config, timezone.now())
    if not config.is_on:
        return
    try:
        look_after(config)
    except Busy:
        return  # another worker, or somebody's command
    judge_age(config, timezone.now())


@shared_task(name="waystone.look_after_wal_archive")
def look_after_wal_archive() -> None:
    """See that PostgreSQL's log is archived, where that was set up; a base backup each week."""
    look_after_wal(backup_config(), timezone.now())


@shared_task(name="waystone.write_receipts_elsewhere")
def write_receipts_elsewhere() -> None:
    """Write the world's new receipts to WAYSTONE_REPLICA_TARGET, if that is set."""
    if is_wanted():
        keep_replicating(timezone.now())


@shared_task(name="waystone.back_up_now")
def back_up_now() -> None:
    """Make a backup that staff asked for, copy it away and prove it."""
    config = backup_config()
    try:
        look_after(config, is_wanted=True)
    except Busy as error:
        log.warning("backup_not_begun", cause=str(error))
        return
    judge_age(config, timezone.now())
