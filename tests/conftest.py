"""Common to all tests: Django set up against embedded servers of this pytest process."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import hypothesis
import pytest
import redis
from django.conf import settings

HERE = Path(__file__).resolve().parent
GARBAGE_AFTER = 20_000  # more new objects than freed ones; 700 elsewhere
sys.path.insert(0, str(HERE.parent))

from tests.embedded_servers import EmbeddedServers  # noqa: E402  (the line above makes it importable)
from tests.order import ByScope, order  # noqa: E402

# Here and not in a hook: conftest files further down may import models, and settings are read once.
if settings.configured:
    raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: the tests choose their own servers first.")
# One place for all runs: each has a state directory of its own, and compiling takes seconds in every process.
os.environ.setdefault("NUMBA_CACHE_DIR", str(HERE.parent / "var" / "cache" / "numba"))
# No example has to be quick: others have the machine too. (With CI set, Hypothesis sees to that itself.)
if not os.environ.get("CI"):
    hypothesis.settings.register_profile("here", deadline=None)
    hypothesis.settings.load_profile("here")
_servers = EmbeddedServers()
atexit.register(_servers.stop)
os.environ.update(_servers.environment(), DJANGO_SETTINGS_MODULE="waystone.settings")
django.setup()
del os.environ["DJANGO_SETTINGS_MODULE"]  # or pytest-xdist's workers read their settings too early


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests."""
    order(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByScope:
    """Say what several processes share the tests by."""
    return ByScope(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the servers, unless everything that was collected is a unit test."""
    if session.config.option.collectonly:
        return
    gc.freeze()  # thousands of tests and all of Django: no garbage, and a quarter of the time to walk over
    gc.set_threshold(GARBAGE_AFTER, 20, 20)
    if any(HERE / "unit" not in item.path.parents for item in session.items):
        _servers.start()


def pytest_unconfigure() -> None:
    """Stop the servers; pytest calls this after Ctrl-C too, and the kernel stops them after kill -9."""
    _servers.stop()


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """Give each integration test an empty Redis: throttles and caches of another test are not its own."""
    if HERE / "integration" in request.path.parents:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.flushall()


@pytest.fixture
def process_environment(transactional_db: None) -> Iterator[dict[str, str]]:
    """Yield the environment for real processes that are to work on this test's database."""
    from django.db import connection  # noqa: PLC0415  (the test database exists only now)

    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].replace("/waystone?", f"/{name}?")
    path = os.pathsep.join(str(HERE.parent / part) for part in (".", "platform", "clients/python"))
    own = {"DATABASE_URL": url, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "waystone.settings"}
    yield {**os.environ, **own}
