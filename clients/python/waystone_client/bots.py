"""Bots: players that wander, talk and use portals, and count what happens to them. For trying a world out."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from waystone_client.dealer import Dealer
from waystone_client.errors import WaystoneError
from waystone_client.player import Player
from zonecluster.protocol.to_client import Heard

PORTAL_CHANCE = 0.15  # of each thing a bot does; otherwise it walks, and now and then talks
TALK_CHANCE = 0.2
LOOT_CHANCE = 0.2  # of those that trade
STROLL_M = 20.0
ENTER_PATIENCE_S = 120.0  # as long as a person would try, with the platform breaking down and coming back
ENTER_AGAIN_S = 3.0
SAYINGS = (
    "Has anybody seen the lamplighter?",
    "I am only passing through.",
    "It looks like rain.",
    "Which way to the harbour?",
    "Good walking weather.",
)


@dataclass
class BotStatus:
    """One bot's counts. state: waiting, in play, logged out, lost."""

    name: str
    state: str = "waiting"
    zone: str = ""
    snapshots: int = 0
    handoffs: int = 0
    said: int = 0
    heard: int = 0
    resumed: int = 0
    trades: int = 0
    letters: int = 0  # sent, and taken out of
    errors: list[str] = field(default_factory=list)


Enter = Callable[[], Awaitable[Player]]


class Bot:
    """One bot. `run` is its whole life; `status` is current all the time.

    Args: enter: brings its character into the world. dealer: trades for it meanwhile, if it trades.
    """

    def __init__(self, name: str, enter: Enter, seed: int, dealer: Dealer | None = None) -> None:
        self.status = BotStatus(name)
        self._dealer = dealer
        self._enter = enter
        self._random = random.Random(seed)

    async def run(self, until: float) -> None:
        """Enter, play until `until` (seconds, monotonic), log out. Never raises for what the world does."""
        player = await self._come_in(until)
        if player is None:
            self.status.state = "lost"
            return
        self.status.state = "in play"
        dealing = asyncio.create_task(self._dealer.deal(player)) if self._dealer is not None else None
        try:
            await self._play(player, until)
            await _stop(dealing)
            goodbye = await player.log_out()
            self.status.state = "logged out" if goodbye.is_saved else "lost"
            if not goodbye.is_saved:
                self.status.errors.append(f"not saved: {goodbye.reason}")
        except WaystoneError as error:
            self.status.state = "lost"
            self.status.errors.append(f"leaving: {error}")
        finally:
            await _stop(dealing)
            self._count(player)
            await player.leave()

    async def _come_in(self, until: float) -> Player | None:
        """Enter, patiently: what is in the way may be back in a minute. Returns: None if it never was."""
        give_up = min(until, time.monotonic() + ENTER_PATIENCE_S)
        while True:
            try:
                return await self._enter()
            except WaystoneError as error:
                self.status.errors.append(f"entering: {error}")
            if time.monotonic() + ENTER_AGAIN_S >= give_up:
                return None
            await asyncio.sleep(ENTER_AGAIN_S * self._random.uniform(0.5, 1.0))

    async def _play(self, player: Player, until: float) -> None:
        while time.monotonic() < until and not player.is_over:
            try:
                async with asyncio.timeout(max(0.1, until - time.monotonic())):
                    await self._do_something(player)
            except TimeoutError:
                player.stop()
            except WaystoneError as error:
                self.status.errors.append(str(error))
                await asyncio.sleep(0.5)
            self._count(player)
        if player.is_over:
            raise WaystoneError("link_over", player.errors[-1] if player.errors else "The link is over.")

    async def _do_something(self, player: Player) -> None:
        dice = self._random.random()
        if dice < PORTAL_CHANCE:
            exits = [
                way
                for way in (await player.look()).exits
                if way.edition == "free" or player.may_enter_premium_zones
            ]
            if exits:
                await player.walk_through(self._random.choice(exits).link)
                self.status.handoffs += 1
        elif dice < PORTAL_CHANCE + TALK_CHANCE:
            await player.say(self._random.choice(SAYINGS))
            self.status.said += 1
            await asyncio.sleep(1.0)
        elif self._dealer is not None and dice < PORTAL_CHANCE + TALK_CHANCE + LOOT_CHANCE:
            await self._dealer.loot(player)
        else:
            await self._stroll(player)

    async def _stroll(self, player: Player) -> None:
        x, y, _ = player.position
        size = player.zone.size if player.zone else 0.0
        goal = [
            min(max(each + self._random.uniform(-STROLL_M, STROLL_M), 1.0), size - 1.0) for each in (x, y)
        ]
        await player.walk_to(goal[0], goal[1])

    def _count(self, player: Player) -> None:
        self.status.zone = player.place[0]
        self.status.snapshots = player.snapshots
        self.status.resumed = player.link.resumed
        self.status.heard = sum(isinstance(event, Heard) for event in player.heard)
        if self._dealer is not None:
            self.status.trades, self.status.letters = self._dealer.trades, self._dealer.letters
            self.status.errors += self._dealer.errors
            self._dealer.errors.clear()


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_fleet(bots: Sequence[Bot], *, seconds: float, start_every_s: float = 0.1) -> None:
    """Run bots side by side, started one after another, for `seconds` after the last one started."""
    until = time.monotonic() + seconds + start_every_s * len(bots)
    running = []
    try:
        for bot in bots:
            running.append(asyncio.create_task(bot.run(until)))
            await asyncio.sleep(start_every_s)
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
