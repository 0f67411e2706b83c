"""The master is away for half an hour: everybody plays on, and afterwards it has everything."""

from collections import Counter

import pytest

from tests.simulation.chaos import NONE
from tests.simulation.simulation import Simulation
from tests.simulation.world import CLUSTERS
from zonecluster.protocol.from_client import Logout

OUTAGE_S = 1800.0


def everything_dies(simulation: Simulation) -> None:
    """Kill -9 of all processes of all worlds but the gateways."""
    for world in simulation.worlds:
        world.kill_daemon(2.0)
        for name in CLUSTERS:
            world.kill_cluster(name, 1.0)


@pytest.mark.parametrize("is_deadly", [False, True], ids=["quiet", "all processes die in the middle of it"])
def test_half_an_hour_without_the_master(is_deadly: bool) -> None:
    simulation = Simulation(11, NONE)
    simulation.run(60.0)
    simulation.check_all_play()
    links = {player.name: player.link for player in simulation.players.values()}
    minted, writes = simulation.ledger.minted.copy(), simulation.ledger.writes
    simulation.master.down_until = simulation.now + OUTAGE_S
    simulation.run(OUTAGE_S / 2)
    shown = Counter[str]()
    for gains in simulation.ledger.shown.values():
        shown |= Counter(gains)
    assert sum(shown.values()) > sum(minted.values()) + 50, "they gain, and are shown it"
    assert simulation.ledger.writes == writes, "of which the master knows nothing"
    if is_deadly:
        everything_dies(simulation)
    simulation.run(OUTAGE_S / 2 + 60.0)
    assert {player.name: player.link for player in simulation.players.values()} == links, "nobody is put out"
    for event in ("put_out_unsaved", "session_dropped", "write_set_aside", "save_lost", "withheld"):
        assert simulation.counts[event] == 0, event
    assert (simulation.counts["write_replayed"] > 0) == is_deadly
    saved = Counter[str]()
    for gains in simulation.ledger.gains.values():
        saved |= Counter(gains)
    assert shown <= saved, "what they were shown has arrived"
    for player in simulation.players.values():
        player.wants_to_play = False
        player.say(Logout())
    simulation.run(30.0)
    simulation.check_all_gone()
    simulation.ledger.check_end(is_harmless=not is_deadly)


def test_what_waits_for_the_master_stays_small() -> None:
    """Of each line two writes at most are unfinished, however long the master is away."""
    simulation = Simulation(13, NONE)
    simulation.run(60.0)
    simulation.master.down_until = simulation.now + OUTAGE_S
    simulation.run(600.0)
    for world in simulation.worlds:
        lines = Counter(write.save.line for write in world.disk.read())
        assert all(count <= 2 for count in lines.values())
    assert sum(len(world.disk.read()) for world in simulation.worlds) >= 3
