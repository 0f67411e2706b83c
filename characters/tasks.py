"""Background work of the repository: tickets, admissions, letters, old versions. Idempotent."""

from uuid import UUID

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from characters.budgeting import delete_old_gains
from characters.collecting import collecting
from characters.letters import discard_letters, return_letters
from characters.retention import thin_batch
from worlds.tickets import close_old_admissions, delete_old_tickets

BEAT_SCHEDULE = {
    "characters-close-old-admissions": {"task": "characters.tasks.close_admissions", "schedule": 600.0},
    "characters-delete-old-tickets": {"task": "characters.tasks.delete_tickets", "schedule": 3600.0},
    "characters-thin-versions": {
        "task": "characters.tasks.thin_versions",
        "schedule": crontab(hour="4", minute="20"),  # UTC, a quiet hour for most
    },
    "characters-delete-old-gains": {
        "task": "characters.tasks.delete_gains",
        "schedule": crontab(hour="4", minute="30"),
    },
    "characters-return-letters": {"task": "characters.tasks.return_goods", "schedule": 3600.0},
    "characters-discard-letters": {
        "task": "characters.tasks.discard_old_letters",
        "schedule": crontab(hour="4", minute="40"),
    },
}
BATCHES_A_TASK = 50  # 10,000 lines: then another task goes on, so that a worker can be restarted in between


@shared_task(ignore_result=True)
def close_admissions() -> None:
    """Close admissions older than a day."""
    close_old_admissions(now=timezone.now())


@shared_task(ignore_result=True)
def delete_tickets() -> None:
    """Delete tickets that have been of no use to anybody for a day."""
    delete_old_tickets(now=timezone.now())


@shared_task(ignore_result=True)
def delete_gains() -> None:
    """Delete what characters have gained longer ago than any budget, or anybody of the staff, asks for."""
    delete_old_gains(now=timezone.now())


@shared_task(ignore_result=True)
def return_goods() -> None:
    """Send goods back that nobody has taken out of a letter in 30 days."""
    if collecting() is None:  # else worlds may hold that they were taken
        return_letters(now=timezone.now())


@shared_task(ignore_result=True)
def discard_old_letters() -> None:
    """Throw away letters of 90 days in which nothing lies."""
    if collecting() is None:
        discard_letters(now=timezone.now())


@shared_task(ignore_result=True)
def thin_versions(after: str = "") -> None:
    """Thin old versions of the lines after one; what is left goes to another task."""
    last = UUID(after) if after else None
    for _ in range(BATCHES_A_TASK):
        last = thin_batch(after=last, now=timezone.now()).last
        if last is None:
            return
    thin_versions.delay(str(last))
