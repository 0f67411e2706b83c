"""`manage.py worker`: the same process that `up` supervises, started alone."""

import os
from typing import Any

from django.core.management.base import BaseCommand

from waystone.processes import python_environment, worker_argv


class Command(BaseCommand):
    """Becomes the other program: same pid, so that a signal reaches it."""

    help = "Does background work (Celery worker)."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns."""
        argv = worker_argv()
        os.execve(argv[0], argv, python_environment(os.environ))
