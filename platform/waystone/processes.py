"""Command lines of the processes that are programs of others: web (granian), Celery worker and beat.

Used by the supervisor and by the commands that start one of them alone, so both start the same thing.
"""

import os
import sys
from collections.abc import Mapping

from waystone.config import ROOT, Config

PYTHON_PATHS = ("platform", "clients/python", ".")
WEB_THREADS = 16  # per worker; log-ins wait in a queue of their own (accounts/passwords.py) and hold some


def python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which `python -m …` finds the project."""
    paths = [str((ROOT / part).resolve()) for part in PYTHON_PATHS]
    own = {"PYTHONPATH": os.pathsep.join(paths), "DJANGO_SETTINGS_MODULE": "waystone.settings"}
    return {**environment, **own, "PYTHONUNBUFFERED": "1"}


def web_argv(config: Config) -> list[str]:
    """Return the command line of the web process."""
    return [
        *(sys.executable, "-m", "granian", "waystone.wsgi:application", "--interface", "wsgi", "--no-ws"),
        *("--host", config.web_bind, "--port", str(config.web_port)),
        *("--workers", str(config.web_workers), "--blocking-threads", str(WEB_THREADS)),
        *("--workers-kill-timeout", "5"),
    ]


def worker_argv() -> list[str]:
    """Return the command line of the Celery worker: two threads, as tasks wait for the database."""
    return [
        *(sys.executable, "-m", "celery", "--app", "waystone.celery", "--quiet", "worker"),
        *("--pool", "threads", "--concurrency", "2", "--without-gossip", "--without-mingle"),
    ]


def beat_argv() -> list[str]:
    """Return the command line of Celery's beat; its schedule is in the database, so it keeps no file."""
    return [sys.executable, "-m", "celery", "--app", "waystone.celery", "--quiet", "beat", "--pidfile="]
