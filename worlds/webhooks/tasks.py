"""Background work of webhooks; named in worlds/tasks.py, where Celery looks for tasks."""

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from worlds.webhooks.delivering import delete_old_deliveries, deliver_due
from worlds.webhooks.gathering import gather

LOCK = 0x57_45_42_48  # of PostgreSQL's advisory locks: one round at a time, whatever hangs at the other end


@shared_task(name="worlds.tell_webhooks")
def tell_webhooks() -> None:
    """Gather what there is to tell, and try what is due. On a world's own machine there is nothing."""
    if settings.CONFIG.role == "world":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        row = cursor.fetchone()
        if row is None or not row[0]:
            return
    try:
        now = timezone.now()
        gather(now)
        deliver_due(now, timezone.now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@shared_task(name="worlds.delete_old_webhook_deliveries")
def delete_old_webhook_deliveries() -> None:
    """Delete old entries of the log."""
    delete_old_deliveries(timezone.now())
