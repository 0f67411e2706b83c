"""Background work of accounts."""

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from accounts import services
from accounts.leaving import finish_due
from accounts.sealing import seal_audit as seal
from accounts.shop.reconciling import reconcile


@shared_task(name="accounts.clear_expired_sessions")
def clear_expired_sessions() -> None:
    """Delete sessions that have run out."""
    services.clear_expired_sessions()


@shared_task(name="accounts.seal_audit")
def seal_audit() -> None:
    """Give the audit record's new rows their place in the hash chain."""
    seal()


@shared_task(name="accounts.finish_leaving")
def finish_leaving() -> None:
    """Delete the accounts whose seven days are over."""
    finish_due(timezone.now())


@shared_task(name="accounts.reconcile_payments")
def reconcile_payments() -> None:
    """Ask the payment provider for what it may have told in vain, and book what is missing."""
    reconcile()


BEAT_SCHEDULE = {
    "accounts: reconcile payments": {"task": "accounts.reconcile_payments", "schedule": crontab(minute="50")},
    "accounts: delete those who left": {"task": "accounts.finish_leaving", "schedule": crontab(minute="35")},
    "accounts: seal the audit record": {"task": "accounts.seal_audit", "schedule": 10.0},
    "accounts: clear expired sessions": {
        "task": "accounts.clear_expired_sessions",
        "schedule": crontab(hour="4", minute="20"),  # UTC, a quiet hour for most
    },
}
