"""The side of `benchmark tick` that is C."""

import ctypes
from time import thread_time_ns

import numpy as np

from tests.benchmark.c_tick import STAGES, TickInC
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.sides import Side


class InC(Side):
    """The second side: like the first one, until its state is in the hands of the C code."""

    _in_c: TickInC | None = None

    def hand_over(self, library: ctypes.CDLL) -> None:
        """Let the C code go on with what the service has; the service does nothing from now on."""
        self._in_c = TickInC(library, self.service)
        self.stages_ms: list[list[float]] = []

    def tick(self) -> None:
        """Take the inputs that came, and run a tick; its CPU time is kept."""
        if self._in_c is None:
            super().tick()
            return
        time_ms = int(self.service.clock() * 1000)
        before = thread_time_ns()
        sent = self._in_c.tick(time_ms, self._time.now)
        self.spent_ms.append((thread_time_ns() - before) / 1e6)
        self.stages_ms.append(self._in_c.stages_ms())
        if sent != self.players:
            raise CannotMeasure(f"The C code sent {sent} of {self.players} snapshots.")

    def phases_ms(self) -> dict[str, float]:
        """Return the median CPU time of each stage."""
        return dict(zip(STAGES, np.median(np.array(self.stages_ms), axis=0), strict=True))
