"""Play in a pipe: commands are read line by line, and what happens is written line by line. For scripts."""

import asyncio
import sys
from typing import TextIO

from waystone_client.player import Player
from waystone_client.terminal.commands import parse
from waystone_client.terminal.story import Line, Story


async def play_lines(player: Player, source: TextIO, sink: TextIO) -> None:
    """Carry out the commands of `source` one after another; its end logs out."""

    def tell(line: Line) -> None:
        sink.write(line.text + "\n")
        sink.flush()

    story = Story(player, tell)
    tasks = [asyncio.create_task(story.follow()), asyncio.create_task(story.keep_names())]
    try:
        while not story.is_over:
            text = await asyncio.to_thread(source.readline)
            if not text:
                await story.quit()
                break
            order = parse(text)
            if order is not None:
                await story.carry_out(order)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_pipe() -> bool:
    """Return whether there is no terminal on either side."""
    return not (sys.stdin.isatty() and sys.stdout.isatty())
