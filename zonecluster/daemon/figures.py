"""How the cluster is doing, in a few numbers: for the admin by way of the world daemon, in each ClusterAlive.

Read every few seconds from what ticks have counted; rates are since the reading before.
"""

import numpy as np

from zonecluster.daemon.accounts import Costs, open_places
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.phases import PHASES, TIMES, Phases, instability, shares
from zonecluster.protocol.figures import (
    MOST_CONSUMERS,
    ClusterFigures,
    Consumer,
    InstanceFigures,
    PhaseFigures,
)
from zonecluster.simulation.tables import PLAYER, Tables

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

    def read(self, cluster: Cluster, now: float) -> None:
        """Make new figures; `now` is monotonic seconds."""
        phases, links, tables = self._phases, cluster.links.statistics(), cluster.tables
        cpu_ms, times_ms = phases.last(WINDOW_TICKS) * 1000, phases.last_times(WINDOW_TICKS) * 1000
        if len(cpu_ms) == 0 or len(times_ms) == 0:
            return
        self.instability = instability(phases.last_times(MINUTE_TICKS)[:, INTERVAL], self._dt)
        half, most = shares(cpu_ms, 0.5, 0.99)
        times_half, times_most, times_max = shares(times_ms, 0.5, 0.99, 1.0)
        sent, received = self._rates(links, max(len(cluster.roster.active), 1), now)
        costs = cluster.accounts.take()
        seconds = max(costs.window, 0.001)
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
            skipped_ticks=cluster.pace.skipped_ticks,
            entities=int(np.count_nonzero(tables.alive)),
            sent_bytes_per_player_s=round(sent),
            received_bytes_per_player_s=round(received),
            drops={
                name.removeprefix("drop_"): count
                for name, count in links.items()
                if count and name.startswith("drop_")
            },
            lost_datagrams=links.get("datagrams_lost", 0),
            window=_rounded(costs.window),
            cpu_ms=_rounded(costs.process_s / seconds * 1000),
            unassigned_ms=_rounded(costs.unassigned_s / seconds * 1000),
            instances=instances_in(costs, tables),
            consumers=consumers_in(costs, cluster),
            budget_refusals=cluster.counters["commands_over_budget"],
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


def instances_in(costs: Costs, tables: Tables) -> list[InstanceFigures]:
    """Return what each open instance cost in a second, by number."""
    places, seconds = len(tables.places), max(costs.window, 0.001)
    is_player = tables.alive & (tables.kind == PLAYER)
    players = np.bincount(tables.place[is_player], minlength=places)
    others = np.bincount(tables.place[tables.alive & ~is_player], minlength=places)
    return [
        InstanceFigures(
            instance=int(tables.places.numbers[place]),
            players=int(players[place]),
            creatures=int(others[place]),
            cpu_ms=_rounded(_at(costs.place_cpu_s, place) / seconds * 1000),
            commands=_rounded(_at(costs.place_commands, place) / seconds),
        )
        for place in sorted(open_places(tables).tolist(), key=lambda place: int(tables.places.numbers[place]))
    ]


def consumers_in(costs: Costs, cluster: Cluster) -> list[Consumer]:
    """Return the players who cost most, the dearest first."""
    seconds, cpu_s = max(costs.window, 0.001), costs.cpu_s
    most = min(MOST_CONSUMERS, len(cpu_s))
    rows = np.argpartition(cpu_s, len(cpu_s) - most)[len(cpu_s) - most :] if most else np.empty(0, np.int64)
    rows = rows[np.argsort(-cpu_s[rows], kind="stable")]
    found = [(row, cluster.roster.at_row(row)) for row in rows[cpu_s[rows] > 0].tolist()]
    return [
        Consumer(
            session=player.session,
            name=player.name,
            cpu_ms=_rounded(cpu_s[row] / seconds * 1000),
            share=round(float(cpu_s[row]) / max(costs.process_s, 1e-9), 4),
            commands=_rounded(costs.commands[row] / seconds),
            instance=player.instance.number,
        )
        for row, player in found
        if player is not None
    ]


def _at(column: np.ndarray, place: int) -> float:
    """Return a place's value; 0 of one that was opened since."""
    return float(column[place]) if place < len(column) else 0.0
