"""A muted player: nobody hears what they say, and they are told why; until it is taken back."""

from tests.unit.zonecluster.daemon.test_requests import SESSIONS
from tests.unit.zonecluster.daemon.test_withhold import Zone
from zonecluster.daemon.announce import announce
from zonecluster.daemon.commands import run_command
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Say
from zonecluster.protocol.to_client import Heard, Result

ALICE = SESSIONS[0]
WHY = "The people who run this world have muted you: shouting"


def said_to_links(zone: Zone) -> list:
    return [each.message for each in zone.said(bus.ToLinks)]


def is_silenced(zone: Zone) -> bool:
    announce(zone.cluster)
    (residents,) = zone.said(bus.Residents)
    return residents.residents[0].is_silenced


def test_a_muted_player_is_answered_why_and_heard_by_nobody():
    zone = Zone()
    zone.hear(bus.Silence(ALICE, WHY))
    run_command(zone.cluster, zone.player, Say(seq=1, text="Hear me!"))
    messages = said_to_links(zone)
    assert [m for m in messages if isinstance(m, Result)] == [Result(1, False, WHY)]
    assert not any(isinstance(m, Heard) for m in messages)
    assert is_silenced(zone)
    zone.hear(bus.Silence(ALICE, ""))
    assert not is_silenced(zone)
    run_command(zone.cluster, zone.player, Say(seq=2, text="Hear me!"))
    (answer,) = [m for m in said_to_links(zone) if isinstance(m, Result)]
    assert answer.ok
