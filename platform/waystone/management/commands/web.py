"""`manage.py web`: the same process that `up` supervises, started alone."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from waystone.processes import python_environment, web_argv


class Command(BaseCommand):
    """Becomes the other program: same pid, so that a signal reaches it."""

    help = "Serves pages, REST, admin and uplink (WSGI, granian)."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns."""
        argv = web_argv(settings.CONFIG)
        os.execve(argv[0], argv, python_environment(os.environ))
