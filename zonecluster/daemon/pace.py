"""When ticks are due, and how far the cluster is behind. Pure: time is an argument, in monotonic seconds."""

CATCH_UP_TICKS = (
    3  # so many late ticks are made up for; more are skipped, or a slow cluster would never recover
)
WINDOW_S = 1.0  # over which dilation and cost are measured


class Pace:
    """Fixed steps of `dt` seconds. Skipped ticks are game time that did not pass, told openly as dilation."""

    def __init__(self, dt: float, now: float) -> None:
        self.dt = dt
        self.next_at = now
        self.skipped_ticks = 0
        self.dilation = 1.0  # game seconds per second, over the last window
        self.tick_ms = 0.0  # mean cost of a tick, over the last window
        self._window_at = now
        self._ticks = 0
        self._busy_s = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long until the next tick is due; 0 if it is."""
        return max(self.next_at - now, 0.0)

    def begin(self, now: float) -> int:
        """Note that a tick begins; returns how many were given up because the cluster is too far behind."""
        late = int((now - self.next_at) / self.dt)
        skipped = max(late - CATCH_UP_TICKS, 0)
        self.skipped_ticks += skipped
        self.next_at += (skipped + 1) * self.dt
        return skipped

    def end(self, began: float, now: float) -> None:
        """Note that the tick is done."""
        self._ticks += 1
        self._busy_s += now - began
        elapsed = now - self._window_at
        if elapsed >= WINDOW_S:
            self.dilation = min(self._ticks * self.dt / elapsed, 1.0)
            self.tick_ms = self._busy_s / self._ticks * 1000
            self._window_at, self._ticks, self._busy_s = now, 0, 0.0
