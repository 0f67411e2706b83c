"""Which copy of a zone players get: of a crowded zone, of one by alliance, and when copies are closed."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.unit.worlds.daemon.test_moves import Standing
from worlds.daemon.core import instances
from worlds.daemon.core.clusters import IDLE_BEFORE_MOVE_S
from worlds.daemon.core.state import Alliance
from zonecluster.protocol.from_client import Logout


class Crowded(Standing):
    """Zone a takes two players in each of at most three copies; where the crowd goes is seen by instance."""

    def __init__(self, players: int, **changes: object) -> None:
        self.changes = {"max_players": 2, "max_instances": 3, **changes}
        super().__init__(players)

    def start_daemon(self) -> None:
        zones = self.catalog.zones
        zones["a"] = replace(zones["a"], **self.changes)
        super().start_daemon()

    def numbers(self) -> Counter[int]:
        return Counter(e.instance for c in self.clusters.values() if c for e in c.entities.values())

    def leave(self, count: int) -> None:
        for player in self.players[-count:]:
            player.wants_to_play = False
            self.gateway.forward(player.link, Logout())
        self.run(self.now + 10)


def test_a_crowded_zone_opens_its_next_copy() -> None:
    sim = Crowded(5)
    sim.check_all_play()
    assert sim.numbers() == {1001: 2, 1002: 2, 1003: 1}


def test_further_copies_close_when_they_are_empty_and_the_first_stays() -> None:
    sim = Crowded(5)
    sim.leave(5)
    assert set(sim.world.clusters.instances) == {1001, 1002, 1003}
    sim.run(sim.now + IDLE_BEFORE_MOVE_S + 5)
    assert set(sim.world.clusters.instances) == {1001}
    open_ones = {number for cluster in sim.clusters.values() for number in cluster.instances}
    assert open_ones & {1001, 1002, 1003} == {1001}


def test_who_was_in_a_copy_comes_back_into_it_when_its_cluster_has_died() -> None:
    sim = Crowded(4)
    before = {e.character: e.instance for c in sim.clusters.values() for e in c.entities.values()}
    for name in ("east", "west"):
        sim.kill_cluster(name)
        sim.reborn_at[name] = sim.now + 1
    sim.run(sim.now + 40)
    sim.check_all_play()
    after = {e.character: e.instance for c in sim.clusters.values() for e in c.entities.values()}
    assert after == before


def test_when_all_copies_are_full_the_cluster_says_so() -> None:
    sim = Crowded(6)
    zone, s = sim.catalog.zones["a"], None
    assert sim.numbers() == {1001: 2, 1002: 2, 1003: 2}
    assert instances.choose_copy(sim.world, zone, s) == 1001


def test_whoever_is_in_no_alliance_is_by_itself_in_a_zone_by_alliance() -> None:
    sim = Crowded(3, is_by_alliance=True)
    sim.check_all_play()
    assert sim.numbers() == {1001: 1, 1002: 1, 1003: 1}
    zone = sim.catalog.zones["a"]
    stranger = next(iter(sim.world.sessions.values()))
    stranger.copy, stranger.home = 0, None
    sim.world.clusters.instances[1001].owner = sim.world.clusters.instances[1002].owner = "somebody"
    sim.world.clusters.instances[1003].owner = "somebody else"
    assert instances.choose_copy(sim.world, zone, stranger) is None, "all that may be open are others'"


def test_allies_meet_in_one_copy_of_a_zone_by_alliance() -> None:
    sim = Crowded(2, is_by_alliance=True)
    one, other = sim.world.sessions.values()
    assert instances.whereabouts(one) != instances.whereabouts(other)
    sim.world.alliances[7] = Alliance(7, [one.id, other.id])
    one.alliance = other.alliance = 7
    zone = sim.catalog.zones["a"]
    assert instances.choose_copy(sim.world, zone, other) == instances.whereabouts(one)
    assert instances.choose_copy(sim.world, zone, one) == instances.whereabouts(other)


@pytest.mark.parametrize("is_by_alliance", [False, True])
def test_a_copy_is_moved_like_any_instance(is_by_alliance: bool) -> None:
    sim = Crowded(3, is_by_alliance=is_by_alliance)
    row = sim.world.clusters.instances[1002]
    target = "west" if row.cluster == "east" else "east"
    sim.ask(instance=1002, target=target)
    assert sim.outcome()[0] == "done"
    sim.run(sim.now + 3)
    sim.check_all_play()
    moved = sim.world.clusters.instances[1002]
    assert (moved.cluster, moved.owner) == (target, row.owner)
    assert 1002 in sim.clusters[target].instances
    assert sim.numbers()[1002] >= 1
