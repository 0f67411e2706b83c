"""Names of things that people type become kinds and entities; what the world says of them becomes lines."""

import asyncio
from typing import Any, cast
from uuid import UUID

import pytest

from waystone_client.player import Sight
from waystone_client.terminal.commands import parse
from waystone_client.terminal.story import Line, Story
from zonecluster.protocol.to_client import (
    AllianceChanged,
    AllianceInvited,
    AllianceMember,
    Bag,
    InventoryIs,
    Offered,
    Result,
    Stack,
    WaresAre,
)

CROWN = UUID(int=7)
HAS = InventoryIs(
    1,
    37,
    [
        Bag(
            "inventory",
            24,
            [Stack("tide-bread", "loaf of tide bread", 3), Stack("crown", "Old Crown", 1, CROWN)],
        ),
        Bag("bank", 60, [Stack("ghost", "ghost", 2, is_known=False)]),
        Bag("worn:head", 1, [Stack("wool-cap", "wool cap", 1)]),
    ],
    4,
)
SOLD = WaresAre(1, "Marta", [Offered("lamp-oil", "flask of lamp oil", 8, 4), Offered("shell", "shell", 0, 2)])
SIGHTS = [
    Sight(70, "Gull", False, 0, 0, 1.0, 1.0, kind="creature"),
    Sight(71, "Marta", False, 0, 0, 2.0, 1.0, kind="vendor"),
    Sight(72, "wool cap", False, 0, 0, 2.0, 1.0, kind="item"),
    Sight(73, "Crate", False, 0, 0, 2.0, 1.0, kind="chest"),
    Sight(74, "3 × bread", False, 0, 0, 3.0, 1.0, kind="item"),
]


class Answering:
    """Stands in for a player, its goods and its alliance: notes what is asked, and answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.goods = self.alliance = self
        self.answer = Result(1, True, "Done.")

    def visible(self) -> list[Sight]:
        return SIGHTS

    async def inventory(self) -> InventoryIs:
        return HAS

    async def wares(self, vendor: int) -> WaresAre:
        assert vendor == 71
        return SOLD

    def __getattr__(self, name: str) -> Any:
        async def note(*arguments: object) -> Result:
            self.asked.append((name, *arguments))
            return self.answer

        return note


async def carried_out(line: str, player: Answering) -> list[tuple[str, str]]:
    story = Story(cast("Any", player), lambda _: None)
    order = parse(line)
    assert order is not None
    await story.carry_out(order)
    return [(each.kind, each.text) for each in story.lines]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("take", ("pick_up", 72)),
        ("/get bread", ("pick_up", 74)),
        ("loot", ("loot", 73)),
        ("open crate", ("loot", 73)),
        ("buy lamp oil", ("buy", 71, "lamp-oil", 1)),
        ("buy 12 lamp-oil", ("buy", 71, "lamp-oil", 12)),
        ("sell 2 tide bread", ("sell", 71, "tide-bread", 2, None)),
        ("sell old crown", ("sell", 71, "crown", 1, CROWN)),
        ("drop 3 loaf of tide bread", ("drop", "tide-bread", 3)),
        ("wear crown", ("equip", "crown", CROWN)),
        ("unequip head", ("unequip", "head")),
        ("unequip wool cap", ("unequip", "head")),
        ("deposit 2 tide bread", ("move", "inventory", "bank", "tide-bread", 2, None)),
        ("withdraw ghost", ("move", "bank", "inventory", "ghost", 1, None)),
        ("invite Bob Berg", ("invite", "Bob Berg")),
        ("/accept Bob", ("accept", "Bob")),
        ("/decline Bob", ("decline", "Bob")),
        ("/leave", ("leave",)),
    ],
)
async def test_orders_by_name(line: str, asked: tuple[object, ...]) -> None:
    player = Answering()
    assert await carried_out(line, player) == [("notice", "Done.")]
    assert player.asked == [asked]


@pytest.mark.parametrize("line", ["buy 3 lamp oil", "loot", "drop tide bread", "unequip head", "invite Bob"])
async def test_what_the_world_refuses_is_a_warning(line: str) -> None:
    player = Answering()
    player.answer = Result(1, False, "You have no room for it.", "bag_full")
    assert await carried_out(line, player) == [("warning", "You have no room for it.")]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("buy moon", "There is no 'moon' among it. There is: flask of lamp oil, shell."),
        ("drop ghost", "There is no 'ghost' among it. There is: loaf of tide bread, Old Crown."),
        ("take moon", "You see no item called moon. Walk nearer, or look around."),
        ("unequip boots", "There is no 'boots' among it. There is: wool cap."),
        ("drop", "Drop what? inventory tells what you have, wares what is for sale."),
        ("drop 0 bread", "How many? For example: drop 3 bread"),
        ("buy -3 bread", "How many? For example: buy 3 bread"),
        ("sell 99999999999999999999 bread", "How many? For example: sell 3 bread"),
        ("drop 3", "Drop what? inventory tells what you have, wares what is for sale."),
        ("invite", "Whom? For example: invite Alice Berg"),
    ],
)
async def test_what_is_not_understood_or_not_there(line: str, told: str) -> None:
    player = Answering()
    assert await carried_out(line, player) == [("warning", told)]
    assert player.asked == []


async def test_what_one_has_is_told_in_lines() -> None:
    assert [text for _, text in await carried_out("i", Answering())] == [
        "You have 37 coins.",
        "  inventory: 3 × loaf of tide bread, Old Crown",
        "  bank: 2 × ghost (unknown in this world)",
        "  on head: wool cap",
        "  … and 4 more.",
    ]
    assert [text for _, text in await carried_out("wares", Answering())] == [
        "Marta:",
        "  flask of lamp oil costs 8, is bought for 4",
        "  shell is bought for 2",
    ]


async def test_news_of_alliances() -> None:
    told: list[Line] = []
    player = Answering()
    player.news = asyncio.Queue()
    alice = AllianceMember(UUID(int=1), "Alice")
    for event in (
        AllianceChanged("", []),
        AllianceInvited("Bob", 60),
        AllianceChanged("Bob", [AllianceMember(UUID(int=2), "Bob"), alice]),
        AllianceChanged("", []),
    ):
        player.news.put_nowait(event)
    story = Story(cast("Any", player), told.append)
    following = asyncio.create_task(story.follow())
    async with asyncio.timeout(20):
        while len(told) < 3:
            await asyncio.sleep(0)
    following.cancel()
    assert [line.text for line in told] == [
        "Bob invites you into an alliance: accept Bob, or decline Bob. (60 s)",
        "Alliance of Bob: Bob, Alice",
        "You are in no alliance any more.",
    ]
