"""Where the time of ticks goes: CPU time of each phase; by the wall clock how long, how far apart, how late.

Kept twice: the last ticks one by one (the admin's figures, benchmarks), all since the start in buckets
(/metrics). Nothing here reads the wall clock: the service tells.
"""

from collections.abc import Callable, Sequence
from time import thread_time

import numpy as np

REMEMBERED_TICKS = 4096
COUNTED_AT_ONCE = 64
# receive: datagrams taken from the kernel since the last tick; open: headers, decryption; links: who came and
# went; encode: snapshots as bytes; seal: encryption; send: datagrams given to the kernel; rest: heartbeats,
# figures; bus: what other processes asked for; loop: all else that the thread did between ticks: waking up,
# reading and writing for the bus.
IN_TICK = (
    *("receive", "open", "links", "commands", "inputs", "simulation"),
    *("interest", "encode", "seal", "send", "rest"),
)
PHASES = (*IN_TICK, "bus", "loop")
INDEX = {name: index for index, name in enumerate(PHASES)}
# By the wall clock. wall: from begin to end; interval: from the begin of the last one; late: behind its due.
TIMES = ("wall", "interval", "late")
# Upper edges of the buckets, in seconds: fine where a tick of 50 ms is judged.
EDGES_S = np.array(
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05]
    + [0.0525, 0.055, 0.06, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0]
)


class Series:
    """Some values of every tick: the last ticks one by one, and all of them in buckets.

    What comes in is kept as it is and counted by the lot: between two ticks numpy's code is no longer in the
    processor's cache, and one call costs as much as twenty.
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._rows = np.zeros((REMEMBERED_TICKS, columns), np.float32)
        self._counts = np.zeros((columns, len(EDGES_S) + 1), np.int64)
        self._sums = np.zeros(columns)
        self._columns = np.arange(columns)
        self._waiting: list[Sequence[float]] = []

    def add(self, values_s: Sequence[float]) -> None:
        """Note one tick's values, seconds, one for each column."""
        self._waiting.append(values_s)
        self.count += 1
        if len(self._waiting) == COUNTED_AT_ONCE:
            self._count_waiting()

    def last(self, ticks: int) -> np.ndarray:
        """Return (n, columns) of up to so many ticks, oldest first."""
        self._count_waiting()
        count = min(ticks, self.count, REMEMBERED_TICKS)
        return self._rows[np.arange(self.count - count, self.count) % REMEMBERED_TICKS]

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (columns, edges + 1) how many values since the start were in each bucket, and their sums.

        A value on an edge is under it; the last bucket is over all edges.
        """
        self._count_waiting()
        return self._counts, self._sums

    def _count_waiting(self) -> None:
        if not self._waiting:
            return
        values = np.array(self._waiting)
        first = self.count - len(values)
        self._rows[np.arange(first, self.count) % REMEMBERED_TICKS] = values
        np.add.at(self._counts, (self._columns, np.searchsorted(EDGES_S, values)), 1)
        self._sums += values.sum(axis=0)
        self._waiting.clear()


class Phases:
    """A stopwatch for one tick after the other. `clock` in seconds: by itself CPU time of this thread.

    It never stops, so all phases together are all CPU time of the thread (accounts.py). By the wall clock
    whatever else uses the core would be put down to the phase that it happened in.
    """

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        self.cpu = Series(len(PHASES))
        self.times = Series(len(TIMES))
        self._clock = clock
        self._since = clock()
        self._now = [0.0] * len(PHASES)

    def start(self) -> None:
        """Time from here on: what was before the first tick is no tick's."""
        self._since = self._clock()

    def lap(self, phase: str) -> None:
        """Put the time since the last start or lap to a phase of the present tick."""
        now = self._clock()
        self._now[INDEX[phase]] += now - self._since
        self._since = now

    def end_tick(self) -> None:
        """The present tick is done."""
        self.cpu.add(self._now)
        self._now = [0.0] * len(PHASES)

    def note(self, wall_s: float, interval_s: float, late_s: float) -> None:
        """Note a tick's times by the wall clock."""
        self.times.add((wall_s, interval_s, late_s))

    @property
    def count(self) -> int:
        """How many ticks there have been."""
        return self.cpu.count

    def last(self, ticks: int = REMEMBERED_TICKS) -> np.ndarray:
        """Return (n, phases) seconds of up to so many ticks, oldest first."""
        return self.cpu.last(ticks)

    def last_times(self, ticks: int = REMEMBERED_TICKS) -> np.ndarray:
        """Return (n, TIMES) seconds of up to so many ticks, oldest first."""
        return self.times.last(ticks)


def instability(intervals_s: np.ndarray, dt: float) -> float:
    """Return Meterstick's instability ratio of intervals between ticks (m,): 0 is a perfect clock.

    t' = max(dt, t); ISR = Σ |t'ᵢ − t'ᵢ₋₁| / (2 dt Nₑ), Nₑ = ⌊Σ t' / dt⌋. 0 where there are under two.
    """
    if len(intervals_s) < 2:
        return 0.0
    late = np.maximum(intervals_s.astype(np.float64), dt)
    expected = int(late.sum() / dt + 1e-9)
    return float(np.abs(np.diff(late)).sum() / (2 * dt * expected))


def shares(values: np.ndarray, *of: float) -> list[np.ndarray]:
    """Return for each share the value of each column (n, k) that so many of the rows do not exceed; n > 0."""
    ordered = np.sort(values, axis=0)
    return [ordered[max(int(np.ceil(share * len(ordered))) - 1, 0)] for share in of]
