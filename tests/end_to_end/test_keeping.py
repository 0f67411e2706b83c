"""What keepers order on the site reaches a world of real processes, also over the death of its daemon."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from tests.embedded_servers import wait_until
from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from waystone_client import Player
from worlds.uplink.orders import Announce, Cancel, Deed, Kick, PlanRestart, body_of
from zonecluster.protocol.to_client import Notice

pytestmark = pytest.mark.end_to_end

SAYINGS = 5  # fewer than are too many at once

PATIENCE_S = 60.0  # a daemon that was killed is back within 20 s


def give(stack: Stack, kind: str, deed: Deed) -> str:
    """Write the row of an order, as the service does; return its id."""
    now = datetime.now(UTC)
    ((row,),) = stack.query(
        "insert into worlds_worldorder (id, world_id, kind, body, about, made_at, expires_at, outcome, told)"
        " select %s, id, %s, %s::jsonb, 'a test', %s, %s, 'waiting', '' from worlds_world where slug = 'demo'"
        " returning id::text",
        uuid4(),
        kind,
        msgspec.json.encode(body_of(deed)).decode(),
        now,
        now + timedelta(minutes=10),
    )
    return str(row)


async def outcome(stack: Stack, order: str) -> tuple[str, str]:
    """Wait until an order has ended; return how, and what the world said."""

    def now() -> tuple[str, str]:
        ((how, told),) = stack.query("select outcome, told from worlds_worldorder where id = %s", order)
        return how, told

    await asyncio.to_thread(wait_until, lambda: now()[0] != "waiting", PATIENCE_S, f"order {order} to end")
    return now()


def has_heard(player: Player, words: str) -> bool:
    return any(isinstance(one, Notice) and words in one.text for one in player.heard)


async def test_orders_are_carried_out_over_the_death_of_the_daemon(
    stack: Stack, introduce: Introduce
) -> None:
    alice = await (await introduce("Alice")).enter()
    bob = await (await introduce("Bob")).enter()
    ((hero,),) = stack.query("select id from characters_character where name = %s", bob.name)
    stack.kill("worlddaemon")
    said = give(stack, "announce", Announce("The fair opens."))
    kick = give(stack, "kick", Kick(hero, "Sleep it off."))
    assert (await outcome(stack, said))[0] == "done"
    assert (await outcome(stack, kick))[0] == "done"
    await asyncio.to_thread(wait_until, lambda: bob.is_over, 30.0, "the last word of the world to Bob")
    assert "Sleep it off." in " ".join(bob.errors)
    due = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    open_rows = "select due_at from worlds_restart where state = 'planned'"
    assert (await outcome(stack, give(stack, "restart", PlanRestart("rolling", due))))[0] == "done"
    assert stack.query(open_rows) == [(due,)]
    assert (await outcome(stack, give(stack, "restart", PlanRestart("rolling", due))))[0] == "done"
    assert (await outcome(stack, give(stack, "cancel", Cancel(due))))[0] == "done"
    assert stack.query(open_rows) == []
    assert (await alice.log_out()).is_saved


async def test_a_muted_player_is_told_and_heard_by_nobody(stack: Stack, introduce: Introduce) -> None:
    alice = await (await introduce("Alice")).enter()
    account = "select account_id from characters_character where name = %s"
    stack.query(
        "insert into worlds_worldsanction (world_id, account_id, kind, character_name, reason, made_at)"
        f" select id, ({account}), 'mute', %s, 'Shouting.', now() from worlds_world where slug = 'demo'"
        " returning id",
        alice.name,
        alice.name,
    )
    await alice.wait_until(lambda: has_heard(alice, "muted you: Shouting."), 20.0, "the notice of the mute")
    for _ in range(SAYINGS):  # the notice may overtake the order to the zone cluster
        answer = await alice.say("Can anybody hear me?")
        if not answer.ok:
            break
    assert (answer.ok, "muted you: Shouting." in answer.text) == (False, True)
    stack.query(
        f"update worlds_worldsanction set ended_at = now() where account_id = ({account}) returning id",
        alice.name,
    )
    await alice.wait_until(lambda: has_heard(alice, "You can be heard again."), 20.0, "the end of the mute")
    assert (await alice.log_out()).is_saved
