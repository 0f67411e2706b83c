"""A clock that neither jumps nor stops for long: what time-outs and rates of the cluster are judged by.

A machine that was suspended, a process that was stopped, a tick that took a minute: nobody could be heard
meanwhile, so none of it counts as somebody's silence.
"""

from collections.abc import Callable
from time import monotonic

LONGEST_STEP_S = 1.0  # between two readings; the loop reads it every few milliseconds


class SteadyClock:
    """Seconds of `source` that the loop has lived through. Never goes back. For one thread."""

    def __init__(self, source: Callable[[], float] = monotonic) -> None:
        self._source = source
        self._read = self._now = source()
        self.skipped_s = 0.0  # jumps and stops that did not count

    def __call__(self) -> float:
        """Return the time."""
        read = self._source()
        step = read - self._read
        self._read = read
        counted = min(max(step, 0.0), LONGEST_STEP_S)
        self.skipped_s += abs(step - counted)
        self._now += counted
        return self._now
