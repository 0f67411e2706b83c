"""Processes die during play: nobody logs in again, and nothing that was saved is lost."""

import asyncio
import math

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from waystone_client import Player, WaystoneError

pytestmark = pytest.mark.end_to_end

BACK_S = 90.0  # generous: on a quiet machine everybody is back within 15 s
PLACE_M = 5.0 * 5.0 + 1.0  # a place may be 5 s old after a kill -9, at 5 m/s


async def settled(player: Player) -> None:
    """Wait until the world answers commands again: after a restart the first ones may be refused."""
    deadline = asyncio.get_running_loop().time() + BACK_S
    while True:
        try:
            await player.look()
        except WaystoneError:
            assert asyncio.get_running_loop().time() < deadline, "the world does not answer"
            seen = player.snapshots
            await player.wait_until(lambda seen=seen: player.snapshots > seen, BACK_S, "a snapshot")
        else:
            return


async def has_saved_discovery(stack: Stack, player: Player) -> dict:
    """Wait until something durable was saved (finding a zone gives experience); return the state."""
    deadline = asyncio.get_running_loop().time() + BACK_S
    while True:
        state = stack.saved_state(player.name)
        if state["attributes"].get("xp", 0) > 0:
            return state
        assert asyncio.get_running_loop().time() < deadline, "no save arrived"
        seen = player.snapshots
        await player.wait_until(lambda seen=seen: player.snapshots > seen + 5, 20.0, "snapshots")


async def can_play(player: Player) -> None:
    """Walk, look and change zones and come back: everything works."""
    await settled(player)
    x, y, _ = player.position
    await player.walk_to(x + 2, y - 2, deadline_s=30)
    await player.walk_through("mossgate")
    await player.walk_through("harbour")


async def test_kill_9_of_a_zone_cluster(stack: Stack, introduce: Introduce) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    saved = await has_saved_discovery(stack, alice)
    await alice.walk_to(alice.position[0] - 8, alice.position[1] - 8)
    stood, zones = alice.position, alice.zones_entered
    stack.kill("zonecluster-east")
    await alice.wait_until(
        lambda: alice.zones_entered > zones and alice.snapshot is not None, BACK_S, "the zone to be back"
    )
    assert alice.place[0] == "harbour"
    assert math.dist(alice.position, stood) < PLACE_M
    assert alice.link.resumed == 0, "the world link never broke"
    await can_play(alice)
    assert (await alice.log_out()).is_saved
    assert stack.saved_state(alice.name)["attributes"]["xp"] >= saved["attributes"]["xp"]


async def test_kill_9_of_the_gateway(stack: Stack, introduce: Introduce) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    stood = alice.position
    stack.kill("gateway")
    await alice.wait_until(lambda: alice.link.resumed == 1, BACK_S, "the world link to be resumed")
    await alice.wait_until(lambda: alice.snapshot is not None, BACK_S, "a snapshot")
    assert math.dist(alice.position, stood) < PLACE_M
    await can_play(alice)
    assert (await alice.log_out()).is_saved


async def test_kill_9_of_the_world_daemon(stack: Stack, introduce: Introduce) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    await has_saved_discovery(stack, alice)
    before = stack.pid_of("worlddaemon")
    stack.kill("worlddaemon")
    x, y, _ = alice.position
    await alice.walk_to(x - 5, y - 5, deadline_s=30)
    assert alice.link.resumed == 0 and alice.zones_entered == 1, "play went on meanwhile"
    await alice.wait_until(
        lambda: stack.pid_of("worlddaemon") not in (None, before), BACK_S, "the daemon to be started again"
    )
    await reach_other_zone(alice)
    assert (await alice.log_out()).is_saved
    assert stack.saved_state(alice.name)["places"]["demo"]["zone"] == "mossgate"


async def reach_other_zone(player: Player) -> None:
    """Go through a portal; the daemon may need a while until it can take part."""
    deadline = asyncio.get_running_loop().time() + BACK_S
    while player.place[0] != "mossgate":
        try:
            await player.walk_through("mossgate", deadline_s=30)
        except WaystoneError:
            assert asyncio.get_running_loop().time() < deadline, "no handoff"


async def walks_until_journaled(stack: Stack, player: Player, known: int) -> int:
    """Walk until the world's journal has more metres than were known; return how many."""
    assert player.character is not None
    x, y, _ = player.position
    deadline = asyncio.get_running_loop().time() + BACK_S
    while True:
        await player.walk_to(x - 8, y - 8, deadline_s=30)
        await player.walk_to(x - 2, y - 2, deadline_s=30)
        states = stack.journaled_states(player.character)
        newest = max((state["attributes"].get("metres_walked", 0) for state in states), default=0)
        if newest > known:
            return newest
        assert asyncio.get_running_loop().time() < deadline, "nothing was journaled"


async def test_everything_of_a_world_dies_while_the_master_is_away(
    stack: Stack, introduce: Introduce
) -> None:
    """What the player has done is nowhere but in the world's journal; when the master is back it has it."""
    person = await introduce("Alice")
    alice = await person.enter()
    saved = await has_saved_discovery(stack, alice)
    before = {name: stack.pid_of(name) for name in ("worlddaemon", "zonecluster-east", "zonecluster-west")}
    stack.pause("web")
    try:
        metres = await walks_until_journaled(stack, alice, saved["attributes"].get("metres_walked", 0))
        for name in before:
            stack.kill(name)
        for name, pid in before.items():
            await alice.wait_until(
                lambda name=name, pid=pid: stack.pid_of(name) not in (None, pid), BACK_S, f"{name} to be back"
            )
        assert stack.saved_state(alice.name)["attributes"].get("metres_walked", 0) < metres
    finally:
        stack.unpause("web")

    def is_handed_in() -> bool:
        return stack.saved_state(alice.name)["attributes"].get("metres_walked", 0) >= metres

    await alice.wait_until(is_handed_in, BACK_S, "the journal to be handed in")
    await settled(alice)
    assert alice.link.resumed == 0, "the world link never broke"
    await alice.log_out()
    assert stack.saved_state(alice.name)["attributes"]["metres_walked"] >= metres


async def test_a_restart_of_valkey(stack: Stack, introduce: Introduce) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    await has_saved_discovery(stack, alice)
    before = stack.pid_of("valkey")
    stack.kill("valkey")
    await alice.wait_until(
        lambda: stack.pid_of("valkey") not in (None, before), BACK_S, "valkey to be started again"
    )
    await settled(alice)
    await reach_other_zone(alice)
    assert alice.link.resumed == 0, "the world link never broke"
    assert (await alice.log_out()).is_saved


async def test_the_master_is_down_for_30_s(stack: Stack, introduce: Introduce) -> None:
    person = await introduce("Alice")
    alice = await person.enter()
    await has_saved_discovery(stack, alice)
    x, y, _ = alice.position
    stack.pause("web")
    try:
        until = asyncio.get_running_loop().time() + 30.0
        while asyncio.get_running_loop().time() < until:
            await alice.walk_to(x - 8, y - 8, deadline_s=30)
            await alice.walk_to(x - 4, y - 4, deadline_s=30)
        await alice.look()
        assert alice.link.resumed == 0 and alice.zones_entered == 1, "play went on"
    finally:
        stack.unpause("web")

    def is_saved() -> bool:
        place = stack.saved_state(alice.name)["places"]["demo"]
        return math.dist(place["position"][:2], alice.position[:2]) < 1.0

    await alice.wait_until(is_saved, BACK_S, "the place to be saved")
    await reach_other_zone(alice)
    assert (await alice.log_out()).is_saved
