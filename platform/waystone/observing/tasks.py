"""Background work: tasks counted and timed by Celery's signals; their id is in every line they log."""

import time
from typing import Any

import structlog
from celery.signals import before_task_publish, task_postrun, task_prerun, worker_process_shutdown
from prometheus_client import Counter, Gauge, Histogram

from worlds.observing import database_fault, observe, registry_of_process

EDGES_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)

registry = registry_of_process()
tasks_total = Counter("waystone_worker_tasks", "Tasks ended.", ["task", "outcome"], registry=registry)
task_seconds = Histogram(
    "waystone_worker_task_seconds",
    "How long a task took, by the wall clock.",
    ["task"],
    buckets=EDGES_S,
    registry=registry,
)
running = Gauge("waystone_worker_tasks_running", "Tasks that run now.", registry=registry)
sent_total = Counter(
    "waystone_beat_tasks_sent", "Tasks sent because they were due.", ["task"], registry=registry
)

_began: dict[str, float] = {}


def observe_worker() -> None:
    """Count tasks from now on, and serve the pages of the worker."""
    task_prerun.connect(_begin, weak=False)
    task_postrun.connect(_end, weak=False)
    pages = observe("worker", registry, database_fault)
    if pages is not None:
        pages.serve_in_thread()
        worker_process_shutdown.connect(lambda **_: pages.close(), weak=False)


def observe_beat() -> None:
    """Count what beat sends, and serve its pages."""
    before_task_publish.connect(_sent, weak=False)
    pages = observe("beat", registry, database_fault)
    if pages is not None:
        pages.serve_in_thread()


def _begin(task_id: str, task: Any, **_: Any) -> None:
    _began[task_id] = time.perf_counter()
    running.inc()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)


def _end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    running.dec()
    began = _began.pop(task_id, None)
    if began is not None:
        task_seconds.labels(task.name).observe(time.perf_counter() - began)
    tasks_total.labels(task.name, (state or "lost").lower()).inc()
    structlog.contextvars.unbind_contextvars("task", "task_id")


def _sent(sender: str = "", **_: Any) -> None:
    sent_total.labels(sender).inc()
