"""Trade, giving and mail as people type them: what is understood, what is asked, what is told."""

import asyncio
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.waystone_client.test_dealings import CROWN, HAS, Answering
from waystone_client.terminal.bargains import WORDS, Bargain, Basket, Post, Present, Wanted, Write
from waystone_client.terminal.commands import Hint, parse
from waystone_client.terminal.story import Line, Story
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import (
    Bag,
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

BREAD = OfferedItem("tide-bread", 3)
OLD_CROWN = OfferedItem("crown", 1, CROWN)
LETTER = UUID(int=90)
LETTERS = MailIs(
    1,
    [
        LetterSummary(
            LETTER, "Bob", "Demo", "Bread", "As promised.\nB.", [Stack("b", "bread", 2)], 5, 86400.0
        ),
        LetterSummary(UUID(int=91), "Eve", "", "Hi", "", [], 0, 1e300, is_returned=True, is_new=True),
    ],
    7,
)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("trade Alice Berg", Bargain("trade", "Alice Berg")),
        ("/refuse Bob", Bargain("refuse", "Bob")),
        ("offer 3 apple 20 coins", Bargain("offer", "", Basket((Wanted("apple", 3),), 20))),
        (
            "offer tide bread, old crown,2 caps",
            Bargain("offer", "", Basket((Wanted("tide bread"), Wanted("old crown"), Wanted("caps", 2)))),
        ),
        ("offer 1 coin", Bargain("offer", "", Basket((), 1))),
        ("offer nothing", Bargain("offer")),
        ("lock", Bargain("lock")),
        ("CONFIRM", Bargain("confirm")),
        ("cancel", Bargain("cancel")),
        (
            "give 2 tide bread, 5 coins to Alice Berg",
            Present("Alice Berg", Basket((Wanted("tide bread", 2),), 5)),
        ),
        ("mail", Post("list")),
        ("mail read 2", Post("read", 2)),
        ("mail take 1", Post("take", 1)),
        ("mail throw 12", Post("throw", 12)),
        ("mail send Bob: Hello", Write("Bob", "Hello")),
        ("mail send Bob Berg : Hello | How are you?", Write("Bob Berg", "Hello", "How are you?")),
        ("mail send Bob: Pay || 5 coins", Write("Bob", "Pay", "", Basket((), 5))),
        (
            "mail send Bob: Pay | Here | cap, 5 coins",
            Write("Bob", "Pay", "Here", Basket((Wanted("cap"),), 5)),
        ),
    ],
)
def test_orders(line: str, order: object) -> None:
    assert parse(line) == order


@pytest.mark.parametrize(
    "line",
    [
        "trade",
        "refuse",
        "trade " + "x" * 41,
        "offer",
        "offer 0 bread",
        "offer 5",
        "offer 9999999 bread",
        "offer 9999999999999999 coins",
        "offer " + ", ".join("abcdefghijklm"),
        "give 3 bread",
        "give to Bob",
        "give 3 bread to ",
        "mail eat 1",
        "mail read",
        "mail read 0",
        "mail read -1",
        "mail take one",
        "mail send",
        "mail send Bob",
        "mail send Bob:",
        "mail send : Hello",
        "mail send Bob: " + "x" * 81,
        "mail send Bob: Hi | " + "x" * 2001,
        "mail send Bob: Hi | text | 0 bread",
    ],
)
def test_what_is_not_understood_gets_a_hint(line: str) -> None:
    order = parse(line)
    assert isinstance(order, Hint) and order.text


@given(st.sampled_from(WORDS), st.text(max_size=120))
def test_nothing_typed_raises(word: str, rest: str) -> None:
    assert parse(f"{word} {rest}") is not None


class Bargainer(Answering):
    """Stands in for a player with a trade and a mailbox."""

    def __init__(self) -> None:
        super().__init__()
        self.trade = self.mail = self
        self.news: asyncio.Queue[object] = asyncio.Queue()

    async def letters(self) -> MailIs:
        return LETTERS


class Play:
    """A story, and what it tells."""

    def __init__(self) -> None:
        self.player = Bargainer()
        self.lines: list[Line] = []
        self.story = Story(cast("Any", self.player), self.lines.append)

    async def type(self, *lines: str) -> list[str]:
        for line in lines:
            order = parse(line)
            assert order is not None
            await self.story.carry_out(order)
            for _ in range(3):  # what waits for somebody else runs beside it
                await asyncio.sleep(0)
        return self.taken()

    async def hear(self, *events: object) -> list[str]:
        for event in events:
            self.player.news.put_nowait(event)
        following = asyncio.create_task(self.story.follow())
        async with asyncio.timeout(20):
            while not self.player.news.empty():
                await asyncio.sleep(0)
        following.cancel()
        return self.taken()

    def taken(self) -> list[str]:
        told = [line.text for line in self.lines]
        self.lines.clear()
        return told


def changed(revision: int, mine: TradeSide | None = None, theirs: TradeSide | None = None) -> TradeChanged:
    return TradeChanged(revision, mine or TradeSide("Alice", [], 0), theirs or TradeSide("Bob", [], 0))


async def test_a_trade_from_the_invitation_to_its_end() -> None:
    play = Play()
    assert await play.hear(TradeInvited("Bob", 60)) == [
        "Bob wants to trade with you: trade Bob, or refuse Bob. (60 s)"
    ]
    assert await play.type("trade bob") == ["Done."]
    assert await play.hear(changed(1)) == [
        "Trade with Bob:",
        "  you give: nothing",
        "  Bob gives: nothing",
        "  offer what you would give, lock it, or cancel.",
    ]
    assert await play.type("offer 3 tide bread, old crown, 20 coins", "lock") == []
    mine = TradeSide("Alice", [Stack("tide-bread", "bread", 3)], 20, is_locked=True)
    theirs = TradeSide("Bob", [], 7, is_locked=True)
    assert await play.hear(changed(2, mine, theirs)) == [
        "Trade with Bob:",
        "  you give: 3 × bread, 20 coins (locked)",
        "  Bob gives: 7 coins (locked)",
        "  Look at both offers: confirm, or cancel.",
    ]
    assert await play.type("confirm") == []
    assert await play.hear(TradeEnded("Bob", True, "You have it.")) == [
        "The trade with Bob is done. You have it."
    ]
    assert play.player.asked == [
        ("accept", "bob"),
        ("offer", [BREAD, OLD_CROWN], 20),
        ("lock", 1),
        ("confirm", 2),
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "rest"),
    [
        (TradeSide("Alice", [], 1, True), TradeSide("Bob", [], 0), "  Waiting for Bob to lock."),
        (
            TradeSide("Alice", [], 1, True, True),
            TradeSide("Bob", [], 0, True),
            "  Waiting for Bob to confirm.",
        ),
    ],
)
async def test_what_is_waited_for_is_told(mine: TradeSide, theirs: TradeSide, rest: str) -> None:
    assert (await Play().hear(changed(2, mine, theirs)))[-1] == rest


async def test_only_what_was_shown_is_locked_or_confirmed() -> None:
    """The offers have changed at the daemon: the revision that is sent is still the one that was read."""
    play = Play()
    for word in ("lock", "confirm"):
        assert await play.type(word) == ["You are in no trade. For example: trade Alice Berg"]
    await play.hear(changed(4))
    play.player.answer = Result(1, False, "The offers have changed.", "old_revision")
    assert await play.type("lock", "confirm") == ["The offers have changed."] * 2
    assert play.player.asked == [("lock", 4), ("confirm", 4)]
    await play.hear(TradeEnded("Bob", False, "Bob has left."))
    assert await play.type("confirm") == ["You are in no trade. For example: trade Alice Berg"]


async def test_a_trade_that_ends_without_being_done_says_so() -> None:
    assert await Play().hear(TradeEnded("Bob", False, "Bob has left.")) == [
        "The trade with Bob is over, and nothing has changed hands. Bob has left."
    ]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("trade Bob", ("invite", "Bob")),
        ("refuse Bob", ("decline", "Bob")),
        ("offer nothing", ("offer", [], 0)),
        ("cancel", ("cancel",)),
        ("give 3 tide bread to Bob Berg", ("give", "Bob Berg", [BREAD], 0)),
        ("give 5 coins to Bob", ("give", "Bob", [], 5)),
        ("mail send Bob: Hi | text | crown, 9 coins", ("send", "Bob", "Hi", "text", [OLD_CROWN], 9)),
        ("mail send Bob: Hi", ("send", "Bob", "Hi", "", [], 0)),
    ],
)
async def test_what_is_asked_of_the_world(line: str, asked: tuple[object, ...]) -> None:
    play = Play()
    await play.type(line)
    assert play.player.asked == [asked]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("offer moon", "There is no 'moon' among it. There is: loaf of tide bread, Old Crown."),
        ("offer 2 crown", "You have 1 × Old Crown."),
        ("offer crown, crown", "There is no 'crown' among it. There is: loaf of tide bread."),
        ("give ghost to Bob", "There is no 'ghost' among it. There is: loaf of tide bread, Old Crown."),
        ("mail read 1", "There is no letter 1. mail tells them."),
    ],
)
async def test_what_is_not_there_is_told_and_not_asked(line: str, told: str) -> None:
    play = Play()
    assert await play.type(line) == [told]
    assert play.player.asked == []


async def test_valuables_of_one_kind_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play()
    crowns = [Stack("crown", "Old Crown", 1, UUID(int=number)) for number in (1, 2, 3)]

    async def inventory() -> InventoryIs:
        return InventoryIs(1, 0, [Bag("inventory", 24, crowns), *HAS.bags[1:]])

    monkeypatch.setattr(play.player, "inventory", inventory)
    await play.type("offer 2 crown")
    assert play.player.asked == [("offer", [OfferedItem("crown", 1, UUID(int=n)) for n in (1, 2)], 0)]


async def test_letters_have_the_numbers_of_the_list_that_was_shown() -> None:
    play = Play()
    assert await play.type("mail") == [
        "  1. Bread, from Bob, with 2 × bread, 5 coins",
        "  2. new: Hi, from Eve (came back)",
        "  … and 7 older ones.",
    ]
    assert await play.type("mail read 1") == [
        "Bread",
        "  from Bob in Demo, 1970-01-02",
        "As promised.",
        "B.",
        "  In it: 2 × bread, 5 coins.",
    ]
    assert await play.type("mail read 2") == ["Hi", "  from Eve, no day"]
    await play.type("mail take 1", "mail throw 2")
    assert play.player.asked == [("take", LETTER), ("discard", UUID(int=91))]
    assert await play.type("mail read 3") == ["There is no letter 3. mail tells them."]


async def test_no_letters_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play()
    for answer, told in (
        (MailIs(1, []), "You have no letters."),
        (Result(1, False, "The master does not answer.", "master_away"), "The master does not answer."),
    ):

        async def letters(answer: object = answer) -> object:
            return answer

        monkeypatch.setattr(play.player, "letters", letters)
        assert await play.type("mail") == [told]
