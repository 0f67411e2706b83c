"""In which order tests run, and which of them stay together when several processes share them.

One running platform costs the start of ten processes. So all end-to-end tests that need nothing but one share
it, in one process: first those that leave it as it was, last those that kill or stop parts of it.
"""

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).resolve().parent
ON_ONE_PLATFORM = "end_to_end/test_"
WITH_PLATFORMS_OF_THEIR_OWN = ("test_up.py", "test_restore.py")
IN_PARTS = "simulation/test_seeds.py"  # each part is as long as other files
# In this order. Bots empty the chest that test_items finds full. A limited world is one until its daemon has
# heard that it is not: nobody comes after that.
BREAK_THINGS = (
    "test_items.py",
    "test_terminal.py",
    "test_trade.py",
    "test_hosts.py",
    "test_world_life.py",
    "test_restarts.py",
    "test_outages.py",
    "test_killing.py",
    "test_levers.py",
)


def scope_of(nodeid: str) -> str:
    """Return what a test stays together with: its file, or all tests on the one platform.

    Args: nodeid: as pytest names a test, from the folder above this one.
    """
    file = nodeid.partition("::")[0]
    if file.endswith(IN_PARTS):
        return nodeid
    is_shared = ON_ONE_PLATFORM in file and not file.endswith(WITH_PLATFORMS_OF_THEIR_OWN)
    return "the one platform" if is_shared else file


class ByScope(LoadScopeScheduling):
    """Gives whole scopes to whichever process is free, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def order(items: list[pytest.Item]) -> None:
    """Sort tests: what takes longest begins first, browsers come last.

    Playwright keeps an event loop running, in which no async test can run.
    """
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[int, int]:
    if item.get_closest_marker("browser") is not None:
        return 3, 0
    if scope_of(item.nodeid) == "the one platform":
        name = item.path.name
        return 0, BREAK_THINGS.index(name) + 1 if name in BREAK_THINGS else 0
    parts = item.path.relative_to(HERE).parts
    return (1 if parts[0] in ("end_to_end", "integration") else 2), 0
