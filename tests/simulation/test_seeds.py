"""Many seeds, and no promise broken: 2,000 in CI, some elsewhere. In parts, so that processes share them.

`SIMULATION_SEEDS` says how many; `manage.py simulate` plays as many as wanted and shows what failed.
"""

import os

import pytest

from tests.simulation.chaos import PEOPLE
from tests.simulation.simulation import play_through

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000" if os.environ.get("CI") else "48"))
FIRST = 5000  # others than those of the table
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_no_promise_is_broken(part: int) -> None:
    struck: set[str] = set()
    exchanges = 0
    for seed in range(FIRST + part, FIRST + SEEDS, PARTS):
        simulation = play_through(seed)
        assert simulation.ledger.writes > 0
        exchanges += len(simulation.ledger.goods.known)
        struck |= {fault.kind for _, fault in simulation.chaos.struck}
    assert exchanges > 2 * SEEDS / PARTS, "too few to prove anything"
    assert set(PEOPLE) <= struck
