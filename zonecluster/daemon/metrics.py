"""What /metrics says of a zone cluster, in Prometheus' text format. Nothing is counted here: it is all read.

The names are documented in docs/operating.md; a test compares.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from platform import python_version

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from worlds.observing import outbox_metrics
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.figures import Meter
from zonecluster.daemon.phases import EDGES_S, PHASES, TIMES, Series
from zonecluster.daemon.steady_clock import SteadyClock

PREFIX = "waystone_zone_"
FRESH_S = 1.0  # however often it is asked for, it is made so often: that takes 1.5 ms
EDGES = [f"{edge:g}" for edge in EDGES_S]
DIRECTIONS = ("received", "sent")
LABELS = ("zone", "instance")


class Metrics:
    """The two pages of a cluster's HTTP port."""

    def __init__(self, cluster: Cluster, kinds: dict[str, str], meter: Meter, clock: SteadyClock) -> None:
        """Args: kinds: which implementation runs, by part."""
        self._cluster = cluster
        self._kinds = kinds
        self._meter = meter
        self._clock = clock
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._made_at = float("-inf")
        self._text = b""

    def page(self) -> tuple[HTTPStatus, str, bytes]:
        """Return /metrics."""
        now = self._clock()
        if now - self._made_at >= FRESH_S:
            self._made_at, self._text = now, generate_latest(self._registry)
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, self._text

    def health(self) -> tuple[HTTPStatus, str, bytes]:
        """Return /healthz. It is answered by the loop: if that stands still, not at all."""
        text = "text/plain; charset=utf-8"
        if self._cluster.is_stopping:
            return HTTPStatus.SERVICE_UNAVAILABLE, text, b"stopping\n"
        return HTTPStatus.OK, text, b"ok\n"

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering needs no reading."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read everything."""
        yield from self._time()
        yield from self._people()
        yield from self._traffic()
        yield from self._costs()
        yield from self._happenings()
        yield self._build()

    def _time(self) -> Iterable[Metric]:
        phases, pace = self._cluster.phases, self._cluster.pace
        yield histogram("tick_phase_cpu_seconds", "CPU time of a tick's phase.", phases.cpu, "phase", PHASES)
        told = (
            "Wall time of a tick.",
            "From the begin of a tick to that of the next.",
            "How late a tick began.",
        )
        for series, (name, text) in enumerate(zip(TIMES, told, strict=True)):
            yield histogram(f"tick_{name}_seconds", text, phases.times, series=series)
        yield counter(
            "ticks_skipped", "Ticks given up because the cluster was too late for them.", pace.skipped_ticks
        )
        yield counter(
            "clock_skipped_seconds", "Time that stops and jumps of the clock took.", self._clock.skipped_s
        )
        yield gauge("dilation_ratio", "Game seconds per second; 1 is full speed.", pace.dilation)
        yield gauge(
            "instability_ratio", "Meterstick's ISR of the last minute; 0 is perfect.", self._meter.instability
        )

    def _people(self) -> Iterable[Metric]:
        cluster = self._cluster
        yield gauge("players", "Players in play here.", len(cluster.roster.active))
        yield gauge("players_max", "Players that may be in play here.", cluster.config.max_players)
        yield gauge("links", "Zone links that are up.", len(cluster.links.of_rows.viewers()[0]))
        yield gauge("instances", "Zone instances that are open.", len(cluster.instances))
        yield gauge("entities", "Players and creatures.", int(np.count_nonzero(cluster.tables.alive)))

    def _traffic(self) -> Iterable[Metric]:
        links = self._cluster.links.statistics()
        for unit, text in (
            ("datagrams", "UDP datagrams."),
            ("bytes", "Bytes in them."),
            ("payloads", "Payloads in them."),
        ):
            values = {direction: links[f"{unit}_{direction}"] for direction in DIRECTIONS}
            yield counters(unit, text, "direction", values)
        strangers = {direction: links[f"stranger_bytes_{direction}"] for direction in DIRECTIONS}
        yield counters(
            "stranger_bytes", "Bytes from and to addresses that have proved nothing.", "direction", strangers
        )
        drops = {
            name.removeprefix("drop_"): count for name, count in links.items() if name.startswith("drop_")
        }
        yield counters("datagrams_dropped", "Received datagrams thrown away, by reason.", "reason", drops)
        yield counter(
            "datagrams_lost", "Datagrams that the kernel did not take.", links.get("datagrams_lost", 0)
        )
        yield counter(
            "receive_errors", "Errors of the socket while receiving.", links.get("receive_errors", 0)
        )
        yield counter("connections", "Zone links that have come up.", links["connections"])
        yield counter(
            "links_flooding", "Zone links put out for sending too much.", links.get("links_flooding", 0)
        )

    def _costs(self) -> Iterable[Metric]:
        cluster = self._cluster
        accounts = cluster.accounts
        cluster.settle(self._clock())
        yield counters(
            "account_cpu_seconds", "CPU time of the process, by whose it was.", "account", accounts.totals
        )
        cpu_s = CounterMetricFamily(
            f"{PREFIX}instance_cpu_seconds", "CPU time of a zone instance.", labels=LABELS
        )
        commands = CounterMetricFamily(f"{PREFIX}instance_commands", "Commands run in it.", labels=LABELS)
        players = GaugeMetricFamily(f"{PREFIX}instance_players", "Players in it.", labels=LABELS)
        for number, instance in cluster.instances.items():
            labels, place = [instance.content.slug, str(number)], instance.place_index
            cpu_s.add_metric(labels, float(accounts.place_cpu_s[place]))
            commands.add_metric(labels, float(accounts.place_commands[place]))
            players.add_metric(labels, instance.player_count)
        yield from (cpu_s, commands, players)
        refused = cluster.counters["commands_over_budget"]
        yield counter("budget_refusals", "Commands refused since the player's CPU time was used up.", refused)
        yield gauge("handlers_off", "Kinds of commands that are switched off.", len(cluster.handlers.off))

    def _happenings(self) -> Iterable[Metric]:
        cluster = self._cluster
        yield from outbox_metrics(PREFIX, cluster.outbox)
        corrected = {"wish_cut": cluster.tables.wishes_cut, "cursor_moved": cluster.tables.cursors_moved}
        yield counters("corrections", "Movements of players that were corrected.", "kind", corrected)
        yield counters("events", "What else is counted, by name.", "event", dict(cluster.counters))

    def _build(self) -> Metric:
        config = self._cluster.config
        labels = {
            "world": config.world,
            "cluster": config.name,
            "packets": self._cluster.links.path.name,
            **self._kinds,
            "python": python_version(),
            "numpy": np.__version__,
        }
        family = GaugeMetricFamily(f"{PREFIX}build_info", "What runs here.", labels=[*labels])
        family.add_metric([*labels.values()], 1)
        return family


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def counter(name: str, text: str, value: float) -> Metric:
    """Return a counter without labels; its sample is called `name`_total."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a counter with one label."""
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def histogram(
    name: str, text: str, of: Series, label: str = "", names: Iterable[str] = (), series: int = 0
) -> Metric:
    """Return a histogram: of one series, or with a label of all of them."""
    family = HistogramMetricFamily(PREFIX + name, text, labels=[label] if label else [])
    counts, sums = of.histogram()
    cumulated = np.cumsum(counts, axis=1).tolist()
    for row, key in enumerate(names) if label else ((series, ""),):
        edges = list(zip([*EDGES, "+Inf"], cumulated[row], strict=True))
        family.add_metric([key] if label else [], edges, float(sums[row]))
    return family
