"""Moves beside what else goes on: alliances with copies of their own, portals, entries, lost orders."""

from dataclasses import replace

import pytest

from tests.unit.worlds.daemon.test_moves import HOME, ZONE, Standing
from worlds.daemon.core.catalog import ClusterInfo
from worlds.daemon.core.moving import Stage
from worlds.daemon.core.session import Phase
from worlds.daemon.core.state import Alliance
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Logout


@pytest.fixture
def sim() -> Standing:
    return Standing(players=2)


def by_alliance(sim: Standing) -> None:
    sim.catalog.zones[ZONE] = replace(sim.catalog.zones[ZONE], is_by_alliance=True)


def relog(sim: Standing, number: int) -> None:
    player = sim.players[number]
    player.wants_to_play = False
    sim.gateway.forward(player.link, Logout())
    sim.run(sim.now + 10)
    player.wants_to_play = True
    player.open_link()
    sim.reach(lambda: player.zone is not None)


def test_allies_in_copies_of_their_own_each_follow_their_own_copy(sim: Standing) -> None:
    by_alliance(sim)
    sim.catalog.clusters["west"] = ClusterInfo("west", 100, is_enabled=False)
    relog(sim, 1)
    sim.catalog.clusters["west"] = ClusterInfo("west", 100)
    first, second = (sim.world.who_plays(p.character) for p in sim.players)
    assert {first.here.instance, second.here.instance} == {HOME, HOME + 1}
    alliance = sim.world.alliances[1] = Alliance(1, [first.id, second.id])
    first.alliance = second.alliance = alliance.number
    away = next(s for s in (first, second) if s.here.instance == HOME + 1)
    sim.ask(instance=HOME + 1)
    assert away.here.cluster == "east"
    assert sim.outcome() == ("done", 1, "")
    assert away.here.cluster == "west" and away.here.instance == HOME + 1


def test_a_portal_that_was_missed_is_forgotten_when_following_fails(sim: Standing) -> None:
    sim.lost = bus.Admit
    sim.reach_stage(Stage.FILLING)
    sim.lost = bus.Admit
    sim.reach(lambda: any(s.phase is Phase.FREEZING for s in sim.world.sessions.values()))
    s = next(s for s in sim.world.sessions.values() if s.phase is Phase.FREEZING)
    sim.to_daemon(bus.PortalEntered("east", s.id, "to-b", s.here.order))
    sim.reach(lambda: s.phase is Phase.PLAYING)
    sim.lost = None
    assert s.missed_portal == ""


def test_while_the_order_to_activate_is_lost_nothing_of_what_was_moved_is(sim: Standing) -> None:
    sim.reach_stage(Stage.IMPORTING)
    sim.lost = bus.ActivateInstance
    sim.reach(lambda: HOME in sim.world.clusters.by_name["west"].vacant and sim.move.stage is Stage.FILLING)
    sim.run(sim.now + 3.0)
    sim.lost = None
    assert sim.outcome() == ("done", 2, "")
    sim.run(sim.now + 3)
    sim.check("west")
    assert sim.ground() == {"west": [1001, 1002, 1003]}


def test_a_zone_that_is_taken_out_of_the_world_while_players_follow_stops_nothing(sim: Standing) -> None:
    sim.reach_stage(Stage.FILLING)
    sim.reach(lambda: any(s.phase is Phase.FREEZING for s in sim.world.sessions.values()))
    del sim.catalog.zones[ZONE]
    sim.run(sim.now + 12.0)
    phases = {s.phase for s in sim.world.sessions.values()}
    assert len(sim.world.sessions) == 2 and phases <= {Phase.PLAYING, Phase.RECOVERING}
