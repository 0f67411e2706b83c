"""Trade and mail on real processes: all or nothing, whatever dies; what players were told is written down."""

import asyncio
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import ROOT, Stack
from tests.end_to_end.test_items import what_is_saved
from tests.end_to_end.test_outages import BACK_S, settled
from waystone_client import Player
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import InventoryIs, MailIs, Notice, Result

pytestmark = pytest.mark.end_to_end

BREAD, GLASS, CROWN = "tide-bread", "sea-glass", "drowned-crown"
AWAY_S = 60.0  # until a daemon must have noticed that the master is away


def stock_up(stack: Stack, people: dict[str, str]) -> None:
    """Give characters things and coins, as the staff might, and stand each in a zone."""
    deeds = "; ".join(f"stock_up({name!r}, {zone!r})" for name, zone in people.items())
    code = f"from tests.killing.stock import stock_up; {deeds}"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    subprocess.run(command, cwd=ROOT, env=stack.environment, check=True, capture_output=True, timeout=120)


async def meet(stack: Stack, introduce: Introduce) -> tuple[Player, Player]:
    """Return Alice in the harbour and Bob in Mossgate: two clusters."""
    alice, bob = await introduce("Alice"), await introduce("Bob")
    zones = {alice.character: "harbour", bob.character: "mossgate"}
    await asyncio.to_thread(stock_up, stack, zones)
    players = await alice.enter(), await bob.enter()
    assert [player.place[0] for player in players] == ["harbour", "mossgate"]
    return players


async def goods_of(player: Player) -> tuple[int, Counter[str]]:
    """Return coins and how many of each kind a player has, as the world tells it."""
    found = await player.goods.inventory()
    counts: Counter[str] = Counter()
    for stack in inventory(found):
        counts[stack.kind] += stack.count
    return found.money, counts


def inventory(found: InventoryIs) -> list[Any]:
    return next(bag.stacks for bag in found.bags if bag.name == "inventory")


async def a_crown(player: Player) -> OfferedItem:
    stack = next(stack for stack in inventory(await player.goods.inventory()) if stack.kind == CROWN)
    return OfferedItem(CROWN, 1, stack.id)


async def agree(
    alice: Player, bob: Player, hers: tuple[list[OfferedItem], int], his: tuple[list[OfferedItem], int]
) -> int:
    """Invite, accept, offer and lock on both sides; returns the revision that both look at."""
    assert (await alice.trade.invite(bob.name)).ok
    assert (await bob.trade.accept(alice.name)).ok
    for player, offer in ((alice, hers), (bob, his)):
        assert (await player.trade.offer(*offer)).ok
    revisions = []
    for player, mine, theirs in ((alice, hers, his), (bob, his, hers)):
        await player.wait_until(
            lambda player=player, mine=mine, theirs=theirs: shows(player, mine, theirs),
            30,
            "both offers to be shown",
        )
        assert player.trade.now is not None
        revisions.append(player.trade.now.revision)
        assert (await player.trade.lock(revisions[0])).ok
    assert revisions[0] == revisions[1]
    return revisions[0]


def shows(player: Player, mine: tuple[list[OfferedItem], int], theirs: tuple[list[OfferedItem], int]) -> bool:
    """Whether a player sees exactly these two offers."""
    now = player.trade.now
    return now is not None and all(
        side.money == money and sum(stack.count for stack in side.items) == sum(item.count for item in items)
        for side, (items, money) in ((now.mine, mine), (now.theirs, theirs))
    )


async def confirm(alice: Player, bob: Player, revision: int) -> tuple[Result, Result]:
    """Have both confirm; returns what they were told."""
    return await asyncio.gather(alice.trade.confirm(revision), bob.trade.confirm(revision))


def exchanges_of(stack: Stack, *players: Player) -> list[tuple[Any, ...]]:
    """Return (kind, exchange) of the newest versions that were written by trades or letters, newest first."""
    return stack.query(
        "select v.kind, v.exchange, c.name from characters_version v"
        " join characters_line l on l.id = v.line_id join characters_character c on c.id = l.character_id"
        " where v.exchange is not null and c.name = any(%s) order by v.at desc, c.name",
        [player.name for player in players],
    )


async def test_things_a_valuable_and_coins_change_hands_over_two_clusters(
    stack: Stack, introduce: Introduce
) -> None:
    alice, bob = await meet(stack, introduce)
    before = {player: await goods_of(player) for player in (alice, bob)}
    crown = await a_crown(alice)
    revision = await agree(alice, bob, ([crown, OfferedItem(BREAD, 3)], 20), ([OfferedItem(GLASS, 5)], 100))
    early = await bob.trade.confirm(revision - 1)
    assert (early.ok, early.code) == (False, "old_revision")
    for told in await confirm(alice, bob, revision):
        assert told.ok, told
    for player, money, change in (
        (alice, 80, {CROWN: -1, BREAD: -3, GLASS: 5}),
        (bob, -80, {CROWN: 1, BREAD: 3, GLASS: -5}),
    ):
        await player.wait_until(lambda player=player: player.trade.ended is not None, 30, "the end")
        assert player.trade.ended is not None and player.trade.ended.is_done
        coins, counts = before[player]
        expected = coins + money, Counter({kind: counts[kind] + change.get(kind, 0) for kind in counts})
        assert await goods_of(player) == expected
        assert what_is_saved(stack.saved_state(player.name)) == (expected[0], dict(expected[1]))
    assert crown.id in [stack.id for stack in inventory(await bob.goods.inventory())]
    (first, second) = exchanges_of(stack, alice, bob)
    assert first[:2] == second[:2] and first[0] == "trade"
    owner = stack.query(
        "select c.name from characters_valuable v join characters_line l on l.id = v.line_id"
        " join characters_character c on c.id = l.character_id where v.thing = %s and v.world_id is null",
        crown.id,
    )
    assert owner == [(bob.name,)]
    assert (await alice.goods.move("inventory", "bank", BREAD, 1)).ok, "she plays on"
    for player in (alice, bob):
        assert (await player.log_out()).is_saved


async def test_a_cluster_that_dies_while_they_negotiate_takes_nothing_from_anybody(
    stack: Stack, introduce: Introduce
) -> None:
    alice, bob = await meet(stack, introduce)
    before = {player: await goods_of(player) for player in (alice, bob)}
    revision = await agree(alice, bob, ([await a_crown(alice)], 20), ([OfferedItem(GLASS, 5)], 0))
    zones = bob.zones_entered
    waiting = asyncio.create_task(alice.trade.confirm(revision))
    await bob.wait_until(lambda: bob.trade.now is not None and bob.trade.now.theirs.is_confirmed, 30, "hers")
    stack.kill("zonecluster-west")
    told = [await bob.trade.confirm(revision), await waiting]
    assert [each.ok for each in told] == [False, False] and all(each.text for each in told), told
    await bob.wait_until(lambda: bob.zones_entered > zones, BACK_S, "the zone to be back")
    await settled(bob)
    for player in (alice, bob):
        assert await goods_of(player) == before[player]
    assert exchanges_of(stack, alice, bob) == []
    if alice.trade.now is not None:
        assert (await alice.trade.cancel()).ok
    assert (await alice.goods.move("inventory", "bank", BREAD, 1)).ok, "nobody is held for ever"
    assert (await bob.goods.move("inventory", "bank", BREAD, 1)).ok
    revision = await agree_again(alice, bob)
    assert all(each.ok for each in await confirm(alice, bob, revision))
    for player in (alice, bob):
        assert (await player.log_out()).is_saved


async def agree_again(alice: Player, bob: Player) -> int:
    """The same two trade once more; Bob asks, since who was asked a minute ago is not asked again."""
    return await agree(bob, alice, ([OfferedItem(GLASS, 1)], 0), ([OfferedItem(BREAD, 1)], 0))


async def test_no_trade_and_no_mail_while_the_master_is_away(stack: Stack, introduce: Introduce) -> None:
    alice, bob = await meet(stack, introduce)
    before = {player: await goods_of(player) for player in (alice, bob)}
    stack.pause("web")
    try:
        away = await invited_until(alice, bob.name, "master_away")
        for told in (
            away,
            await alice.mail.letters(),
            await alice.mail.send(bob.name, "Bread", items=[OfferedItem(BREAD, 1)]),
        ):
            assert isinstance(told, Result) and (told.ok, told.code) == (False, "master_away")
            assert "does not answer" in told.text
        assert (await alice.goods.move("inventory", "bank", BREAD, 1)).ok, "all else goes on"
        assert (await alice.goods.move("bank", "inventory", BREAD, 1)).ok
    finally:
        stack.unpause("web")
    assert isinstance(await letters_until(alice, lambda found: isinstance(found, MailIs)), MailIs)
    for player in (alice, bob):
        assert await goods_of(player) == before[player]
        assert (await player.log_out()).is_saved


async def invited_until(player: Player, name: str, code: str) -> Result:
    """Ask somebody to trade until the answer has that code: until the daemon's reports go unanswered."""
    async with asyncio.timeout(AWAY_S):
        while True:
            told = await player.trade.invite(name)
            if told.code == code:
                return told
            seen = player.snapshots
            await player.wait_until(lambda seen=seen: player.snapshots > seen + 20, 20.0, "snapshots")


async def letters_until(player: Player, condition: Any) -> MailIs | Result:
    """Ask for letters until the answer is such."""
    async with asyncio.timeout(AWAY_S):
        while True:
            found = await player.mail.letters()
            if condition(found):
                return found
            seen = player.snapshots
            await player.wait_until(lambda seen=seen: player.snapshots > seen + 10, 20.0, "snapshots")


async def test_a_letter_with_things_reaches_who_is_in_play_and_who_is_not(
    stack: Stack, introduce: Introduce
) -> None:
    alice, bob = await meet(stack, introduce)
    crown = await a_crown(alice)
    nobody = await alice.mail.send("Nobody Of That Name", "Hello", items=[OfferedItem(BREAD, 1)])
    assert (nobody.ok, nobody.code) == (False, "unknown_recipient")
    before = {player: await goods_of(player) for player in (alice, bob)}
    sent = await alice.mail.send(bob.name, "Bread", "As promised.", [crown, OfferedItem(BREAD, 2)], 7)
    assert sent.ok, sent
    assert await goods_of(alice) == (before[alice][0] - 7, before[alice][1] - Counter({CROWN: 1, BREAD: 2}))
    await bob.wait_until(
        lambda: any(isinstance(one, Notice) and "letter" in one.text for one in bob.heard), 60, "a notice"
    )
    found = await bob.mail.letters()
    assert isinstance(found, MailIs)
    (letter,) = found.letters
    assert (letter.sender, letter.subject, letter.text, letter.money) == (
        alice.name,
        "Bread",
        "As promised.",
        7,
    )
    full = await bob.mail.discard(letter.id)
    assert (full.ok, full.code) == (False, "goods_inside")
    assert (await alice.mail.take(letter.id)).code == "unknown_letter", "it is Bob's"
    assert (await bob.mail.take(letter.id)).ok
    again = await bob.mail.take(letter.id)
    assert (again.ok, again.code) == (False, "unknown_letter")
    expected = before[bob][0] + 7, before[bob][1] + Counter({CROWN: 1, BREAD: 2})
    assert await goods_of(bob) == expected
    assert what_is_saved(stack.saved_state(bob.name)) == (expected[0], dict(expected[1]))
    assert (await bob.mail.discard(letter.id)).ok
    assert (await bob.log_out()).is_saved
    assert (await alice.mail.send(bob.name, "Come back")).ok
    waiting = stack.query(
        "select t.subject, t.taken_at is null from characters_letter t join characters_character c"
        " on c.id = t.recipient_id where c.name = %s and t.discarded_at is null",
        bob.name,
    )
    assert waiting == [("Come back", True)]
    assert (await alice.log_out()).is_saved
