"""A person's trade and letters: names become things of the inventory, what the world says becomes lines.

For the story. What was shown last is kept: a lock and a confirmation are of exactly that, and letters have
the numbers of the list that was shown.
"""

import time

from waystone_client.errors import WaystoneError
from waystone_client.player import Player
from waystone_client.terminal.bargains import Bargain, Basket, Post, Present, Wanted, Write
from waystone_client.terminal.dealings import INVENTORY, Told, choose, result_told, stack_told, stacks_of
from waystone_client.world_link import Event
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import (
    LetterSummary,
    Result,
    Stack,
    TradeChanged,
    TradeEnded,
    TradeInvited,
    TradeSide,
)


class Bargaining:
    """One player's trade and letters, as they were shown."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._shown: TradeChanged | None = None
        self._inviters: set[str] = set()  # who have asked, casefolded
        self._letters: list[LetterSummary] = []

    # ------------------------------------------------------------ orders

    async def carry_out(self, order: Bargain | Present | Post | Write) -> list[Told]:
        """Do it. Raises: WaystoneError: no such thing, or the world does not answer."""
        match order:
            case Bargain():
                return await self._bargain(order)
            case Present(name=name, basket=basket):
                items = await self._items(basket)
                return result_told(await self._player.trade.give(name, items, basket.money))
            case Write(to=to, subject=subject, text=text, basket=basket):
                items = await self._items(basket)
                return result_told(await self._player.mail.send(to, subject, text, items, basket.money))
            case Post():
                return await self._post(order)

    async def _bargain(self, order: Bargain) -> list[Told]:
        trade, name = self._player.trade, order.name
        match order.verb:
            case "trade":
                is_asked = name.casefold() in self._inviters
                self._inviters.discard(name.casefold())
                return result_told(await (trade.accept(name) if is_asked else trade.invite(name)))
            case "refuse":
                self._inviters.discard(name.casefold())
                return result_told(await trade.decline(name))
            case "cancel":
                return result_told(await trade.cancel())
            case "offer":
                items = await self._items(order.basket)
                return _unless_done(await trade.offer(items, order.basket.money))
            case "lock":
                return _unless_done(await trade.lock(self._revision()))
        return _unless_done(await trade.confirm(self._revision()))

    def _revision(self) -> int:
        """Return the revision that the person has seen. Raises: WaystoneError: there is no trade."""
        if self._shown is None:
            raise WaystoneError("not_in_trade", "You are in no trade.", "For example: trade Alice Berg")
        return self._shown.revision

    async def _items(self, basket: Basket) -> list[OfferedItem]:
        """Find the things in the inventory. Raises: WaystoneError: there is no such thing."""
        if not basket.things:
            return []
        left = list(stacks_of(await self._player.goods.inventory(), INVENTORY))
        items = []
        for wanted in basket.things:
            thing = choose(wanted.what, left)  # one that is in the basket already is not left
            if thing.id is None:
                items.append(OfferedItem(thing.kind, wanted.count))
            else:
                items += _valuables(thing, wanted, left)
        return items

    async def _post(self, order: Post) -> list[Told]:
        mail = self._player.mail
        if order.verb == "list":
            found = await mail.letters()
            if isinstance(found, Result):
                return result_told(found)
            self._letters = found.letters
            lines = [_line(i, letter) for i, letter in enumerate(found.letters, 1)] or [
                "You have no letters."
            ]
            lines += [f"  … and {found.more} older ones."] if found.more else []
            return [("answer", line) for line in lines]
        if not 1 <= order.number <= len(self._letters):
            raise WaystoneError("no_such_letter", f"There is no letter {order.number}.", "mail tells them.")
        letter = self._letters[order.number - 1]
        match order.verb:
            case "take":
                return result_told(await mail.take(letter.id))
            case "throw":
                return result_told(await mail.discard(letter.id))
        return [("answer", line) for line in _letter_told(letter)]

    # ------------------------------------------------------------ events

    def told(self, event: Event) -> list[Told]:
        """Turn what comes unasked into lines; nothing if it is about something else."""
        match event:
            case TradeInvited(inviter=inviter, seconds=seconds):
                self._inviters.add(inviter.casefold())
                text = f"{inviter} wants to trade with you: trade {inviter}, or refuse {inviter}."
                return [("notice", f"{text} ({seconds} s)")]
            case TradeChanged():
                self._shown = event
                return [("answer", line) for line in _trade_told(event)]
            case TradeEnded(partner=partner, is_done=is_done, text=text):
                self._shown = None
                what = "is done" if is_done else "is over, and nothing has changed hands"
                return [
                    ("notice" if is_done else "warning", f"The trade with {partner} {what}. {text}".strip())
                ]
        return []


def _valuables(thing: Stack, wanted: Wanted, left: list[Stack]) -> list[OfferedItem]:
    """Take so many of a kind of valuables out of what is left: each has an id of its own."""
    found = [each for each in left if each.kind == thing.kind][: wanted.count]
    if len(found) < wanted.count:
        raise WaystoneError("no_such_thing", f"You have {len(found)} × {thing.name}.")
    for each in found:
        left.remove(each)
    return [OfferedItem(each.kind, 1, each.id) for each in found]


def _unless_done(result: Result) -> list[Told]:
    """What was done is told by the trade itself."""
    return [] if result.ok else result_told(result)


def _goods_told(items: list[Stack], money: int) -> str:
    parts = [stack_told(item) for item in items] + ([f"{money} coins"] if money else [])
    return ", ".join(parts) or "nothing"


def _side_told(side: TradeSide, who: str) -> str:
    state = " (confirmed)" if side.is_confirmed else " (locked)" if side.is_locked else ""
    return f"  {who}: {_goods_told(side.items, side.money)}{state}"


def _trade_told(trade: TradeChanged) -> list[str]:
    mine, theirs = trade.mine, trade.theirs
    if mine.is_confirmed:
        rest = f"Waiting for {theirs.name} to confirm."
    elif mine.is_locked and theirs.is_locked:
        rest = "Look at both offers: confirm, or cancel."
    elif mine.is_locked:
        rest = f"Waiting for {theirs.name} to lock."
    else:
        rest = "offer what you would give, lock it, or cancel."
    return [
        f"Trade with {theirs.name}:",
        _side_told(mine, "you give"),
        _side_told(theirs, f"{theirs.name} gives"),
        f"  {rest}",
    ]


def _line(number: int, letter: LetterSummary) -> str:
    goods = f", with {_goods_told(letter.items, letter.money)}" if letter.items or letter.money else ""
    new = "new: " if letter.is_new else ""
    back = " (came back)" if letter.is_returned else ""
    return f"  {number}. {new}{letter.subject}, from {letter.sender}{back}{goods}"


def _letter_told(letter: LetterSummary) -> list[str]:
    day = _day(letter.posted_at)
    where = f" in {letter.world}" if letter.world else ""
    lines = [f"{letter.subject}", f"  from {letter.sender}{where}, {day}", *letter.text.splitlines()]
    if letter.items or letter.money:
        lines.append(f"  In it: {_goods_told(letter.items, letter.money)}.")
    return lines


def _day(posted_at: float) -> str:
    """Return the day of an instant, UTC; a world may say anything."""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(posted_at))
    except (ValueError, OverflowError, OSError):
        return "no day"
