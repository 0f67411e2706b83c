"""What a bot does with its goods: it trades with one other bot, writes to it, and loots chests. For bots.py.

It takes part in one trade at a time: offers something, locks, and confirms whatever both have locked.
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from waystone_client.errors import WaystoneError
from waystone_client.player import Player
from waystone_client.world_link import Event, LinkDown
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import (
    InventoryIs,
    MailIs,
    TradeChanged,
    TradeEnded,
    TradeInvited,
)

PAUSE_S = 5.0  # of the one who asks, between two trades; letters are looked at as often
LETTER_CHANCE = 0.3  # of each such pause
MOST_COINS, MOST_STACKS = 5, 2  # offered at once


class Dealer:
    """One bot's dealings with its partner. `trades` and `letters` count what was done.

    Args: leads: whether it is this one who asks.
    """

    def __init__(self, partner: str, chance: random.Random, *, leads: bool) -> None:
        self.partner = partner
        self.trades = self.letters = 0
        self.errors: list[str] = []
        self._leads = leads
        self._random = chance
        self._has_offered = False
        self._confirming: asyncio.Task[None] | None = None

    async def deal(self, player: Player) -> None:
        """Deal until cancelled."""
        now = asyncio.get_running_loop().time
        due = now() + PAUSE_S
        try:
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        event = await player.news.get()
                except TimeoutError:
                    due = now() + PAUSE_S
                    await self._patiently(self._begin_something(player))
                else:
                    await self._patiently(self._react(player, event))
        finally:
            if self._confirming is not None:
                self._confirming.cancel()
                await asyncio.gather(self._confirming, return_exceptions=True)

    async def _patiently(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do something; what the world refuses, or a link that breaks, is noted and no more."""
        try:
            await doing
        except WaystoneError as error:
            self.errors.append(str(error))

    # ------------------------------------------------------------ what others do

    async def _react(self, player: Player, event: Event) -> None:
        match event:
            case TradeInvited(inviter=inviter):
                await player.trade.accept(inviter)
            case TradeChanged():
                await self._go_on(player, event)
            case TradeEnded(is_done=is_done):
                self.trades += is_done
                self._has_offered = False
            case LinkDown():
                self._has_offered = False  # told again, if there is still a trade

    async def _go_on(self, player: Player, trade: TradeChanged) -> None:
        """Do what is next in a trade; what was said before is told again and again."""
        mine, theirs = trade.mine, trade.theirs
        if not self._has_offered:
            self._has_offered = True
            items, money = self._some(await player.goods.inventory())
            await player.trade.offer(items, money)
        elif not mine.is_locked:
            await player.trade.lock(trade.revision)
        elif theirs.is_locked and (self._confirming is None or self._confirming.done()):
            self._confirming = asyncio.create_task(self._patiently(self._confirm(player, trade.revision)))

    async def _confirm(self, player: Player, revision: int) -> None:
        await player.trade.confirm(revision)

    # ------------------------------------------------------------ what this one does

    async def _begin_something(self, player: Player) -> None:
        """Ask for a trade, write a letter, or look for letters."""
        if player.trade.now is None and self._leads:
            await player.trade.invite(self.partner)
        if self._random.random() < LETTER_CHANCE:
            items, money = self._some(await player.goods.inventory())
            sent = await player.mail.send(self.partner, "For you", "From a bot.", items, money)
            self.letters += sent.ok
        found = await player.mail.letters()
        for letter in found.letters if isinstance(found, MailIs) else []:
            if letter.items or letter.money:
                self.letters += (await player.mail.take(letter.id)).ok
            else:
                await player.mail.discard(letter.id)

    def _some(self, found: InventoryIs) -> tuple[list[OfferedItem], int]:
        """Choose a little of what one has; perhaps nothing."""
        stacks = [stack for bag in found.bags if bag.name == "inventory" for stack in bag.stacks]
        chosen = self._random.sample(stacks, min(MOST_STACKS, len(stacks)))
        items = [
            OfferedItem(stack.kind, self._random.randint(1, stack.count), stack.id)
            for stack in chosen
            if stack.is_known
        ]
        alike = {(item.kind, item.id): item for item in items}  # two stacks of a kind are one offer
        return list(alike.values()), self._random.randint(0, min(MOST_COINS, found.money))

    async def loot(self, player: Player) -> None:
        """Take what is in the nearest chest in view, if there is one."""
        chest = next((sight for sight in player.visible() if sight.kind == "chest"), None)
        if chest is not None:
            await player.walk_to(chest.x, chest.y, within=2.0)
            await player.goods.loot(chest.id)
