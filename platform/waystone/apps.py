"""The project as a Django app: its commands, and Celery for every process that sends a task."""

from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from waystone import celery


class WaystoneConfig(AppConfig):
    """`shared_task` looks for the current Celery app; importing it here makes it ours in each process."""

    name = "waystone"
    celery_app = celery.app

    def ready(self) -> None:
        """Have the groups of staff follow their table once the last app's permissions are there."""
        post_migrate.connect(_set_roles, sender=apps.get_app_config("characters"))


def _set_roles(sender: AppConfig, **given: Any) -> None:
    if "plan" not in given:  # not `migrate` but `flush`, which tests do a thousand times
        return
    import_module("accounts.staff_roles").sync_roles()  # its models are not there when apps are loaded
