"""What /metrics says of a world daemon: read from its core's memory, and what its shell has counted."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from worlds.bus import Outbox
from worlds.daemon.core.events import Answered, Unreachable
from worlds.daemon.core.session import IN_PLAY, Phase
from worlds.daemon.core.state import World
from worlds.observing import outbox_metrics, registry_of_process
from worlds.uplink.messages import Refusal

PREFIX = "waystone_daemon_"
ASK_EDGES_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 8.0)
LAG_EDGES_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass
class ShellFigures:
    """What the shell counts while it works."""

    registry: CollectorRegistry = field(default_factory=registry_of_process)

    def __post_init__(self) -> None:
        self.ask_seconds = Histogram(
            f"{PREFIX}master_request_seconds",
            "Requests to the master, until they were answered.",
            ["request", "outcome"],
            buckets=ASK_EDGES_S,
            registry=self.registry,
        )
        self.lag_seconds = Histogram(
            f"{PREFIX}loop_lag_seconds",
            "How much later than meant the loop went on.",
            buckets=LAG_EDGES_S,
            registry=self.registry,
        )
        self.heard = Counter(
            f"{PREFIX}bus_received", "Messages taken from the bus, by kind.", ["kind"], registry=self.registry
        )

    def answered(self, request: str, outcome: str, seconds: float) -> None:
        """Note a request to the master. Args: outcome: ok, refused or unreachable."""
        self.ask_seconds.labels(request, outcome).observe(seconds)


def outcome_of(answers: Sequence[Answered]) -> str:
    """Return what came of one request to the master: ok, refused or unreachable; of a batch, the worst."""
    if any(isinstance(each.answer, Unreachable) for each in answers):
        return "unreachable"
    is_refused = any(
        isinstance(each.answer, Refusal) or getattr(each.answer, "refusal", None) is not None
        for each in answers
    )
    return "refused" if is_refused else "ok"


class CoreFigures:
    """A collector of prometheus_client."""

    def __init__(self, world: World, outbox: Outbox, journal_bytes: Callable[[], int]) -> None:
        self._world, self._outbox, self._journal_bytes = world, outbox, journal_bytes

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering needs no reading."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything."""
        yield from self._sessions()
        yield from self._writes()
        yield from self._world_wide()
        yield from outbox_metrics(PREFIX, self._outbox)

    def _sessions(self) -> Iterable[Metric]:
        w = self._world
        phases = Counts(s.phase for s in w.sessions.values())
        family = GaugeMetricFamily(PREFIX + "sessions", "Sessions, by where they are.", labels=["phase"])
        for phase in Phase:
            family.add_metric([phase.value], phases[phase])
        yield family
        in_play = sum(count for phase, count in phases.items() if phase in IN_PLAY)
        yield _gauge("players", "Characters in the world.", in_play)
        yield _gauge("players_max", "How many may be in the world.", w.catalog.max_players)
        withheld = sum(s.is_withheld for s in w.sessions.values())
        yield _gauge("players_withheld", "Players who gain nothing, since they cannot be saved.", withheld)

    def _writes(self) -> Iterable[Metric]:
        w = self._world
        outstanding = sum(s.writer is not None and not s.writer.is_idle for s in w.sessions.values())
        yield _gauge("writes_outstanding", "Writes not answered yet.", outstanding)
        waiting = sum(len(replay.writes) for replay in w.replays.values())
        yield _gauge("writes_replayed", "Writes of before that wait for the master.", waiting)
        yield _gauge("exchanges", "Trades and letters under way.", len(w.exchanges))
        yield _gauge("journal_bytes", "Size of the journal.", self._journal_bytes())
        yield _gauge("journal_up", "Whether the journal takes writes.", w.journal_broken_since is None)

    def _world_wide(self) -> Iterable[Metric]:
        w = self._world
        yield _gauge("master_up", "Whether the master answers.", w.is_master_up)
        yield _gauge("bus_up", "Whether the bus works.", w.is_bus_up)
        yield _gauge("clusters_alive", "Zone clusters that are alive.", len(w.clusters.alive()))
        yield _gauge("clusters", "Zone clusters that are set up and enabled.", _enabled(w))
        yield _gauge("instances", "Zone instances that are placed.", len(w.clusters.instances))
        yield _gauge("moves", "Live moves under way.", len(w.moves))
        yield _gauge("alliances", "Alliances.", len(w.alliances))
        events = CounterMetricFamily(PREFIX + "events", "What else is counted, by name.", labels=["event"])
        for name, value in sorted(w.counts.items()):
            events.add_metric([name], value)
        yield events


def _enabled(w: World) -> int:
    return sum(info.is_enabled for info in w.catalog.clusters.values())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))
