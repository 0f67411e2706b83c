"""Celery: background work. Tasks live in the apps' tasks.py."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
app = Celery("waystone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
