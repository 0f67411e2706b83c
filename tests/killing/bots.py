"""Bots that play beside the people: load, and players of whom none may be lost."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.end_to_end.stack import ROOT, Stack

STARTED_S = 60.0  # to make their accounts, and to come in
ENDED_S = 240.0  # after their time: the last ones log out


@dataclass
class Bots:
    """What they have told at their end; empty without any."""

    told: str = ""


@contextlib.asynccontextmanager
async def bots_beside(stack: Stack, count: int, seconds: float, first: int) -> AsyncIterator[Bots]:
    """Let so many bots play for so long. Args: first: number of an account that nobody else plays.

    Raises: AssertionError: some of them were lost; it says which and why.
    """
    bots = Bots()
    if not count:
        yield bots
        return
    argv = [
        "manage.py",
        "bots",
        "-n",
        str(count),
        "--first",
        str(first),
        "--seconds",
        str(seconds + STARTED_S),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        cwd=ROOT,
        env=stack.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    telling = asyncio.create_task(process.communicate())
    try:
        yield bots
        output, _ = await asyncio.wait_for(telling, seconds + STARTED_S + ENDED_S)
        bots.told = output.decode(errors="replace").strip()
        assert process.returncode == 0, f"bots were lost: {bots.told}"
    finally:
        if process.returncode is None:
            process.kill()
        telling.cancel()
