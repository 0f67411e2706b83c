"""Restarts that come when the daemon has only just started, or while nothing of the world is there."""

import pytest

from tests.unit.worlds.daemon.restarting import Restarting
from worlds.daemon.core.restart_work import Stage

SEED = 5
BOTH = pytest.mark.parametrize("kind", ["rolling", "full"])


@pytest.fixture
def sim() -> Restarting:
    made = Restarting(SEED)
    made.settle()
    return made


@BOTH
def test_one_that_is_due_when_the_daemon_has_just_been_killed_waits_until_it_knows_the_world(
    sim: Restarting, kind: str
) -> None:
    before = {name: cluster.incarnation for name, cluster in sim.clusters.items()}
    sim.ask(kind, 1.0)
    sim.kill_daemon()
    sim.has_agent = False
    sim.run(sim.now + 6.0)
    sim.has_agent = True  # it needs a few seconds to find the new daemon
    sim.run_to(None)
    assert sim.row.state == "done", (sim.error, sim.whats)
    assert all(sim.clusters[name].incarnation != run for name, run in before.items())
    sim.assert_nobody_was_put_out()


def test_a_daemon_that_finds_no_cluster_waits_for_those_that_were_asked_to_go(sim: Restarting) -> None:
    sim.ask("full", 1.0)
    sim.run_to(Stage.RESTARTING)
    sim.run(sim.now + 0.2)
    assert not any(sim.clusters.values())
    for name in sim.reborn_at:
        sim.reborn_at[name] = sim.now + 12.0
    sim.kill_daemon()
    sim.run_to(None)
    assert sim.row.state == "done", (sim.error, sim.whats)
    assert sim.whats.count("cluster_back") == 2, sim.whats
    sim.assert_nobody_was_put_out()


def test_a_claim_that_is_never_written_is_given_up(sim: Restarting) -> None:
    sim.note = lambda note: None
    sim.ask("full", 2.0)
    sim.run_to(Stage.CLAIMING)
    sim.run(sim.now + 16 * 60)
    assert "restart_missed" in sim.alarms
