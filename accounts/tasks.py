"""Background work of accounts."""

from celery import shared_task
from celery.schedules import crontab

from accounts import services


@shared_task(name="accounts.clear_expired_sessions")
def clear_expired_sessions() -> None:
    """Delete sessions that have run out."""
    services.clear_expired_sessions()


BEAT_SCHEDULE = {
    "accounts: clear expired sessions": {
        "task": "accounts.clear_expired_sessions",
        "schedule": crontab(hour="4", minute="20"),  # UTC, a quiet hour for most
    },
}
