"""What the rounds of the benchmark of saves come to: medians, and ratios of neighbouring rounds."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

GOAL = 0.8  # of raw PostgreSQL, durable saves of 8 KB
Result = dict[str, Any]


def alternating(
    ways: Sequence[str], rounds: int, one: Callable[[str], Result], tell: Callable[[str], None]
) -> dict[str, list[Result]]:
    """Run each way once a round, each time another one first."""
    found: dict[str, list[Result]] = {way: [] for way in ways}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        first = number % len(ways)
        for way in [*ways[first:], *ways[:first]]:
            found[way].append(one(way))
    return found


def fastest_of(rounds: dict[str, list[Result]]) -> tuple[str, dict[str, int]]:
    """Return the way whose median rate is the highest, and those of all."""
    rates = {way: round(median(map(per_second, timings))) for way, timings in rounds.items()}
    return max(rates, key=rates.__getitem__), rates


def per_second(timing: Result) -> float:
    """Return how many saves a second a round made."""
    return timing["saves"] / timing["seconds"]


def ratio(rounds: dict[str, list[Result]], base: str, way: str) -> float:
    """Return the median, over the rounds, of one way's speed against the base's in the same round."""
    pairs = zip(rounds[way], rounds[base], strict=True)
    return round(median(per_second(ours) / per_second(theirs) for ours, theirs in pairs), 3)


def compared(rounds: dict[str, list[Result]], raw: str, ours: str, is_judged: bool = True) -> Result:
    """Return the figures of both, and what they are to each other. `ok`: None: no goal is about this."""
    raw_figures, our_figures = figures(rounds[raw]), figures(rounds[ours])
    found = ratio(rounds, raw, ours)
    return {
        "way": ours,
        "rounds": len(rounds[ours]),
        "per_s": our_figures["per_s"],
        "raw_per_s": raw_figures["per_s"],
        "ratio": found,
        "cpu_ratio": cpu_ratio(raw_figures, our_figures),
        "ok": found >= GOAL if is_judged else None,
        "ours": our_figures,
        "raw": raw_figures,
    }


def cpu_ratio(raw: Result, ours: Result) -> float:
    """Return the CPU time of a save by hand against ours, of all processes: other work hardly touches it."""
    theirs, mine = (sum(side["cpu_us_each"].values()) for side in (raw, ours))
    return round(theirs / mine, 3)


def figures(timings: Sequence[Result]) -> Result:
    """Return the median rate, times of batches, and CPU time by who used it."""
    times = np.concatenate([timing["batch_ms"] for timing in timings])
    saves = sum(timing["saves"] for timing in timings)
    cpu = {
        name: round(sum(timing["cpu_s"][name] for timing in timings) / saves * 1e6, 1)
        for name in timings[0]["cpu_s"]
    }
    return {
        "per_s": round(median(map(per_second, timings))),
        "per_s_best": round(max(map(per_second, timings))),
        "batch_ms": {f"p{p}": round(float(np.percentile(times, p)), 2) for p in (50, 99)},
        "cpu_us_each": cpu,
    }
