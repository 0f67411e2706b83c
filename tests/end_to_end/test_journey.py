"""A player's whole way through real processes, from registering to logging in again: all is as it was."""

import math

import pytest

from tests.end_to_end.conftest import PASSWORD, Introduce, patiently
from tests.end_to_end.stack import Stack
from waystone_client import Player
from zonecluster.protocol.to_client import Heard

pytestmark = pytest.mark.end_to_end

NEAR_M = 0.5  # positions travel with an error of a few millimetres, and a walker takes a moment to stop


def distance(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return math.dist(a[:2], b[:2])


async def see(watcher: Player, name: str) -> None:
    """Wait until the watcher sees somebody of that name."""

    async def is_seen() -> bool:
        await watcher.describe_unknown()
        return any(sight.name == name for sight in watcher.visible())

    while not await is_seen():
        before = watcher.snapshots
        await watcher.wait_until(lambda before=before: watcher.snapshots > before, 20.0, "another snapshot")


def sight_of(watcher: Player, name: str) -> tuple[float, float]:
    return next((sight.x, sight.y) for sight in watcher.visible() if sight.name == name)


async def test_the_whole_way(stack: Stack, introduce: Introduce) -> None:
    alice_person, bob_person = await introduce("Alice"), await introduce("Bob")
    worlds = (await alice_person.master.worlds()).results
    assert "demo" in [world.slug for world in worlds]
    alice, bob = await alice_person.enter(), await bob_person.enter()

    # Alice sees Bob move.
    await see(alice, bob.name)
    before = sight_of(alice, bob.name)
    x, y, _ = bob.position
    await bob.walk_to(x - 6, y - 6)
    await alice.wait_until(
        lambda: distance(sight_of(alice, bob.name), before) > 5.0, 20.0, "Bob to be seen somewhere else"
    )

    # They talk.
    assert (await bob.say("Is this the way to the moss?")).ok
    await alice.wait_until(
        lambda: any(isinstance(event, Heard) and event.speaker == bob.name for event in alice.heard),
        20.0,
        "Bob to be heard",
    )

    # Through a portal to a zone on the other cluster and back, on one TCP connection.
    harbour, connection = alice.zone_address, alice.link.local_address
    assert (await alice.walk_through("mossgate")).zone == "mossgate"
    assert alice.zone_address != harbour, "the other zone is on another cluster"
    assert (await alice.walk_through("harbour")).zone == "harbour"
    assert alice.zone_address == harbour
    assert alice.link.local_address == connection and alice.link.resumed == 0

    # The client is killed, and comes back with the resume token alone.
    await alice.walk_to(alice.position[0] + 4, alice.position[1] - 4)
    stood = alice.position
    await alice.crash()
    alice = await alice_person.resume(alice)
    assert alice.place[0] == "harbour"
    assert distance(alice.position, stood) < NEAR_M

    # Log out, log in: everything is where it was.
    await alice.walk_to(stood[0] - 3, stood[1])
    stood = alice.position
    goodbye = await alice.log_out()
    assert goodbye.is_saved
    saved = stack.saved_state(alice.name)
    await alice_person.master.log_out()
    await patiently(lambda: alice_person.master.log_in(alice_person.email, PASSWORD))
    assert (await alice_person.master.characters()).characters[0].playing_in is None
    alice = await alice_person.enter()
    assert alice.place[0] == "harbour"
    assert distance(alice.position, stood) < NEAR_M
    assert (await alice.log_out()).is_saved
    again = stack.saved_state(alice.name)
    assert {key: again[key] for key in again if key != "places"} == {
        key: saved[key] for key in saved if key != "places"
    }
    assert distance(again["places"]["demo"]["position"], saved["places"]["demo"]["position"]) < NEAR_M
    assert (await bob.log_out()).is_saved
