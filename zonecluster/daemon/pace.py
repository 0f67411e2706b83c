"""When ticks are due, and how fast game time passes. Pure: time is an argument, in monotonic seconds.

A tick advances the game by `dt`, always. What changes is the interval between ticks: when ticks cost more
than there is time for, it stretches, smoothly and openly (time dilation), and shrinks again when they cost
less. Not here: what a tick does, and the clock (service.py).
"""

from collections import deque
from typing import Literal

CATCH_UP_TICKS = 3  # a hiccup that lost up to so many is made up for; more would be a burst
FLOOR = 0.1  # slowest game time: 500 ms a tick. Slower is not play; what is over it is skipped
# Of an interval, for the ticks' work. The rest is for what is not measured: the kernel, other processes.
UTILISATION = 0.95
REMEMBERED_COSTS = 5
OUTLIER = 3.0  # times the median of those: more of one tick does not count, one hiccup is no load
RISING = 0.5  # share of a rise in cost that one tick believes
FALLING_S = 1.0  # time constant of believing a fall
RECOVERY_S = 2.0  # game time speeds up by a factor of e in so long, at most
DEAD_BAND = 1.02  # less is not worth a change: every client follows each of them
MEAN_S = 1.0  # over which `tick_ms` is a mean


class Pace:
    """Fixed steps of `dt` seconds of game time.

    `dilation` is game seconds per second, FLOOR..1, as planned; ticks that were skipped come on top of it.
    """

    def __init__(self, dt: float, now: float) -> None:
        self.dt = dt
        self.dilation = 1.0
        self.skipped_ticks = 0
        self.late_s = 0.0  # how late the last tick began
        self.tick_ms = 0.0  # mean cost of a tick
        self._due_at = self._earliest_at = now
        self._costs = deque([0.0] * REMEMBERED_COSTS, REMEMBERED_COSTS)
        self._cost_s = 0.0  # what a tick is believed to cost

    @property
    def interval_s(self) -> float:
        """How long a tick has."""
        return self.dt / self.dilation

    def wait_s(self, now: float) -> float:
        """Return how long until the next tick is due, 0 if it is; never more than an interval."""
        wait_s = max(self._due_at, self._earliest_at) - now
        if wait_s > self.interval_s:  # the clock went back: what was planned by it means nothing
            self._due_at = self._earliest_at = now + self.interval_s
            return self.interval_s
        return max(wait_s, 0.0)

    def begin(self, now: float) -> int:
        """Note that a tick begins; returns how many before it are given up, since it is too late for them.

        A hiccup is made up for by ticks that come up to twice as fast. After a longer one, a suspended
        machine or a clock that jumped, play goes on from now.
        """
        self.late_s = max(now - self._due_at, 0.0)
        # Slowed down, there is no time to make up for anything.
        ticks_made_up = CATCH_UP_TICKS if self.dilation == 1 else 1
        skipped = 0
        if self.late_s > ticks_made_up * self.dt:
            skipped = round(self.late_s / self.interval_s)
            self._due_at = now
        self.skipped_ticks += skipped
        self._due_at += self.interval_s
        self._earliest_at = now + self.interval_s / 2
        return skipped

    def end(self, cost_s: float) -> None:
        """Note that the tick is done, and what it cost with all that was done since the one before."""
        interval_s = self.interval_s
        self.tick_ms += (cost_s * 1000 - self.tick_ms) * min(interval_s / MEAN_S, 1)
        self._costs.append(cost_s)
        limit_s = OUTLIER * sorted(self._costs)[REMEMBERED_COSTS // 2]
        seen_s = sum(min(cost, limit_s) for cost in self._costs) / REMEMBERED_COSTS
        share = RISING if seen_s > self._cost_s else min(interval_s / FALLING_S, 1)
        self._cost_s += (seen_s - self._cost_s) * share
        self._steer(interval_s)

    def _steer(self, interval_s: float) -> None:
        """Slow down at once, speed up gently."""
        fits = UTILISATION * self.dt / max(self._cost_s, 1e-6)
        wanted = min(max(fits, FLOOR), 1.0)
        if wanted < self.dilation:
            self.dilation = wanted
        elif wanted == 1 or wanted > self.dilation * DEAD_BAND:
            self.dilation = min(wanted, self.dilation * (1 + interval_s / RECOVERY_S))


TELL_UNDER, OVER_ABOVE = 0.8, 0.95  # apart, or players would be told again and again
TELL_EVERY_S = 20.0


class SlowTime:
    """When players are told that game time passes slowly, and that this is over."""

    def __init__(self) -> None:
        self.is_slow = False  # as players were last told
        self._told_at = float("-inf")

    def news(self, dilation: float, now: float) -> Literal["slow", "over"] | None:
        """Return what players are to be told now, if anything."""
        if now - self._told_at < TELL_EVERY_S:
            return None
        if dilation >= OVER_ABOVE if self.is_slow else dilation < TELL_UNDER:
            self.is_slow = not self.is_slow
            self._told_at = now
            return "slow" if self.is_slow else "over"
        return None
