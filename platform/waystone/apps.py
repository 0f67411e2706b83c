"""The project as a Django app: its commands, and Celery for every process that sends a task."""

from django.apps import AppConfig

from waystone import celery


class WaystoneConfig(AppConfig):
    """`shared_task` looks for the current Celery app; importing it here makes it ours in each process."""

    name = "waystone"
    celery_app = celery.app
