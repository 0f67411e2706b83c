"""Two players, real processes: an alliance made over their world links holds through a portal, and ends."""

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from waystone_client import Player
from zonecluster.protocol.from_client import AllianceAnswer, AllianceInvite, AllianceLeave
from zonecluster.protocol.to_client import Result

pytestmark = pytest.mark.end_to_end


async def ask(player: Player, kind: type, **fields: object) -> Result:
    answer = await player.link.command(kind, **fields)
    assert isinstance(answer, Result)
    return answer


async def test_an_alliance_over_two_clusters(stack: Stack, introduce: Introduce) -> None:
    alice_person, bob_person = await introduce("Alice"), await introduce("Bob")
    alice, bob = await alice_person.enter(), await bob_person.enter()
    assert (await ask(alice, AllianceInvite, name=bob.name.upper())).ok
    assert (await ask(bob, AllianceAnswer, name=alice.name, accept=True)).ok
    assert (await alice.walk_through("mossgate")).zone == "mossgate"
    taken = await ask(bob, AllianceInvite, name=alice.name)
    assert not taken.ok and "your alliance" in taken.text
    assert (await alice.log_out()).is_saved
    alone = await ask(bob, AllianceLeave)
    assert not alone.ok, "who is left alone is in no alliance"
    assert (await bob.log_out()).is_saved
