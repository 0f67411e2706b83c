"""The level cap in a zone: nothing is gained at it, it is told once, and lifting it acts at once."""

import pytest
from msgspec.structs import replace

from tests.unit.zonecluster.daemon.test_requests import INSTANCES, SESSIONS, admit
from tests.unit.zonecluster.daemon.test_withhold import ALICE, Zone
from zonecluster.daemon.announce import announce
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState

CAPPED = CharacterState(attributes={"xp": 10_500, "level": 15})


@pytest.fixture
def zone() -> Zone:
    """A zone with Alice, who is as far as her edition goes."""
    zone = Zone()
    zone.player.state = CAPPED
    zone.hear(bus.LimitsAre(ALICE, 15))
    return zone


def test_at_the_cap_nothing_is_gained_and_it_is_told_once(zone: Zone) -> None:
    zone.cluster.record_arrival(zone.player)
    (text,) = zone.notices()
    assert "up to level 15" in text and "upgrade" in text
    assert zone.player.state is CAPPED and not zone.player.has_unsaved
    assert zone.said(bus.Checkpoint) == []


def test_an_upgrade_gives_at_once_what_the_cap_kept(zone: Zone) -> None:
    zone.said()
    zone.hear(bus.LimitsAre(ALICE, None))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.state.attributes["xp"] == 10_510
    zone.hear(bus.Journaled(ALICE, checkpoint.serial, 5))
    assert ["You have found" in text for text in zone.notices()] == [True]


def test_a_new_cap_is_told_again(zone: Zone) -> None:
    zone.said()
    zone.hear(bus.LimitsAre(ALICE, 15))
    assert zone.notices() == []
    zone.hear(bus.LimitsAre(ALICE, 14))
    assert ["up to level 14" in text for text in zone.notices()] == [True]


def test_a_new_level_is_told_and_saved_as_one(zone: Zone) -> None:
    zone.said()
    zone.player.state = CharacterState(attributes={"xp": 95, "level": 1})
    zone.hear(bus.LimitsAre(ALICE, None))
    (checkpoint,) = zone.said(bus.Checkpoint)
    assert checkpoint.kind == "level" and checkpoint.state.attributes == {"xp": 105, "level": 2}
    zone.hear(bus.Journaled(ALICE, checkpoint.serial, 5))
    assert ["You are level 2 now" in text for text in zone.notices()] == [True]


def test_residents_say_what_cap_holds_and_admit_brings_it(zone: Zone) -> None:
    announce(zone.cluster)
    (told,) = zone.said(bus.Residents)
    assert [each.level_cap for each in told.residents] == [15]
    zone.hear(bus.Remove(ALICE))
    message = admit(ALICE, INSTANCES[0], order=9)
    zone.hear(replace(message, level_cap=7))
    assert zone.player.level_cap == 7


def test_a_stranger_has_no_limits(zone: Zone) -> None:
    zone.hear(bus.LimitsAre(SESSIONS[1], 3))
    assert zone.player.level_cap == 15
