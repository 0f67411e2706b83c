import json
import math
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import msgspec
import numpy as np

from worlds.bus import Outbox
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.figures import EVERY_S, Meter
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.phases import PHASES, Phases
from zonecluster.daemon.players import Player
from zonecluster.daemon.zone_links import ZoneLinks

LINKS = {"bytes_sent": 1_000, "bytes_received": 500, "drop_forged": 3, "drop_empty": 0, "datagrams_lost": 2}


def cluster_of(phases: Phases, links: dict[str, int] = LINKS, skipped_ticks: int = 0) -> Cluster:
    """Return a cluster without a socket, whose links say that."""
    config = ClusterConfig("demo", "east", "127.0.0.1", 0, ("127.0.0.1",), 10)
    silent = cast(ZoneLinks, SimpleNamespace(statistics=lambda: links))
    rng, pace = np.random.default_rng(1), Pace(0.05, 0.0)
    pace.skipped_ticks = skipped_ticks
    return Cluster(config, silent, Outbox(), 7, rng, pace, lambda: 0.0, phases=phases)


def ticking(ticks: int) -> Phases:
    """Return phases of so many ticks: `seal` takes 1, 2, 3, … ms."""
    now = [0.0]
    phases = Phases(lambda: now[0])
    for tick in range(ticks):
        now[0] += (tick + 1) / 1000
        phases.lap("seal")
        phases.end_tick()
        phases.note((tick + 1) / 1000, 0.05, 0.001)
    return phases


def test_times_are_of_the_last_ten_seconds() -> None:
    phases = ticking(1000)
    meter = Meter(phases, 0.05)
    meter.read(cluster_of(phases, skipped_ticks=7), 0.0)
    assert meter.latest is not None
    seal = meter.latest.phases[PHASES.index("seal")]
    assert (seal.phase, seal.p50_ms, seal.p99_ms) == ("seal", 900.0, 998.0)
    assert (meter.latest.tick_p50_ms, meter.latest.tick_max_ms) == (900.0, 1000.0)
    assert (meter.latest.ticks, meter.latest.skipped_ticks, meter.latest.instability) == (1000, 7, 0.0)
    assert (meter.latest.drops, meter.latest.lost_datagrams) == ({"forged": 3}, 2)


def test_rates_are_since_the_reading_before_and_for_each_player() -> None:
    phases = ticking(3)
    meter, cluster = Meter(phases, 0.05), cluster_of(phases)
    cluster.roster.active.update({UUID(int=number): cast(Player, None) for number in range(10)})
    meter.read(cluster, 100.0)
    assert meter.latest is not None and meter.latest.sent_bytes_per_player_s == 0  # nothing to compare with
    more = {**LINKS, "bytes_sent": 1_000 + 240_000, "bytes_received": 500 + 24_000}
    links = cast(SimpleNamespace, cluster.links)
    links.statistics = lambda: more
    meter.read(cluster, 103.0)
    assert meter.latest.sent_bytes_per_player_s == 8_000
    assert meter.latest.received_bytes_per_player_s == 800


def test_it_is_due_every_few_seconds_and_says_nothing_before_the_first_tick() -> None:
    meter, cluster = Meter(ticking(0), 0.05), cluster_of(ticking(0))
    assert meter.is_due(5.0)
    meter.read(cluster, 5.0)
    assert meter.latest is None
    meter = Meter(ticking(1), 0.05)
    meter.read(cluster, 5.0)
    assert not meter.is_due(5.0 + EVERY_S / 2)
    assert meter.is_due(5.0 + EVERY_S)


def test_every_number_may_go_into_the_database() -> None:
    """PostgreSQL's JSON knows neither infinity nor NaN."""
    meter, cluster = Meter(ticking(1), 0.05), cluster_of(ticking(1))
    for _ in range(2):  # at one and the same instant
        meter.read(cluster, 5.0)
    text = json.dumps(msgspec.to_builtins(meter.latest), allow_nan=False)
    assert all(math.isfinite(each) for each in json.loads(text).values() if isinstance(each, float))
