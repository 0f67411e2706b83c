"""Celery: background work. Tasks live in the apps' tasks.py, and so do the times at which beat sends them."""

import importlib.util
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_ready
from django.apps import apps
from django.conf import settings

from waystone import logs
from waystone.observing.tasks import observe_beat, observe_worker
from worlds.notify import notify_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
app = Celery("waystone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def declared_schedules() -> dict[str, dict[str, Any]]:
    """Return the union of every app's `tasks.BEAT_SCHEDULE`: name → {"task", "schedule"}.

    Raises: ValueError: two apps declare the same name.
    """
    found: dict[str, dict[str, Any]] = {}
    for config in apps.get_app_configs():
        name = f"{config.name}.tasks"
        if importlib.util.find_spec(name) is None:
            continue
        for title, entry in getattr(importlib.import_module(name), "BEAT_SCHEDULE", {}).items():
            if title in found:
                raise ValueError(f"{name}: the schedule {title!r} is declared by another app too")
            found[title] = entry
    return found


@app.on_after_finalize.connect
def _collect_schedules(sender: Celery, **_kwargs: object) -> None:
    sender.conf.beat_schedule = {**(sender.conf.beat_schedule or {}), **declared_schedules()}


@setup_logging.connect
def _keep_our_logging(**_kwargs: object) -> None:
    """Being connected is enough: Celery then leaves logging alone. The settings have configured it before."""
    logs.configure(settings.LOGGING)


@worker_ready.connect
def _worker_is_ready(**_kwargs: object) -> None:
    observe_worker()
    notify_ready("waits for tasks")


@beat_init.connect
def _beat_is_ready(**_kwargs: object) -> None:
    observe_beat()
    notify_ready("sends tasks when they are due")
