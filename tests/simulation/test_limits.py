"""The staff limits worlds in the middle of all trouble: writes fall to forks, and nothing is lost."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from characters.core import Repository
from tests.simulation.promises import Violation
from tests.simulation.simulation import Simulation, play_through

SEEDS = range(12)


def limited(*instants: float) -> Callable[[Simulation], None]:
    """Limit the official worlds, one after the other."""

    def prepare(sim: Simulation) -> None:
        for slug, instant in zip(("aurora", "borealis"), instants, strict=False):
            sim.after(instant, lambda slug=slug: _limit(sim, slug))

    return prepare


def _limit(sim: Simulation, slug: str) -> None:
    sim.master.repository.worlds[slug].is_limited = True


def test_no_promise_is_broken_when_worlds_are_limited() -> None:
    falls = 0
    for seed in SEEDS:
        sim = play_through(seed, on_made=limited(30.0 + 7 * (seed % 11), 120.0))
        falls += len(sim.master.repository.falls)
    assert falls > 5 * len(SEEDS), "too few falls to prove anything"


def forget_the_names(self: Any, line: Any, epoch: int) -> Any:
    """A master that does not carry over what still names main."""
    return self.lines[line].head if line in self.lines else None


def test_without_the_names_that_go_on_a_promise_is_broken() -> None:
    with (
        patch.object(Repository, "named_head", forget_the_names),
        pytest.raises(Violation),
    ):
        for seed in SEEDS:
            play_through(seed, on_made=limited(60.0, 120.0))
