"""How the cluster is doing, in a few numbers: for the admin by way of the world daemon, in each ClusterAlive.

Read every few seconds from what ticks have counted; rates are since the reading before.
"""

import numpy as np

from zonecluster.daemon.phases import PHASES, TIMES, Phases, instability, shares
from zonecluster.protocol.figures import ClusterFigures, PhaseFigures
from zonecluster.simulation.tables import Tables

EVERY_S = 3.0
WINDOW_TICKS = 200  # 10 s
MINUTE_TICKS = 1200
WALL, INTERVAL, LATE = (TIMES.index(name) for name in ("wall", "interval", "late"))


class Meter:
    """Makes the figures. `read` every EVERY_S."""

    def __init__(self, phases: Phases, dt: float) -> None:
        self.latest: ClusterFigures | None = None
        self.instability = 0.0  # of the last minute
        self._phases = phases
        self._dt = dt
        self._at: float | None = None
        self._sent = self._received = 0

    def is_due(self, now: float) -> bool:
        """Whether the last reading is old."""
        return self._at is None or now - self._at >= EVERY_S

    def read(
        self, links: dict[str, int], tables: Tables, players: int, skipped_ticks: int, now: float
    ) -> None:
        """Make new figures. Args: links: ZoneLinks.statistics()."""
        phases = self._phases
        cpu_ms, times_ms = phases.last(WINDOW_TICKS) * 1000, phases.last_times(WINDOW_TICKS) * 1000
        if len(cpu_ms) == 0 or len(times_ms) == 0:
            return
        self.instability = instability(phases.last_times(MINUTE_TICKS)[:, INTERVAL], self._dt)
        half, most = shares(cpu_ms, 0.5, 0.99)
        times_half, times_most, times_max = shares(times_ms, 0.5, 0.99, 1.0)
        sent, received = self._rates(links, max(players, 1), now)
        self.latest = ClusterFigures(
            phases=[
                PhaseFigures(name, _rounded(half[index]), _rounded(most[index]))
                for index, name in enumerate(PHASES)
            ],
            tick_p50_ms=_rounded(times_half[WALL]),
            tick_p99_ms=_rounded(times_most[WALL]),
            tick_max_ms=_rounded(times_max[WALL]),
            interval_p99_ms=_rounded(times_most[INTERVAL]),
            late_p99_ms=_rounded(times_most[LATE]),
            instability=round(self.instability, 4),
            ticks=phases.count,
            skipped_ticks=skipped_ticks,
            entities=int(np.count_nonzero(tables.alive)),
            sent_bytes_per_player_s=round(sent),
            received_bytes_per_player_s=round(received),
            drops={
                name.removeprefix("drop_"): count
                for name, count in links.items()
                if count and name.startswith("drop_")
            },
            lost_datagrams=links.get("datagrams_lost", 0),
        )

    def _rates(self, links: dict[str, int], players: int, now: float) -> tuple[float, float]:
        """Return bytes sent and received, for each player and second."""
        sent, received = links["bytes_sent"], links["bytes_received"]
        seconds = max(now - self._at, 0.001) if self._at is not None else float("inf")
        rates = (sent - self._sent) / seconds / players, (received - self._received) / seconds / players
        self._at, self._sent, self._received = now, sent, received
        return rates


def _rounded(value: float) -> float:
    return round(float(value), 3)
