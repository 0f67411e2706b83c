"""The shortest history of a failure that can be found: leave faults out for as long as it still fails.

Delta debugging (Zeller): halves first, then smaller pieces. What players do is left out like a fault.
"""

import time
from dataclasses import dataclass

from tests.simulation.chaos import Fault, Faults
from tests.simulation.promises import Violation
from tests.simulation.simulation import Simulation, play_through


@dataclass
class Failure:
    """A run that broke a promise. `faults`: those that struck before it did, with their instants."""

    violation: Violation
    at: float
    faults: list[tuple[float, Fault]]
    trace: list[str]


def failure_of(
    seed: int, faults: Faults | None = None, only: set[Fault] | None = None, *, trace: bool = False
) -> Failure | None:
    """Run a seed; return how it failed, None if it did not."""
    made: list[Simulation] = []
    try:
        play_through(seed, faults, only, trace=trace, on_made=made.append)
    except Violation as violation:
        sim = made[0]
        return Failure(violation, sim.now, list(sim.chaos.struck), sim.trace or [])
    return None


def shrink(seed: int, faults: Faults | None = None, *, budget_s: float = 60.0) -> Failure | None:
    """Return a failure of the same kind with as few faults as could be found in the time, and its trace."""
    best = failure_of(seed, faults)
    if best is None:
        return None
    kind, until = best.violation.kind, time.monotonic() + budget_s
    pieces = 2
    while len(best.faults) > 1 and time.monotonic() < until:
        smaller = _without_one_piece(seed, faults, best, kind, pieces, until)
        if smaller is not None:
            best, pieces = smaller, max(2, pieces - 1)
        elif pieces >= len(best.faults):
            break
        else:
            pieces = min(len(best.faults), pieces * 2)
    return failure_of(seed, faults, {fault for _, fault in best.faults}, trace=True) or best


def _without_one_piece(
    seed: int, faults: Faults | None, best: Failure, kind: str, pieces: int, until: float
) -> Failure | None:
    all_faults = [fault for _, fault in best.faults]
    size = -(-len(all_faults) // pieces)
    for start in range(0, len(all_faults), size):
        if time.monotonic() > until:
            return None
        rest = set(all_faults[:start] + all_faults[start + size :])
        failure = failure_of(seed, faults, rest)
        if failure is not None and failure.violation.kind == kind and len(failure.faults) < len(all_faults):
            return failure
    return None
