"""The benchmarks run: a real cluster process under real encrypted clients, for seconds. No figures here."""

import pytest

from tests.benchmark import attack, cli, fairness, zone
from tests.benchmark.strangers import byte_ratios
from tests.benchmark.zone import Setting, measure

# The keys of the other servers' benchmarks: one table shows all (tools outside this repository read them).
PEERS_KEYS = {
    *("test", "name", "n", "clean", "clean_secs", "secs", "server_cpu", "client_cpu", "foreign0", "foreign1"),
    *("wait_srv_ms_s", "wait_cli_ms_s", "rss_mb", "snaps_mean", "snaps_min", "gap", "ok", "rtt", "errors"),
    *("bytes_per_client_s", "bytes_per_patch", "inputs_per_s", "joins_per_s", "server"),
}


def short(players, **changes):
    """Return a run of two seconds on whatever cores there are."""
    return Setting(
        players, clean_seconds=2, most_seconds=2, settle_s=0.5, server_core=None, client_core=None, **changes
    )


@pytest.fixture(scope="module")
def result():
    return measure(short(20))


def test_every_player_is_shown_the_zone(result):
    assert result["n"] == 20 and result["snaps_min"] > 0
    assert result["errors"] == 0 and result["server"]["unread"] == 0
    assert result["server"]["drops"] == {}
    views = result["views"]
    assert views["decoded"] > 0 and views["judged"] > 0
    # Everybody is nearer than the 64th: each record of each view is right, and nobody is left out.
    assert (views["stale"], views["missing"]) == (0, 0)
    assert views["records"] == views["judged"] * 19


def test_the_result_has_the_keys_of_the_peers_benchmarks(result):
    assert result.keys() >= PEERS_KEYS
    assert {"tick", "patch_interval", "isr"} <= result["server"].keys()
    assert {"n", "mean", "p50", "p95", "p99", "max"} == result["gap"].keys()


def test_players_cost_what_their_phases_cost(result):
    phases = result["server"]["phases_ms"]
    assert {"receive", "interest", "encode", "seal", "send", *zone.BETWEEN_TICKS} <= phases.keys()
    together = sum(phase["mean"] for name, phase in phases.items() if name not in zone.BETWEEN_TICKS)
    assert together == pytest.approx(result["server"]["work"]["mean"], rel=0.01)


def test_a_result_is_told_in_one_line_for_people(result):
    line = cli.zone_line(result)
    assert line.startswith("waystone-zone 20: ") and "\n" not in line


def test_a_run_whose_clients_were_the_bottleneck_says_nothing_of_the_server(monkeypatch):
    monkeypatch.setattr(zone, "MOST_LATE_MS", 0.0)
    result = measure(short(5))
    assert result["ok"] is None
    assert "says nothing" in cli.zone_line(result)


def test_zones_are_separate_worlds():
    result = measure(short(12, zones=3))
    assert result["name"] == "waystone-zones 12x3"
    assert result["views"]["records"] == result["views"]["judged"] * 3
    assert result["views"]["missing"] == 0


def test_strangers_are_never_answered_with_more_than_a_third():
    for choice in ("plain", "auto"):
        found = byte_ratios(choice)
        assert max(kind["ratio"] for kind in found.values()) <= 0.31
        assert found["good request, never answered"]["out"] > 0
        assert found["forged request"]["out"] == 0


@pytest.mark.parametrize("kind", ["forge", "flood"])
def test_players_go_on_under_attack(kind, monkeypatch):
    monkeypatch.setattr(attack, "MARGIN_S", 1)
    monkeypatch.setattr(attack, "Setting", lambda players, **changes: short(players, spare=1))
    result = attack.under_attack(kind, 2000, 5, 2, lambda text: None)
    assert result["attack_per_s"] > 0 and result["counted"]
    assert result["with"]["snaps_min"] > 0
    assert str(result["attack_per_s"]) in attack.line(result)


def test_one_who_macros_is_measured_beside_others(monkeypatch):
    monkeypatch.setattr(fairness, "Setting", lambda players, workload: short(players, workload=workload))
    result = fairness.compare(12, 2.5, 1)
    assert result["alone"]["answers"] > 0 and result["flood"]["macro_refused_per_s"] > 0
    assert 0.95 <= result["accounts_to_cpu"] <= 1.05
    assert f"{result['macro_more_ticks']} ticks" in fairness.line(result)
