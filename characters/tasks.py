"""Background work of the repository: tickets and admissions that have had their time. Idempotent."""

from celery import shared_task
from django.utils import timezone

from worlds.tickets import close_old_admissions, delete_old_tickets

BEAT_SCHEDULE = {
    "characters-close-old-admissions": {"task": "characters.tasks.close_admissions", "schedule": 600.0},
    "characters-delete-old-tickets": {"task": "characters.tasks.delete_tickets", "schedule": 3600.0},
}


@shared_task(ignore_result=True)
def close_admissions() -> None:
    """Close admissions older than a day."""
    close_old_admissions(now=timezone.now())


@shared_task(ignore_result=True)
def delete_tickets() -> None:
    """Delete tickets that have been of no use to anybody for a day."""
    delete_old_tickets(now=timezone.now())
