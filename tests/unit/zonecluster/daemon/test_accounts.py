"""Who is charged for what, with invented CPU clocks: nothing is lost, nothing is charged twice."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.daemon.accounts import Accounts
from zonecluster.daemon.phases import PHASES, Phases
from zonecluster.simulation.content import SpawnContent, ZoneContent
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.tables import Tables


class Process:
    """Two instances: 11 with two players and three creatures, 12 with one player; CPU clocks set by hand."""

    def __init__(self) -> None:
        self.thread_s = self.process_s = 0.0
        self.now = 100.0
        self.tables = Tables()
        rng = np.random.default_rng(1)
        gulls = SpawnContent("gull", "Gull", 1.0, 3, 10, 10, 5)
        self.instances = [
            ZoneInstance(11, ZoneContent("a", "A", "", 20.0, 5.0, 5.0, spawns=(gulls,)), self.tables, rng),
            ZoneInstance(12, ZoneContent("b", "B", "", 20.0, 5.0, 5.0), self.tables, rng),
        ]
        self.alice, self.bob = (self.instances[0].admit(name, None) for name in ("Alice", "Bob"))
        self.mallory = self.instances[1].admit("Mallory", None)
        self.phases = Phases(lambda: self.thread_s)
        clocks = (lambda: self.process_s), (lambda: self.thread_s)
        self.accounts = Accounts(self.phases, self.tables, *clocks)
        self.accounts.settle(self.now, 0)

    def spend(self, threads: float = 0.0, **seconds: float) -> None:
        """Let a tick's phases take so many seconds of CPU, and other threads."""
        for phase, each in seconds.items():
            self.thread_s += each
            self.process_s += each
            self.phases.lap(phase)
        self.process_s += threads
        self.phases.end_tick()

    def settle(self, datagrams: int = 0) -> None:
        self.now += 1.0
        self.accounts.settle(self.now, datagrams)

    def cpu_s(self, *rows: int) -> list[Any]:
        return [pytest.approx(value) for value in self.accounts.take().cpu_s[list(rows)].tolist()]


@pytest.fixture
def process() -> Process:
    return Process()


def test_commands_are_charged_to_who_gave_them_and_the_rest_of_the_phase_by_their_number(process) -> None:
    process.accounts.note_command(process.alice, 300_000_000)
    for _ in range(3):
        process.accounts.note_command(process.bob, 100_000_000)
    process.spend(commands=1.0)
    process.settle()
    assert process.cpu_s(process.alice, process.bob, process.mallory) == [0.4, 0.6, 0.0]


def test_snapshots_are_charged_by_number_and_by_bytes(process) -> None:
    both = np.array([process.alice, process.bob])
    process.accounts.note_snapshots(both, np.array([300, 100]))
    process.accounts.note_snapshots(both, np.array([500, 100]))
    process.accounts.note_snapshots(np.array([process.alice]), np.array([0]))
    process.spend(send=3.0, encode=10.0)
    process.settle()
    assert process.cpu_s(process.alice, process.bob) == [1.8 + 8.0, 1.2 + 2.0]


def test_datagrams_are_charged_to_their_senders_and_those_of_strangers_to_nobody(process) -> None:
    process.accounts.note_datagrams(np.array([process.alice] * 3 + [process.bob, -1]))
    process.spend(receive=4.0, open=6.0, inputs=4.0)
    process.settle(datagrams=10)
    assert process.accounts.totals["strangers"] == pytest.approx(6.0)
    assert process.cpu_s(process.alice, process.bob) == [3.0 + 3.0, 1.0 + 1.0]


def test_creatures_are_charged_to_their_instance(process) -> None:
    process.spend(simulation=6.0)
    process.settle()
    costs = process.accounts.take()
    assert costs.place_cpu_s.tolist() == pytest.approx([5.0, 1.0])
    assert process.accounts.totals["creatures"] == pytest.approx(3.0)


def test_what_ticks_use_is_told_for_budgets_without_commands(process) -> None:
    process.accounts.note_command(process.alice, 500_000_000)
    process.spend(rest=0.3, commands=0.5)
    process.settle()
    assert process.accounts.tick_ns_of(process.alice) == pytest.approx(1e8)
    assert process.accounts.tick_ns_of(10**6) == 0.0


def test_other_threads_and_the_loop_are_nobodys(process) -> None:
    process.spend(threads=2.0, loop=1.0, encode=0.5)  # encoded, and nobody was there to see it
    process.settle()
    assert process.accounts.take().unassigned_s == pytest.approx(3.5)
    assert process.accounts.totals["threads"] == pytest.approx(2.0)


def test_who_is_gone_leaves_no_bill_to_the_next_in_the_row(process) -> None:
    process.accounts.note_command(process.mallory, 1_000_000_000)
    process.spend(commands=1.0)
    process.settle()
    process.instances[1].remove(process.mallory)
    assert process.instances[1].admit("Bob", None) == process.mallory
    process.spend(commands=0.0)
    process.settle()
    assert process.cpu_s(process.mallory) == [0.0]


def test_an_instance_in_anothers_place_begins_at_nothing(process) -> None:
    process.spend(rest=3.0)
    process.settle()
    assert process.accounts.place_cpu_s.tolist() == pytest.approx([2.0, 1.0])
    process.instances[1].close()
    content = ZoneContent("c", "C", "", 20.0, 5.0, 5.0)
    ZoneInstance(13, content, process.tables, np.random.default_rng(1))
    process.settle()
    assert process.accounts.place_cpu_s.tolist() == pytest.approx([2.0, 0.0])


def test_more_players_than_rows_when_it_began(process) -> None:
    rows = [process.instances[1].admit(f"Bob {number}", None) for number in range(40)]
    process.accounts.note_command(rows[-1], 1_000_000_000)
    process.accounts.note_datagrams(np.array(rows))
    process.spend(commands=1.0)
    process.settle()
    assert process.cpu_s(rows[-1]) == [1.0]


steps = st.tuples(
    st.sampled_from([*PHASES, "threads"]), st.floats(0, 10), st.sampled_from([0, 1, 2]), st.integers(0, 50)
)


@given(st.lists(steps, max_size=40))
def test_all_accounts_together_are_what_the_process_used(happened) -> None:
    process = Process()
    rows = [process.alice, process.bob, process.mallory]
    unassigned = in_places = 0.0
    datagrams = 0
    for phase, seconds, who, count in happened:
        process.accounts.note_datagrams(np.full(count, rows[who]))
        process.accounts.note_snapshots(np.array(rows[: who + 1]), np.full(who + 1, count))
        if phase == "commands":
            process.accounts.note_command(rows[who], round(seconds * 1e9 / 2))
        process.spend(**{phase: seconds})
        datagrams += 2 * count
        process.settle(datagrams)
        costs = process.accounts.take()
        assert (costs.cpu_s >= 0).all() and (costs.place_cpu_s >= 0).all()
        unassigned += costs.unassigned_s
        in_places += float(costs.place_cpu_s.sum())
    assert sum(process.accounts.totals.values()) == pytest.approx(process.process_s, rel=1e-6, abs=1e-6)
    assert in_places + unassigned == pytest.approx(process.process_s, rel=1e-6, abs=1e-6)
