"""`manage.py beat`: the same process that `up` supervises, started alone."""

import os
from typing import Any

from django.core.management.base import BaseCommand

from waystone.processes import beat_argv, python_environment


class Command(BaseCommand):
    """Becomes the other program: same pid, so that a signal reaches it."""

    help = "Sends background work when it is due (Celery beat); one per deployment."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns."""
        argv = beat_argv()
        os.execve(argv[0], argv, python_environment(os.environ))
