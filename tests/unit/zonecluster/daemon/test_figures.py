import json
import math

import msgspec

from zonecluster.daemon.figures import EVERY_S, Meter
from zonecluster.daemon.phases import PHASES, Phases
from zonecluster.simulation.tables import Tables

LINKS = {"bytes_sent": 1_000, "bytes_received": 500, "drop_forged": 3, "drop_empty": 0, "datagrams_lost": 2}


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
    meter = Meter(ticking(1000), 0.05)
    meter.read(LINKS, Tables(), 0, 7, 0.0)
    assert meter.latest is not None
    seal = meter.latest.phases[PHASES.index("seal")]
    assert (seal.phase, seal.p50_ms, seal.p99_ms) == ("seal", 900.0, 998.0)
    assert (meter.latest.tick_p50_ms, meter.latest.tick_max_ms) == (900.0, 1000.0)
    assert (meter.latest.ticks, meter.latest.skipped_ticks, meter.latest.instability) == (1000, 7, 0.0)
    assert (meter.latest.drops, meter.latest.lost_datagrams) == ({"forged": 3}, 2)


def test_rates_are_since_the_reading_before_and_for_each_player() -> None:
    meter = Meter(ticking(3), 0.05)
    meter.read(LINKS, Tables(), 10, 0, 100.0)
    assert meter.latest is not None and meter.latest.sent_bytes_per_player_s == 0  # nothing to compare with
    more = {**LINKS, "bytes_sent": 1_000 + 240_000, "bytes_received": 500 + 24_000}
    meter.read(more, Tables(), 10, 0, 103.0)
    assert meter.latest.sent_bytes_per_player_s == 8_000
    assert meter.latest.received_bytes_per_player_s == 800


def test_it_is_due_every_few_seconds_and_says_nothing_before_the_first_tick() -> None:
    meter = Meter(ticking(0), 0.05)
    assert meter.is_due(5.0)
    meter.read(LINKS, Tables(), 0, 0, 5.0)
    assert meter.latest is None
    meter = Meter(ticking(1), 0.05)
    meter.read(LINKS, Tables(), 0, 0, 5.0)
    assert not meter.is_due(5.0 + EVERY_S / 2)
    assert meter.is_due(5.0 + EVERY_S)


def test_every_number_may_go_into_the_database() -> None:
    """PostgreSQL's JSON knows neither infinity nor NaN."""
    meter = Meter(ticking(1), 0.05)
    for _ in range(2):  # at one and the same instant
        meter.read(LINKS, Tables(), 0, 0, 5.0)
    text = json.dumps(msgspec.to_builtins(meter.latest), allow_nan=False)
    assert all(math.isfinite(each) for each in json.loads(text).values() if isinstance(each, float))
