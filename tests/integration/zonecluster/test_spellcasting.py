"""Select and cast as commands of a player, and what other players' snapshots show of it."""

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.zone_cluster import ClusterUnderTest, UdpPlayer, run_until
from zonecluster.protocol import bus
from zonecluster.protocol.effects import EFFECTS
from zonecluster.protocol.from_client import Cast, Select
from zonecluster.protocol.to_client import Notice, Result

Connect = Callable[[UUID], UdpPlayer]
HASTE = 1 << EFFECTS.index("haste")


def answer(cluster: ClusterUnderTest, session: UUID, what) -> Result:
    """Send a player's command, run it, and return what it was answered."""
    cluster.do(bus.SessionCommand(session, what))
    cluster.tick()
    return cluster.to_gateway(Result, 1)[-1]


def effects_of(link: UdpPlayer, entity: int) -> int:
    """Return the effects of an entity in the newest snapshot."""
    return int(link.entities["effects"][link.entities["id"] == entity][0])


def test_a_spell_is_answered_told_and_seen(cluster: ClusterUnderTest, connect: Connect) -> None:
    alice, bob = cluster.admit("Alice"), cluster.admit("Bob", link=2)
    of_alice, of_bob = connect(alice.request), connect(bob.request)
    target = cluster.player(bob.session).entity()
    before = int(of_bob.header["top_speed"])
    assert answer(cluster, alice.session, Select(3, target)) == Result(3, True)
    assert answer(cluster, alice.session, Cast(4, "haste", target)) == Result(
        4, True, "You cast haste on Bob."
    )
    assert cluster.to_gateway(Notice, 2)[-1].text == "Alice casts haste on you."
    run_until(cluster, [of_alice, of_bob], lambda: effects_of(of_alice, target) == HASTE)
    assert effects_of(of_bob, target) == HASTE
    assert int(of_bob.header["top_speed"]) == round(before * 1.4)
    again = answer(cluster, alice.session, Cast(5, "haste"))
    assert not again.ok and "ready again" in again.text


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (Select(9, 2**32 - 1), "There is nobody like that here."),
        (Cast(9, "fireball"), "There is no spell 'fireball'. Spells: haste, light,"),
        (Cast(9, "haste", 2**32 - 1), "There is nobody to cast it on."),
        (Cast(9, "root"), "There is nobody to cast it on."),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(cluster: ClusterUnderTest, what, why: str) -> None:
    alice = cluster.admit("Alice")
    found = answer(cluster, alice.session, what)
    assert (found.seq, found.ok) == (9, False) and found.text.startswith(why)


def test_the_operator_sees_how_often_movement_was_corrected(
    cluster: ClusterUnderTest, connect: Connect
) -> None:
    mallory = cluster.admit("Mallory")
    link = connect(mallory.request)
    link.seq = 100
    link.walk(127, 127)
    run_until(cluster, [link], lambda: link.header["corrections"] == 1)
    link.seq = 100_000
    link.walk(127, 0)
    run_until(cluster, [link], lambda: link.header["corrections"] == 2)
    tables = cluster.cluster.tables
    assert (tables.wishes_cut, tables.cursors_moved) == (1, 1)
