"""Background work of worlds: what a world keeps only for a while."""

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from worlds import plans, restarts, services


@shared_task(name="worlds.delete_old_receipts")
def delete_old_receipts() -> None:
    """Delete receipts past their 14 days."""
    services.delete_old_receipts(now=timezone.now())


@shared_task(name="worlds.delete_old_play_sessions")
def delete_old_play_sessions() -> None:
    """Delete play sessions that ended more than 30 days ago."""
    services.delete_old_play_sessions(now=timezone.now())


@shared_task(name="worlds.plan_restarts")
def plan_restarts() -> None:
    """Plan the next restart of each world that has a policy; give up those that nobody has carried out."""
    restarts.plan_by_policies(now=timezone.now())


@shared_task(name="worlds.plan_placement")
def plan_placement() -> None:
    """See for each world whether zones would be better off on other clusters."""
    plans.plan_when_due(now=timezone.now())


BEAT_SCHEDULE = {
    "worlds: plan placement": {"task": "worlds.plan_placement", "schedule": crontab(minute="*/10")},
    "worlds: plan restarts": {"task": "worlds.plan_restarts", "schedule": crontab()},  # every minute
    "worlds: delete old receipts": {
        "task": "worlds.delete_old_receipts",
        "schedule": crontab(minute="40"),  # hourly: a busy world stores some 100,000 an hour
    },
    "worlds: delete old play sessions": {
        "task": "worlds.delete_old_play_sessions",
        "schedule": crontab(hour="4", minute="50"),  # UTC, a quiet hour for most
    },
}
