"""What a hostile world can put on a player's terminal: words, nothing else."""

import asyncio
from typing import Any, cast

import pytest

from waystone_client.terminal.printable import printable
from waystone_client.terminal.story import Line, Story
from zonecluster.protocol.to_client import Goodbye, Heard, Notice, Refused, ZoneAssigned

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
