"""What cannot be saved is not given, and what is new is told when it is durable (rules 8 and 9)."""

from typing import cast

import pytest

from tests.unit.zonecluster.daemon.test_requests import INSTANCES, SESSIONS, Recorder, admit, opened
from zonecluster.daemon.announce import announce
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.daemon.players import Player
from zonecluster.daemon.requests import Requests
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

ALICE = SESSIONS[0]


class Zone:
    """A cluster with Alice in it, and what it says."""

    def __init__(self) -> None:
        self.cluster: Cluster = opened()
        self.queues = CommandQueues(self.cluster)
        self.requests = Requests(self.cluster, self.queues)
        self.hear(admit(ALICE, INSTANCES[0], order=5))
        self.player.client_id = 1

    @property
    def player(self) -> Player:
        player = self.cluster.roster.find(ALICE)
        assert player is not None
        return player

    def hear(self, *messages: bus.BusMessage) -> None:
        for message in messages:
            self.requests.handle(message)
        assert self.cluster.counters["requests_failed"] == 0

    def said(self, *kinds: type) -> list:
        """Return what was said of these kinds since the last time."""
        outbox = cast(Recorder, self.cluster.outbox)
        found = [message for message in outbox.sent if isinstance(message, kinds)]
        outbox.sent.clear()
        return found

    def notices(self) -> list[str]:
        told = [each.message for each in self.said(bus.ToLinks)]
        return [message.text for message in told if isinstance(message, Notice)]

    def walk(self, metres: float) -> None:
        self.cluster.tables.metres_walked[self.player.row] = metres


@pytest.fixture
def zone() -> Zone:
    return Zone()


def test_a_discovery_is_told_when_it_is_on_the_disk(zone: Zone) -> None:
    zone.cluster.record_arrival(zone.player)
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.kind == "quest" and zone.notices() == []
    zone.hear(bus.Journaled(ALICE, checkpoint.serial, 5))
    assert ["You have found" in text for text in zone.notices()] == [True]
    zone.hear(bus.Journaled(ALICE, checkpoint.serial, 5), bus.Saved(ALICE, checkpoint.serial, 5))
    assert zone.notices() == [], "once"


def test_a_discovery_is_told_when_the_master_has_it(zone: Zone) -> None:
    """The journal was broken: the master's word is as good."""
    zone.cluster.record_arrival(zone.player)
    (checkpoint,) = zone.said(bus.Checkpoint)
    zone.hear(bus.Saved(ALICE, checkpoint.serial, 5))
    assert len(zone.notices()) == 1 and not zone.player.has_unsaved


@pytest.mark.parametrize("kind", [bus.Journaled, bus.Saved])
def test_news_of_another_stay_or_an_older_document_tell_nothing(zone: Zone, kind: type) -> None:
    zone.cluster.checkpoint(zone.player, "periodic")
    zone.cluster.record_arrival(zone.player)
    _, checkpoint = zone.said(bus.Checkpoint)
    zone.hear(
        kind(ALICE, checkpoint.serial, 4), kind(ALICE, checkpoint.serial - 1, 5), kind(SESSIONS[1], 9, 5)
    )
    assert zone.notices() == [] and zone.player.has_unsaved


def test_who_is_withheld_walks_and_gains_nothing(zone: Zone) -> None:
    zone.hear(bus.Withhold(ALICE, True))
    before = zone.player.state
    zone.cluster.record_arrival(zone.player)
    zone.walk(500.0)
    zone.hear(bus.TakeCheckpoint(ALICE))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.kind == "periodic"
    assert (checkpoint.state.quests, checkpoint.state.attributes) == (before.quests, before.attributes)
    assert not zone.player.is_frozen


def test_what_was_walked_before_counts_and_what_was_walked_meanwhile_does_not(zone: Zone) -> None:
    zone.walk(100.0)
    zone.hear(bus.Withhold(ALICE, True))
    zone.walk(500.0)
    zone.hear(bus.Withhold(ALICE, True), bus.Withhold(ALICE, False))
    zone.walk(30.0)
    zone.hear(bus.TakeCheckpoint(ALICE))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.state.attributes["metres_walked"] == 130


def test_an_order_that_a_newer_one_has_overtaken_changes_nothing(zone: Zone) -> None:
    zone.hear(bus.Withhold(ALICE, True, order=1_002), bus.Withhold(ALICE, False, order=1_001))
    assert zone.player.is_withheld
    zone.hear(bus.Withhold(ALICE, False, order=1_003))
    assert not zone.player.is_withheld


def test_residents_say_who_is_withheld(zone: Zone) -> None:
    for is_on in (False, True, False):
        zone.hear(bus.Withhold(ALICE, is_on))
        announce(zone.cluster)
        (residents,) = zone.said(bus.Residents)
        assert [each.is_withheld for each in residents.residents] == [is_on]


def test_a_stranger_is_nobody(zone: Zone) -> None:
    zone.hear(bus.Withhold(SESSIONS[1], True), bus.Journaled(SESSIONS[1], 3, 5))
    assert not zone.player.is_withheld
