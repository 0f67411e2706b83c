"""Many runs of the zone benchmark: the largest number that holds, and curves. `run` makes one run of each."""

from collections.abc import Callable, Iterator
from typing import Any

Result = dict[str, Any]
CURVE = (100, 200, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000)
ZONES_CURVE = (1, 2, 4, 8, 16, 32, 64)
PLAYERS_PER_ZONE = 30
TRIES = 2  # a number that fails is tried once more: others may use the machine too


def largest(low: int, high: int, step: int, run: Callable[[int], Result]) -> list[Result]:
    """Run between low (which holds) and high players until the largest that holds is known to `step`.

    High itself is tried first: where it holds, nothing is left to find. Returns: all runs, in order.
    """
    runs: list[Result] = []

    def holds(players: int) -> bool:
        for _ in range(TRIES):
            runs.append(run(players))
            if runs[-1]["ok"]:
                return True
        return False

    if high <= low or holds(high):
        return runs
    while high - low > step:
        middle = (low + high) // 2 // step * step
        if middle <= low:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
    return runs


def largest_held(runs: list[Result]) -> int | None:
    """Return the greatest number of players that held; None: none did."""
    return max((run["n"] for run in runs if run["ok"]), default=None)


def curve(most: int, run: Callable[[int], Result]) -> Iterator[Result]:
    """Run 100 players and more, until a number does not hold or `most` is passed."""
    for players in CURVE:
        if players > most:
            return
        result = run(players)
        yield result
        if not result["ok"]:
            return


def zones_curve(run: Callable[[int, int], Result]) -> Iterator[tuple[Result, Result]]:
    """Run 1 to 64 zones of 30 players, and beside each the same number of players in one zone."""
    for zones in ZONES_CURVE:
        players = zones * PLAYERS_PER_ZONE
        yield run(players, zones), run(players, 1)


def zones_ratio(of_zones: Result, of_one: Result) -> float | None:
    """Return how much more CPU a tick takes in many zones than in one; None: unknown."""
    works = [result["server"]["work"].get("p50") for result in (of_zones, of_one)]
    return round(works[0] / works[1], 3) if all(works) else None
