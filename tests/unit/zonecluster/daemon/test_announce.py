"""Rounds of Residents: everybody once a second, however many, and whoever comes or goes meanwhile."""

from typing import cast
from uuid import UUID

import numpy as np

from worlds.bus import Outbox
from zonecluster.daemon.announce import MOST_PARTS, PART_PLAYERS, Rounds, announce, residents
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.config import ClusterConfig
from zonecluster.daemon.pace import Pace
from zonecluster.daemon.players import Player
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.protocol import bus
from zonecluster.rules.character import new_character_state
from zonecluster.simulation.content import ZoneContent

TICK_S = 0.05


class NoDoor:
    """Links of which nothing is said."""

    def door_when_due(self) -> bytes:
        return b""


class Kept(Outbox):
    """Keeps the Residents that are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bus.Residents] = []

    def put(self, channel: str, message: bus.BusMessage) -> None:
        if isinstance(message, bus.Residents):
            self.told.append(message)


def crowded(players: int) -> tuple[Cluster, list[bus.Residents], list[Player]]:
    """Return a cluster with so many players, what it tells, and the players."""
    config = ClusterConfig("demo", "east", "127.0.0.1", 0, ("127.0.0.1",), 5000)
    outbox = Kept()
    links = cast(ZoneLinks, NoDoor())
    cluster = Cluster(config, links, outbox, 7, np.random.default_rng(1), Pace(TICK_S, 0.0))
    content = ZoneContent("harbour", "Harbour", "", 100.0, 5.0, 6.0, max_players=5000)
    cluster.open(11, content)
    return cluster, outbox.told, [enter(cluster, number) for number in range(players)]


def enter(cluster: Cluster, number: int) -> Player:
    """Put a player in."""
    session = UUID(int=number + 1)
    instance = cluster.instances[11]
    message = bus.Admit(
        session, session, 11, session, "Bob", new_character_state(), "gate", number, number + 1
    )
    return cluster.roster.add(message, instance, instance.admit("Bob", None))


def numbers(told: list[bus.Residents]) -> list[int]:
    return sorted(resident.session.int for message in told for resident in message.residents)


def test_residents_tell_of_each_player_what_is_so() -> None:
    cluster, _, players = crowded(3)
    tables = cluster.tables
    tables.metres_walked[players[0].row] = 1.0
    tables.position[players[1].row] = 1, 2, 3
    tables.heading_deg[players[1].row] = 360
    players[1].instance.freeze(players[1].row)
    players[2].record_visit()
    first, second, third = residents(cluster, players)
    assert first == bus.Resident(UUID(int=1), 11, (5.0, 6.0, 0.0), 0.0, True, 1, False, 0)
    assert second == bus.Resident(UUID(int=2), 11, (1.0, 2.0, 3.0), 0.0, False, 2, True, 1)
    assert third.is_dirty and players[2].is_dirty
    assert third.serial == 0
    players[2].document("wilds")
    assert [each.serial for each in residents(cluster, players)] == [0, 0, 1]
    assert residents(cluster, []) == []


def test_few_players_are_told_of_in_one_part_once_a_second_and_an_empty_cluster_says_so() -> None:
    for players in (0, PART_PLAYERS):
        cluster, told, _ = crowded(players)
        rounds = Rounds(cluster)
        for tick in range(40):
            rounds.tell_when_due(tick * TICK_S)
        assert [(m.round, m.part, m.parts, len(m.residents)) for m in told] == [
            (1, 0, 1, players),
            (2, 0, 1, players),
        ]


def test_many_players_come_in_parts_and_everybody_once_a_round() -> None:
    cluster, told, _ = crowded(1003)
    rounds = Rounds(cluster)
    for tick in range(20):
        before = len(told)
        rounds.tell_when_due(tick * TICK_S)
        assert len(told) - before <= 2  # the edge of a part may fall either side of a tick
    assert numbers(told) == list(range(1, 1004))
    assert {m.part for m in told} == set(range(MOST_PARTS)) and {m.parts for m in told} == {MOST_PARTS}
    assert max(len(m.residents) for m in told) <= 51


def test_who_leaves_during_a_round_is_not_told_of_and_who_stands_in_that_row_is_nobody_else() -> None:
    cluster, told, players = crowded(200)
    rounds = Rounds(cluster)
    rounds.tell_when_due(0.0)
    for player in players[1:]:
        cluster.roster.remove(player)
    enter(cluster, 900)
    rounds.tell_when_due(0.99)
    assert 901 not in numbers(told)  # of the next round
    first_part = {resident.session.int for resident in told[0].residents}
    assert set(numbers(told)) == first_part
    rounds.tell_when_due(1.0)
    assert numbers([m for m in told if m.round == 2]) == [1, 901]


def test_slow_ticks_make_up_for_parts_and_a_clock_that_stands_sends_nothing_twice() -> None:
    cluster, told, _ = crowded(500)
    rounds = Rounds(cluster)
    for now in (0.0, 0.5, 0.5, 0.999):
        rounds.tell_when_due(now)
    assert numbers(told) == list(range(1, 501))


def test_asked_at_once_the_cluster_tells_of_everybody_in_one_message() -> None:
    cluster, told, _ = crowded(500)
    announce(cluster)
    assert [(m.parts, len(m.residents)) for m in told] == [(1, 500)]
