"""What Celery does about backups every few minutes: whatever is due, and an alarm where somebody must act."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from waystone.backup_config import BackupConfig
from waystone.backups import rules
from waystone.backups.dumping import OnProgress
from waystone.backups.errors import NoRoom
from waystone.backups.keeping import (
    EXPECTED,
    adopt,
    born_at,
    copy_backup,
    exclusive,
    forget_old,
    is_due,
    make_backup,
    prove_backup,
    tidy,
    words,
)
from worlds.alarms import end_alarm, raise_alarm
from worlds.models import Alarm, Backup

log = structlog.get_logger(__name__)

DRILL_AGAIN = timedelta(hours=1)  # after a drill of the same backup that failed
FAILED, TARGET, DRILL, OLD = "backup_failed", "backup_target", "backup_drill", "backup_old"


def nobody(what: str, done: float) -> None:
    """Tell nobody how far it is."""


def look_after(config: BackupConfig, *, is_wanted: bool = False, on_progress: OnProgress = nobody) -> None:
    """Do what is due: end what was left, make, copy, prove, forget. What fails raises an alarm.

    Args: is_wanted: a backup is wanted now, due or not. Raises: Busy: another process is at it.
    """
    with exclusive():
        now = timezone.now()
        tidy(config, now)
        adopt(config, now)
        if is_wanted or is_due(config, now):
            _step(FAILED, "A backup could not be made", lambda: _make(config, now, on_progress))
        _step(TARGET, "Backups cannot be copied away", lambda: _copy_all(config))
        _step(DRILL, "A backup could not be proven", lambda: _prove_newest(config, on_progress))
        _step(TARGET, "Old backups cannot be deleted", lambda: _forget(config))


def judge_age(config: BackupConfig, now: datetime) -> timedelta:
    """Raise or end the alarm about the age of the newest proven backup. Returns: that age."""
    last, born = last_proven_at(), born_at(now)
    age = now - (last or born)
    if config.is_on and rules.is_too_old(now, born, last):
        hours = int(age.total_seconds() // 3600)
        raise_alarm(
            key=OLD,
            text=f"No backup has been proven by a restore for {hours} hours.",
            advice="Look at Backups in the admin for what failed; manage.py backup makes and proves one now.",
            level=Alarm.Level.URGENT,
            now=now,
        )
    else:
        end_alarm(key=OLD, now=now)
    return age


def last_proven_at() -> datetime | None:
    """Return when a backup was last proven by a restore."""
    proven = Backup.objects.filter(proven_at__isnull=False).order_by("-proven_at")
    return proven.values_list("proven_at", flat=True).first()


def age_words(now: datetime) -> str:
    """Return in words how long ago a backup was last proven by a restore."""
    last = last_proven_at()
    if last is None:
        return "none has been proven yet"
    minutes = int((now - last).total_seconds() // 60)
    return f"last proven {minutes} min ago" if minutes < 120 else f"last proven {minutes // 60} h ago"


def _step(key: str, what: str, do: Callable[[], bool]) -> None:
    """Do one step. One that fails does not keep the others from being done."""
    now = timezone.now()
    try:
        was_done = do()
    except EXPECTED as error:
        log.error("backup_step_failed", step=key, cause=words(error))
        level = Alarm.Level.URGENT if isinstance(error, NoRoom) else Alarm.Level.WARNING
        raise_alarm(key=key, text=f"{what}: {words(error)}", advice=_ADVICE[key], now=now, level=level)
        return
    if was_done:
        end_alarm(key=key, now=now)


_ADVICE = {
    FAILED: "What was there is kept, and it is tried again within the hour. Do what the text says.",
    TARGET: "The backups are kept here, and copied when the target is back. Check WAYSTONE_BACKUP_TARGET.",
    DRILL: "Run manage.py checkinvariants: if it finds the same, the database itself needs you.",
}


def _make(config: BackupConfig, now: datetime, on_progress: OnProgress) -> bool:
    make_backup(config, now, on_progress, timezone.now)
    return True


def _copy_all(config: BackupConfig) -> bool:
    """Copy the newest first, then what could not be copied before."""
    for row in Backup.objects.filter(state__in=[Backup.State.MADE, Backup.State.PROVEN]):
        copy_backup(config, row, timezone.now())
    return True


def _prove_newest(config: BackupConfig, on_progress: OnProgress) -> bool:
    row = Backup.objects.filter(state__in=[Backup.State.MADE, Backup.State.PROVEN]).first()
    now = timezone.now()
    if row is None or row.state == Backup.State.PROVEN or _has_just_failed(row, now):
        return False
    prove_backup(config, row, now, on_progress)
    return True


def _has_just_failed(row: Backup, now: datetime) -> bool:
    failed_at = row.report.get("failed_at")
    return failed_at is not None and now - datetime.fromisoformat(failed_at) < DRILL_AGAIN


def _forget(config: BackupConfig) -> bool:
    forget_old(config, timezone.now())
    return False  # ends no alarm: copying does
