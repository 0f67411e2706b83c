"""Generated weeks of a world's zones: what each costs, five minutes by five minutes. Seeded.

Popularity is uneven (a few zones have most players), days have a rhythm by where the players of a zone live,
weekends are fuller, some zones have a fixed hour of the week in which everybody comes, some have unforeseen
events, and what is popular changes slowly. A zone costs MOST_MS at most: a fuller one opens another instance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_MINUTES = 5
STEPS_A_DAY = 24 * 60 // STEP_MINUTES
STEPS_A_WEEK = 7 * STEPS_A_DAY
STEPS_AN_HOUR = 60 // STEP_MINUTES
MOST_MS = 400.0  # CPU ms/s

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Making:
    """What weeks are made of. `mean_fill`: mean load of all clusters together, over their capacity."""

    zones: int
    capacity: float  # of all clusters together, CPU ms/s
    mean_fill: float = 0.38
    unevenness: float = 0.7  # the exponent of Zipf's law
    dates: float = 0.08  # share of zones with a fixed busy hour
    surprises_a_day: float = 0.01  # unforeseen events, for each zone


class Weeks:
    """One world's zones, week after week."""

    def __init__(self, making: Making, seed: int) -> None:
        self.making = making
        self.rng = rng = np.random.default_rng(seed)
        count = making.zones
        self.popularity = rng.permutation(np.arange(1, count + 1) ** -making.unevenness)
        self.phase = rng.choice([0, 6, 8, 14], count, p=[0.5, 0.2, 0.2, 0.1])  # hours: where its players live
        self.day_depth = rng.uniform(0.5, 0.95, count)
        self.weekend = rng.uniform(1.0, 1.8, count)
        has_date = rng.random(count) < making.dates
        self.date = np.where(has_date, rng.integers(0, 168, count), -1)
        self.noise = np.zeros(count)
        self.surprise_left = np.zeros(count, np.int64)  # steps
        self.surprise_size = np.zeros(count)
        self.scale = 1.0
        mean = np.mean([self._expected(hour * STEPS_AN_HOUR).sum() for hour in range(168)])
        self.scale = making.mean_fill * making.capacity / mean

    def run(self, weeks: int) -> Iterator[tuple[int, Array]]:
        """Yield the number of each step, and what each zone costs in it, CPU ms/s: (zones,)."""
        for step in range(weeks * STEPS_A_WEEK):
            if step and step % STEPS_A_DAY == 0:  # what is popular changes slowly
                self.popularity *= np.exp(self.rng.normal(0, 0.03, self.making.zones))
            yield step, self._step(step)

    def _step(self, step: int) -> Array:
        rng, count = self.rng, self.making.zones
        self.noise = 0.95 * self.noise + rng.normal(0, 0.05, count)
        self.surprise_left = np.maximum(self.surprise_left - 1, 0)
        begins = rng.random(count) < self.making.surprises_a_day / STEPS_A_DAY
        self.surprise_left[begins] = rng.integers(STEPS_AN_HOUR, 4 * STEPS_AN_HOUR, int(begins.sum()))
        self.surprise_size[begins] = rng.uniform(1.5, 5.0, int(begins.sum()))
        surprise = np.where(self.surprise_left > 0, self.surprise_size, 1.0)
        return np.minimum(self._expected(step) * surprise * np.exp(self.noise), MOST_MS)

    def _expected(self, step: int) -> Array:
        hour = step / STEPS_AN_HOUR % 168
        local = (hour - self.phase) % 24
        day = 1 - self.day_depth * (1 + np.cos((local - 8.5) / 24 * 2 * np.pi)) / 2  # fullest at 20:30
        weekend = np.where(hour >= 120, self.weekend, 1.0)
        date = np.where((self.date >= 0) & (int(hour) == self.date), 4.0, 1.0)
        return self.scale * self.popularity * day * weekend * date
