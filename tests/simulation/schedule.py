"""Invented time: what happens when. Nothing happens between two events, and that costs nothing."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class Schedule:
    """A queue of actions by their instants, in seconds. Equal instants: first come, first served."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._ties = count()
        self.late_until = 0.0  # when the last message arrives that was sent late

    def after(self, delay: float, action: Callable[..., object], *args: Any) -> None:
        """Let something happen in so many seconds."""
        heapq.heappush(self._queue, (self.now + delay, next(self._ties), action, args))

    def late(self, delay: float, action: Callable[..., object], *args: Any) -> None:
        """Let something happen that all has to wait for before it can be called right again."""
        self.late_until = max(self.late_until, self.now + delay)
        self.after(delay, action, *args)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        queue, until, pop = self._queue, self.now + seconds, heapq.heappop
        while queue and queue[0][0] <= until:
            self.now, _, action, args = pop(queue)
            action(*args)
        self.now = until
