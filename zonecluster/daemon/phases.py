"""How much CPU time each phase of the last ticks took. Kept in a ring of arrays: old ticks are forgotten."""

from collections.abc import Callable
from time import thread_time

import numpy as np

REMEMBERED_TICKS = 4096
# receive: datagrams taken and opened since the last tick; snapshots: interest, encoding; send: seal, send.
PHASES = ("receive", "links", "commands", "inputs", "simulation", "snapshots", "send", "rest")
INDEX = {name: index for index, name in enumerate(PHASES)}


class Phases:
    """A stopwatch for one tick after the other. `clock` in seconds: by itself CPU time.

    By the wall clock whatever else uses the core would be put down to the phase that it happened in.
    """

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        self._clock = clock
        self._since = clock()
        self._now = np.zeros(len(PHASES))
        self._ticks = np.zeros((REMEMBERED_TICKS, len(PHASES)), np.float32)
        self._count = 0

    def start(self) -> None:
        """What comes next is timed from here."""
        self._since = self._clock()

    def lap(self, phase: str) -> None:
        """Put the time since the last start or lap to a phase of the present tick."""
        now = self._clock()
        self._now[INDEX[phase]] += now - self._since
        self._since = now

    def end_tick(self) -> None:
        """The present tick is done."""
        self._ticks[self._count % REMEMBERED_TICKS] = self._now
        self._now[:] = 0
        self._count += 1

    def last(self, ticks: int = REMEMBERED_TICKS) -> np.ndarray:
        """Return (n, phases) seconds of up to so many ticks, oldest first."""
        count = min(ticks, self._count, REMEMBERED_TICKS)
        return self._ticks[np.arange(self._count - count, self._count) % REMEMBERED_TICKS]
