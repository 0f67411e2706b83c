"""A bot's dealings, step by step: what the world says, and what it does then."""

import asyncio
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest

from tests.unit.waystone_client.test_dealings import CROWN, HAS
from waystone_client.dealer import Dealer
from waystone_client.errors import Refusal
from waystone_client.player import Player, Sight
from zonecluster.protocol.to_client import (
    InventoryIs,
    LetterSummary,
    MailIs,
    Result,
    Stack,
    TradeChanged,
    TradeEnded,
    TradeInvited,
    TradeSide,
)

FULL, EMPTY = UUID(int=1), UUID(int=2)
LETTERS = MailIs(
    1,
    [
        LetterSummary(FULL, "Bob", "Demo", "For you", "", [Stack("b", "bread", 2)], 0, 1.0),
        LetterSummary(EMPTY, "Bob", "Demo", "For you", "", [], 0, 1.0),
    ],
)


class World:
    """Stands in for a player: notes what is asked, and answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.trade = self.mail = self.goods = self
        self.now: TradeChanged | None = None
        self.answer: Result | Refusal = Result(1, True)
        self.sights: list[Sight] = []

    def visible(self) -> list[Sight]:
        return self.sights

    async def inventory(self) -> InventoryIs:
        return HAS

    async def letters(self) -> MailIs:
        return LETTERS

    async def walk_to(self, x: float, y: float, *, within: float) -> None:
        self.asked.append(("walk_to", x, y))

    def __getattr__(self, name: str) -> Any:
        async def note(*arguments: object) -> Result:
            self.asked.append((name, *arguments))
            if isinstance(self.answer, Refusal):
                raise self.answer
            return self.answer

        return note


class Dealing:
    """A dealer, and the events that it is told in turn."""

    def __init__(self, *, leads: bool = True) -> None:
        self.world = World()
        self.dealer = Dealer("Bob", Random(1), leads=leads)

    async def hear(self, event: Any) -> list[tuple[Any, ...]]:
        """Tell the dealer; returns what it asks for then."""
        self.world.asked.clear()
        player = cast(Player, self.world)
        await self.dealer._patiently(self.dealer._react(player, event))
        await asyncio.sleep(0)
        return list(self.world.asked)


def trade(revision: int, *, is_mine: bool = False, is_theirs: bool = False) -> TradeChanged:
    return TradeChanged(revision, TradeSide("Alice", [], 0, is_mine), TradeSide("Bob", [], 0, is_theirs))


async def test_a_trade_is_accepted_offered_locked_and_confirmed() -> None:
    dealing = Dealing(leads=False)
    assert await dealing.hear(TradeInvited("Bob", 60)) == [("accept", "Bob")]
    (offer,) = await dealing.hear(trade(1))
    assert offer[0] == "offer" and offer[1]
    for item in offer[1]:
        assert item.kind in ("tide-bread", "crown") and 1 <= item.count <= 3
        assert (item.id == CROWN) == (item.kind == "crown")
    assert await dealing.hear(trade(2)) == [("lock", 2)]
    assert await dealing.hear(trade(2, is_mine=True)) == []
    assert await dealing.hear(trade(2, is_mine=True, is_theirs=True)) == [("confirm", 2)]
    await dealing.hear(TradeEnded("Bob", True, "Done."))
    assert dealing.dealer.trades == 1
    (again,) = await dealing.hear(trade(1))
    assert again[0] == "offer", "the next trade begins anew"


async def test_what_changes_after_a_lock_is_locked_again_and_not_confirmed() -> None:
    dealing = Dealing()
    await dealing.hear(trade(1))
    assert await dealing.hear(trade(3, is_theirs=True)) == [("lock", 3)]
    await dealing.hear(TradeEnded("Bob", False, "Bob has left."))
    assert dealing.dealer.trades == 0


async def test_the_one_who_leads_asks_and_both_look_for_letters() -> None:
    for leads, asks in ((True, [("invite", "Bob")]), (False, [])):
        dealing = Dealing(leads=leads)
        await dealing.dealer._begin_something(cast(Player, dealing.world))
        asked = [each for each in dealing.world.asked if each[0] != "send"]
        assert asked == [*asks, ("take", FULL), ("discard", EMPTY)]
        assert dealing.dealer.letters >= 1


async def test_who_is_in_a_trade_asks_for_no_other() -> None:
    dealing = Dealing()
    dealing.world.now = trade(1)
    await dealing.dealer._begin_something(cast(Player, dealing.world))
    assert ("invite", "Bob") not in dealing.world.asked


async def test_what_the_world_refuses_is_noted_and_stops_nobody() -> None:
    dealing = Dealing()
    dealing.world.answer = Refusal("too_fast", "Too fast.", "Wait.")
    await dealing.hear(trade(1))
    await dealing.hear(trade(2))
    assert dealing.dealer.errors == ["Too fast. Wait."] * 2


@pytest.mark.parametrize("kind", ["chest", "vendor"])
async def test_the_nearest_chest_is_looted(kind: str) -> None:
    dealing = Dealing()
    dealing.world.sights = [Sight(9, "Crate", False, 3.0, 4.0, 5.0, 1.0, kind=kind)]
    await dealing.dealer.loot(cast(Player, dealing.world))
    expected = [("walk_to", 3.0, 4.0), ("loot", 9)] if kind == "chest" else []
    assert dealing.world.asked == expected
