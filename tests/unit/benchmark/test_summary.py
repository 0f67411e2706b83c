"""What a run says: which seconds count, and when the clients were the bottleneck."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmark import cli
from tests.benchmark.players import Window
from tests.benchmark.zone import Run, Setting, load_figures, name_of, quantiles, server_figures

REPORT = {
    "began": [0.0, 0.05, 0.10, 0.15, 1.0, 1.05, 1.20],
    "took": [0.01] * 6 + [0.11],
    "phase_names": ["open", "send"],
    "phases_ms": [[1.0, 2.0]] * 4 + [[3.0, 4.0]] * 3,
    "path": "batch",
    "links": {"drop_forged": 3, "drop_empty": 0, "datagrams_sent": 7, "datagrams_lost": 1},
    "counters": {"ticks_skipped": 2},
}


def second(begin, *, is_clean, late_ms=1.0, snapshots=100):
    """Return one second of the window, and what the clients saw in it."""
    window = Window(players=2, snapshots=snapshots)
    window.lateness.add(np.full(100, late_ms))
    return SimpleNamespace(begin=begin, end=begin + 1, seconds=1.0, is_clean=is_clean), window


def run(seconds, client_drops=0):
    return Run(seconds, server_drops=5, client_drops=client_drops, corrected=0, report=REPORT)


def load(cpu=20.0, **changes):
    players = SimpleNamespace(swarm=SimpleNamespace(lost=0))
    drops = changes.pop("client_drops", 0)
    return load_figures(run([second(0.0, is_clean=True, **changes)], drops), players, cpu)


def test_only_clean_seconds_count_if_there_are_three():
    clean = [second(float(at), is_clean=True) for at in range(3)]
    dirty = [second(3.0, is_clean=False)]
    assert run(clean + dirty).used() == clean
    assert run(clean[:2] + dirty).used() == clean[:2] + dirty


def test_ticks_and_phases_are_those_of_the_seconds_that_count():
    figures = server_figures(run([second(1.0, is_clean=True)]))
    assert figures["tick"]["n"] == 3 and figures["over_100_ms"] == 1
    assert figures["phases_ms"]["open"]["p50"] == 3.0
    assert figures["work"] == {"mean": 7.0, "p50": 7.0, "p99": 7.0, "max": 7.0}
    assert figures["drops"] == {"drop_forged": 3}
    assert (figures["unread"], figures["datagrams_lost"]) == (5, 1)


def test_more_ticks_than_are_remembered_phase_by_phase_are_no_error():
    report = {**REPORT, "phases_ms": REPORT["phases_ms"][-2:]}
    figures = server_figures(Run([second(0.0, is_clean=True), second(1.0, is_clean=True)], 0, 0, 0, report))
    assert figures["tick"]["n"] == 7 and figures["work"]["p50"] == 7.0


def test_clients_that_did_their_part_are_no_limit():
    assert load()["limits"] == []


@pytest.mark.parametrize(
    "what, changes",
    [
        ("% of their core", {"cpu": 95.0}),
        ("ms late", {"late_ms": 12.0}),
        ("unread", {"client_drops": 1}),
    ],
)
def test_clients_that_did_not_are_named(what, changes):
    (limit,) = load(**changes)["limits"]
    assert what in limit


def test_one_datagram_unread_of_ten_thousand_is_forgiven():
    assert load(client_drops=1, snapshots=20_000)["limits"] == []


@pytest.mark.parametrize(
    "setting, name",
    [
        (Setting(100), "waystone-zone 100"),
        (Setting(100, workload="box"), "waystone-box 100"),
        (Setting(100, path="plain"), "waystone-zone-plain 100"),
        (Setting(100, in_c=True), "waystone-zone-in-C 100"),
        (Setting(1920, zones=64), "waystone-zones 1920x64"),
    ],
)
def test_names_sort_in_the_peers_table(setting, name):
    assert name_of(setting) == name
    family, _, players = name.partition(" ")
    assert family and players[0].isdigit()


def test_quantiles_of_nothing_are_nothing():
    assert quantiles(np.empty(0)) == {}


def test_a_missing_c_compiler_is_said_with_advice(monkeypatch):
    class Failing:
        class CannotMeasure(RuntimeError):
            pass

    def fail(*_):
        raise Failing.CannotMeasure("There is no C compiler")

    monkeypatch.setattr(cli, "import_module", lambda name: Failing)
    monkeypatch.setattr(cli, "_packets", fail)
    with pytest.raises(cli.CannotRun, match="no C compiler"):
        cli.run("packets", {}, None)
