"""Loot a chest, lay down, pick up, buy, and kill what served it: what players were told is so afterwards."""

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_outages import BACK_S, settled
from waystone_client import Player
from zonecluster.protocol.to_client import InventoryIs

pytestmark = pytest.mark.end_to_end


async def walk_to_a(player: Player, kind: str) -> int:
    """Walk to the nearest of a kind; return its entity id."""
    await player.wait_until(
        lambda: any(sight.kind == kind for sight in player.visible()), BACK_S, f"a {kind} in view"
    )
    sight = next(sight for sight in player.visible() if sight.kind == kind)
    await player.walk_to(sight.x, sight.y, within=2.0, deadline_s=60)
    return sight.id


def what_is_had(found: InventoryIs) -> tuple[int, dict[str, int]]:
    """Return coins, and how many of each kind are in the inventory."""
    stacks = next(bag.stacks for bag in found.bags if bag.name == "inventory")
    return found.money, {
        kind: sum(s.count for s in stacks if s.kind == kind) for kind in {s.kind for s in stacks}
    }


def what_is_saved(state: dict) -> tuple[int, dict[str, int]]:
    """Return the same of a document that the master has."""
    counts: dict[str, int] = {}
    for item in state["bags"]["inventory"]:
        counts[item["kind"]] = counts.get(item["kind"], 0) + item.get("count", 1)
    return state["money"], counts


async def test_what_players_were_told_survives_the_death_of_the_world(
    stack: Stack, introduce: Introduce
) -> None:
    """Daemon and cluster are killed once the answers are there, the master being away: the journal has it."""
    alice = await (await introduce("Alice")).enter()
    bob = await (await introduce("Bob")).enter()
    looted = await alice.goods.loot(await walk_to_a(alice, "chest"))
    assert looted.ok and "coins" in looted.text and "tide bread" in looted.text, looted.text
    assert (await alice.goods.drop("tide-bread")).ok
    picked_up = await bob.goods.pick_up(await walk_to_a(bob, "item"))
    assert picked_up.text == "You pick up loaf of tide bread."
    vendor = await walk_to_a(alice, "vendor")
    before = {name: stack.pid_of(name) for name in ("worlddaemon", "zonecluster-east")}
    zones = {player: player.zones_entered for player in (alice, bob)}
    stack.pause("web")
    try:
        bought = await alice.goods.buy(vendor, "lamp-oil")
        assert bought.ok and bought.text == "You buy flask of lamp oil for 8 coins.", bought.text
        told = {player: what_is_had(await player.goods.inventory()) for player in (alice, bob)}
        for name in before:
            stack.kill(name)
        for name, pid in before.items():
            await alice.wait_until(
                lambda name=name, pid=pid: stack.pid_of(name) not in (None, pid), BACK_S, f"{name} to be back"
            )
    finally:
        stack.unpause("web")
    assert told[alice][1]["lamp-oil"] == 1 and told[bob] == (0, {"tide-bread": 1})
    for player in (alice, bob):
        await player.wait_until(
            lambda player=player: player.zones_entered > zones[player], BACK_S, "the zone to be back"
        )
        await settled(player)
        assert what_is_had(await player.goods.inventory()) == told[player]
        await player.log_out()  # it cannot promise that the dead cluster had nothing that was not told
        assert what_is_saved(stack.saved_state(player.name)) == told[player]
