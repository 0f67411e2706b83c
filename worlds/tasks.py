"""Background work of worlds: what a world keeps only for a while."""

from celery import shared_task
from celery.schedules import crontab
from django.conf import settings
from django.utils import timezone

from worlds import plans, restarts, services
from worlds.operating import keepers, orders, setup
from worlds.status.sampling import count_minute, forget_old, site_answers
from worlds.webhooks import tasks as webhooks


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


@shared_task(name="worlds.end_late_orders")
def end_late_orders() -> None:
    """End what no world has answered in time; forget old orders and invitations."""
    orders.expire_orders(now=timezone.now())
    keepers.forget_invitations(now=timezone.now())


@shared_task(name=setup.LOOK)
def look_at_world(world_id: int, doors: list[str]) -> None:
    """Call a world's gateway and zone clusters. Args: doors: connect tokens of its clusters, base64."""
    setup.carry_out_look(world_id=world_id, doors=doors, now=timezone.now())


@shared_task(name="worlds.count_availability", expires=50)
def count_availability() -> None:
    """Count this minute: which worlds can be entered, and whether the site answers. The master's alone."""
    if settings.CONFIG.role != "world":
        count_minute(timezone.now(), is_site_up=site_answers(settings.PUBLIC_URL))


@shared_task(name="worlds.forget_old_availability")
def forget_old_availability() -> None:
    """Delete counted hours past 8 days, and days past 400."""
    forget_old(timezone.now())


BEAT_SCHEDULE = {
    "worlds: end late orders": {"task": "worlds.end_late_orders", "schedule": crontab()},
    "worlds: tell webhooks": {
        "task": webhooks.tell_webhooks.name,
        "schedule": 5.0,  # seconds: how late an event may be told
        "options": {"expires": 5},
    },
    "worlds: delete old webhook deliveries": {
        "task": webhooks.delete_old_webhook_deliveries.name,
        "schedule": crontab(hour="5", minute="20"),
    },
    "worlds: count availability": {"task": "worlds.count_availability", "schedule": crontab()},
    "worlds: forget old availability": {
        "task": "worlds.forget_old_availability",
        "schedule": crontab(hour="5", minute="10"),
    },
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
