"""People who play whatever happens to the platform: they come back by themselves, and trade, buy and write.

Each thing that changes goods is a Deal: what the player was told of it is its outcome. A refusal of the link
says nothing for certain; a Result does.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from tests.killing.ledger import COINS, LETTERS, Deal, Goods, Ledger, Outcome
from tests.killing.truth import goods_of
from waystone_client import Master, Player, WaystoneError
from zonecluster.protocol import from_client as ask
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import (
    InventoryIs,
    LetterSummary,
    MailIs,
    Result,
    TradeChanged,
    TradeEnded,
    WaresAre,
)

WORLD = "demo"
DROPPED = "gull-feather"  # the only kind that is laid down, so that who picks up knows what
REACH_M = 2.5
WALK_S = 15.0
EVENT_S = 12.0
RETRY_S = 0.5
ASK_S = 4.0  # then ask again: what was sent to a process that died is never answered


@dataclass
class Person:
    """One bot: its log-in and its player, which is made anew if the world has put it out."""

    name: str
    master: Master
    character: UUID
    player: Player | None = None
    is_busy: bool = False
    put_out: list[str] = field(default_factory=list)  # why, each time the world let go of it
    tried: str = ""  # why it is not back yet

    async def play(self) -> Player:
        """Return the player, in play. Raises: WaystoneError: not at the moment."""
        if self.player is not None and self.player.is_over:
            self.put_out.append(self.player.errors[-1] if self.player.errors else "")
            await self.player.leave()
            self.player = None
        if self.player is None:
            self.player = await Player.enter(self.master, WORLD, self.name, client="waystone-killrounds")
        return self.player

    async def goods(self) -> Goods:
        """Return what the world says that the character has. Raises: WaystoneError."""
        answer = await (await self.play()).link.command(ask.Inventory)
        assert isinstance(answer, InventoryIs)
        stacks = [stack for bag in answer.bags for stack in bag.stacks]
        return goods_of(
            answer.money,
            [{"kind": stack.kind, "count": stack.count, "id": stack.id} for stack in stacks],
        )

    async def come_back(self) -> Goods:
        """Try until the world answers; the caller has a deadline."""
        while True:
            try:
                async with asyncio.timeout(ASK_S if self.player is not None else None):
                    return await self.goods()
            except (WaystoneError, TimeoutError) as error:
                self.tried = str(error) or "no answer"
                await asyncio.sleep(RETRY_S)

    async def leave(self) -> None:
        """End both links."""
        if self.player is not None:
            await self.player.leave()
        await self.master.close()


def offered(goods: Goods) -> tuple[list[OfferedItem], int]:
    """Return goods as a trade or a letter names them."""
    items = []
    for what, count in goods.items():
        kind, _, identity = what.partition(" #")
        if what != COINS:
            items.append(OfferedItem(kind, count, UUID(identity) if identity else None))
    return items, goods[COINS]


def negative(goods: Goods) -> dict[str, int]:
    """Return goods as what somebody has less."""
    return {what: -count for what, count in goods.items()}


def plus(gained: Goods, lost: Goods) -> dict[str, int]:
    """Return the change of somebody who gains and loses."""
    return {what: gained[what] - lost[what] for what in {*gained, *lost}}


class Life:
    """The things that people do. Each is one coroutine; what it changes goes to the ledger."""

    def __init__(self, ledger: Ledger, chance: Random) -> None:
        self._ledger, self._chance = ledger, chance
        self.round = 0

    def choose(self, goods: Goods) -> Goods:
        """Pick something to give away: a few kinds, a valuable, some coins; never nothing."""
        kinds = [what for what, count in goods.items() if what != COINS and count > 0]
        chosen = self._chance.sample(kinds, min(len(kinds), self._chance.randint(0, 2)))
        given: Goods = Counter({what: self._chance.randint(1, min(3, goods[what])) for what in chosen})
        if goods[COINS] > 0 and (not given or self._chance.random() < 0.6):
            given[COINS] = self._chance.randint(1, min(50, goods[COINS]))
        return given

    async def stroll(self, person: Person) -> None:
        """Walk a few metres and back: places and metres are saved too."""
        player = await person.play()
        x, y, _ = player.position
        dx, dy = self._chance.uniform(-4, 4), self._chance.uniform(-4, 4)
        await player.walk_to(x + dx, y + dy, deadline_s=WALK_S)
        await player.walk_to(x, y, deadline_s=WALK_S)

    async def cross(self, person: Person) -> None:
        """Go to the zone of the other cluster."""
        player = await person.play()
        await player.walk_through("mossgate" if player.place[0] == "harbour" else "harbour", deadline_s=30)

    # ------------------------------------------------------------ vendors and the ground

    async def shop(self, person: Person) -> None:
        """Buy or sell one thing at the vendor nearby."""
        player = await person.play()
        vendor = next((sight for sight in player.visible() if sight.kind == "vendor"), None)
        if vendor is None:
            return
        await player.walk_to(vendor.x, vendor.y, within=REACH_M, deadline_s=WALK_S)
        wares = await player.link.command(ask.Wares, entity=vendor.id)
        if not isinstance(wares, WaresAre):
            return
        goods = await person.goods()
        sold = [ware for ware in wares.wares if ware.price and ware.price <= goods[COINS]]
        bought = [ware for ware in wares.wares if ware.pays and goods[ware.kind]]
        if sold and (not bought or self._chance.random() < 0.5):
            ware = self._chance.choice(sold)
            change = {ware.kind: 1, COINS: -ware.price}
            await self._do(
                player, f"{person.name} buys", {person.name: change}, ask.Buy, vendor.id, ware.kind
            )
        elif bought:
            ware = self._chance.choice(bought)
            change = {ware.kind: -1, COINS: ware.pays}
            await self._do(
                player, f"{person.name} sells", {person.name: change}, ask.Sell, vendor.id, ware.kind
            )

    async def _do(
        self, player: Player, what: str, changes: dict[str, dict[str, int]], kind: Any, entity: int, item: str
    ) -> None:
        deal = self._note(what, changes)
        _judge(deal, await player.link.command(kind, entity=entity, kind=item, count=1))

    async def drop(self, person: Person) -> None:
        """Lay something down."""
        player = await person.play()
        deal = self._note(f"{person.name} drops", {person.name: {DROPPED: -1}})
        _judge(deal, await player.link.command(ask.Drop, kind=DROPPED, count=1))

    async def pick_up(self, person: Person) -> None:
        """Pick up what lies nearby."""
        player = await person.play()
        thing = next((sight for sight in player.visible() if sight.kind == "item"), None)
        if thing is None:
            return
        await player.walk_to(thing.x, thing.y, within=REACH_M, deadline_s=WALK_S)
        deal = self._note(f"{person.name} picks up", {person.name: {DROPPED: 1}})
        _judge(deal, await player.link.command(ask.PickUp, entity=thing.id))

    # ------------------------------------------------------------ trade

    async def trade(self, one: Person, other: Person) -> None:
        """Trade, wherever the two are; both offer something, or one does."""
        first, second = await one.play(), await other.play()
        given, taken = self.choose(await one.goods()), self.choose(await other.goods())
        if not given or (not taken and self._chance.random() < 0.5):
            return
        for player in (first, second):
            await player.link.command(ask.TradeCancel)  # whatever an earlier one left
            _forget_news(player)
        if not await _agrees(first, ask.TradeInvite, name=other.name):
            return
        if not await _agrees(second, ask.TradeAnswer, name=one.name, accept=True):
            return
        for player, goods in ((first, given), (second, taken)):
            items, money = offered(goods)
            if goods and not await _agrees(player, ask.TradeOffer, items=items, money=money):
                return
        revision = await _revision(first, given, taken)
        for player in (first, second):
            if not await _agrees(player, ask.TradeLock, revision=revision):
                return
        changes = {one.name: plus(taken, given), other.name: plus(given, taken)}
        deal = self._note(f"{one.name} and {other.name} trade", changes)
        answers = await asyncio.gather(
            *(player.link.command(ask.TradeConfirm, revision=revision) for player in (first, second)),
            return_exceptions=True,
        )
        told = [*answers, *_endings(first), *_endings(second)]
        is_done = [_is_done(each) for each in told if isinstance(each, Result | TradeEnded)]
        if True in is_done and False in is_done:
            raise AssertionError(f"the two were told different things of their trade: {told}")
        deal.outcome = Outcome.UNKNOWN if not is_done else Outcome.DONE if is_done[0] else Outcome.NOT_DONE

    # ------------------------------------------------------------ mail

    async def write(self, one: Person, other: Person) -> None:
        """Send a letter with something in it."""
        player = await one.play()
        given = self.choose(await one.goods())
        if not given:
            return
        items, money = offered(given)
        deal = self._note(
            f"{one.name} writes to {other.name}", {one.name: negative(given), LETTERS: dict(given)}
        )
        letter = {"to": other.name, "subject": f"Round {self.round}", "items": items, "money": money}
        _judge(deal, await player.link.command(ask.MailSend, **letter))

    async def open_letters(self, person: Person) -> None:
        """Take what lies in one letter."""
        player = await person.play()
        answer = await player.link.command(ask.MailList)
        if not isinstance(answer, MailIs):
            return
        full = [letter for letter in answer.letters if letter.items or letter.money]
        if not full:
            return
        letter = self._chance.choice(full)
        goods = _goods_in(letter)
        deal = self._note(
            f"{person.name} takes letter {letter.id}", {person.name: dict(goods), LETTERS: negative(goods)}
        )
        _judge(deal, await player.link.command(ask.MailTake, letter=letter.id))

    def _note(self, what: str, changes: dict[str, dict[str, int]]) -> Deal:
        return self._ledger.note(Deal(what, changes, round=self.round))


def _judge(deal: Deal, answer: object) -> None:
    if isinstance(answer, Result):
        deal.outcome = Outcome.DONE if answer.ok else Outcome.NOT_DONE


async def _agrees(player: Player, kind: Any, **fields: Any) -> bool:
    answer = await player.link.command(kind, **fields)
    return isinstance(answer, Result) and answer.ok


def _forget_news(player: Player) -> None:
    while not player.news.empty():
        player.news.get_nowait()


async def _revision(player: Player, mine: Goods, theirs: Goods) -> int:
    """Wait until a player sees both offers; return their revision. Raises: WaystoneError."""
    wanted = (_stacks(offered(mine)), _stacks(offered(theirs)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(EVENT_S):
            while True:
                event = await player.news.get()
                if isinstance(event, TradeEnded):
                    raise WaystoneError("trade_over", event.text)
                if isinstance(event, TradeChanged) and wanted == tuple(
                    _stacks((side.items, side.money)) for side in (event.mine, event.theirs)
                ):
                    return event.revision
    raise WaystoneError("no_offers", "The offers were not shown.")


def _stacks(goods: tuple[Any, int]) -> tuple[Counter[tuple[str, UUID | None]], int]:
    items: Counter[tuple[str, UUID | None]] = Counter()
    for item in goods[0]:
        items[item.kind, item.id] += item.count
    return items, goods[1]


def _endings(player: Player) -> list[TradeEnded]:
    found = []
    while not player.news.empty():
        event = player.news.get_nowait()
        if isinstance(event, TradeEnded):
            found.append(event)
    return found


def _is_done(told: Result | TradeEnded) -> bool:
    return told.ok if isinstance(told, Result) else told.is_done


def _goods_in(letter: LetterSummary) -> Goods:
    stacks = [{"kind": item.kind, "count": item.count, "id": item.id} for item in letter.items]
    return goods_of(letter.money, stacks)
