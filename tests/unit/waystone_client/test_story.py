"""What a hostile world can put on a player's terminal: words, nothing else."""

import asyncio
from typing import Any, cast

import pytest

from waystone_client.player import Sight
from waystone_client.terminal.commands import parse
from waystone_client.terminal.printable import printable
from waystone_client.terminal.story import Line, Story
from zonecluster.protocol.to_client import (
    Goodbye,
    Heard,
    Notice,
    Refused,
    Result,
    Stack,
    TradeChanged,
    TradeEnded,
    TradeInvited,
    TradeSide,
    ZoneAssigned,
)

RED, TITLE, BELL, OVERRIDE, C1 = "\x1b[31m", "\x1b]0;owned\x07", "\a", "\u202e", "\x9b2J"
HOSTILE = f"{RED}Hail{TITLE}{BELL}{OVERRIDE}{C1}\r"


class HostileWorld:
    """Stands in for the player's connection to Mallory's world."""

    def __init__(self, *events: object) -> None:
        self.news: asyncio.Queue[object] = asyncio.Queue()
        for event in events:
            self.news.put_nowait(event)


@pytest.mark.parametrize(
    "event",
    [
        Heard(HOSTILE, 1, HOSTILE),
        Notice(HOSTILE, "warning"),
        Refused("not_now", HOSTILE, HOSTILE),
        ZoneAssigned("zone", HOSTILE, 1, 1, 100.0, b""),
        Goodbye(HOSTILE, True),
        TradeInvited(HOSTILE, 60),
        TradeChanged(1, TradeSide("Bob", [], 0), TradeSide(HOSTILE, [Stack(HOSTILE, HOSTILE, 1)], 2)),
        TradeEnded(HOSTILE, False, HOSTILE),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_no_text_of_a_world_steers_the_terminal(event: object) -> None:
    told: list[Line] = []
    story = Story(cast("Any", HostileWorld(event)), told.append)
    following = asyncio.create_task(story.follow())
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0)
    following.cancel()
    assert "Hail" in told[0].text
    assert all(line.text.isprintable() for line in told)


def test_what_people_write_stays() -> None:
    assert printable("Ærøskøbing — 日本 😀 don't") == "Ærøskøbing — 日本 😀 don't"
    assert printable(HOSTILE).split() == ["[31mHail", "]0;owned", "2J"]


class PlayerInView:
    """Stands in for a player who sees a gull, and whose world answers every command the same."""

    def __init__(self, answer: Result) -> None:
        self.answer = answer
        self.commands: list[tuple[object, ...]] = []

    def visible(self) -> list[Sight]:
        return [Sight(77, "Gull", False, 1.0, 2.0, 3.0, 1.0)]

    async def select(self, entity: int) -> Result:
        self.commands.append(("select", entity))
        return self.answer

    async def cast(self, spell: str, target: int = 0) -> Result:
        self.commands.append(("cast", spell, target))
        return self.answer


@pytest.mark.parametrize(
    ("line", "command", "told"),
    [
        ("select gull", ("select", 77), ("answer", "You have selected gull.")),
        ("select", ("select", 0), ("answer", "You have selected nobody.")),
        ("cast root on gull", ("cast", "root", 77), ("notice", "Done.")),
        ("cast haste", ("cast", "haste", 0), ("notice", "Done.")),
        ("cast root on Bob", None, ("warning", "You see nobody called Bob.")),
    ],
)
async def test_selecting_and_casting_by_name(
    line: str, command: tuple[object, ...] | None, told: tuple[str, str]
) -> None:
    player = PlayerInView(Result(1, True, "Done."))
    story = Story(cast("Any", player), lambda line: None)
    order = parse(line)
    assert order is not None
    await story.carry_out(order)
    assert player.commands == ([command] if command else [])
    assert [(each.kind, each.text) for each in story.lines] == [told]


async def test_what_the_world_refuses_is_a_warning() -> None:
    story = Story(cast("Any", PlayerInView(Result(1, False, "Too far: 30 m."))), lambda line: None)
    for line in ("cast root on gull", "select gull"):
        order = parse(line)
        assert order is not None
        await story.carry_out(order)
    assert {(each.kind, each.text) for each in story.lines} == {("warning", "Too far: 30 m.")}
