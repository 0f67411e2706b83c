"""What the simulation's players do with each other: trades and letters, as their clients would."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TYPE_CHECKING

from tests.unit.worlds.daemon.model_master import Line
from zonecluster.protocol.from_client import (
    MailDiscard,
    MailList,
    MailSend,
    MailTake,
    OfferedItem,
    TradeAnswer,
    TradeCancel,
    TradeConfirm,
    TradeInvite,
    TradeLock,
    TradeOffer,
)
from zonecluster.protocol.to_client import MailIs, Notice, Result, TradeChanged, TradeEnded, TradeInvited

if TYPE_CHECKING:
    from tests.unit.worlds.daemon.simulation import Simulation

BUSY = 0.25  # of all steps in which a player does something of this


class Trader:
    """A client with a trade window and a mailbox."""

    sim: Simulation
    line: Line
    link: int | None
    wants_to_trade = True

    def __init__(self) -> None:
        self.numbers = count(1)
        self.trade: TradeChanged | None = None

    def say(self, kind: type, *fields: object) -> None:
        if self.link is not None:
            self.sim.gateway.forward(self.link, kind(next(self.numbers), *fields))

    def hear_of_trade(self, message: object) -> None:
        match message:
            case TradeInvited(inviter):
                self.say(TradeAnswer, inviter, True)
            case TradeChanged():
                self.trade = message
            case TradeEnded(_, is_done):
                self.trade = None
                self.sim.counts["sides of trades done" if is_done else "sides of trades ended"] += 1
            case Notice(text) if "new letter" in text:
                self.say(MailList)
            case MailIs(_, letters):
                for letter in letters:
                    self.say(MailTake if letter.items else MailDiscard, letter.id)
            case Result(_, True, text) if text.startswith(("Your letter", "You took")):
                self.sim.counts["letters posted" if text.startswith("Your") else "letters taken"] += 1

    def trade_on(self, rng: Random) -> None:
        if rng.random() > BUSY or not self.wants_to_trade:
            return
        shown, chance = self.trade, rng.random()
        other = rng.choice([line.name for line in self.sim.master.lines.values() if line is not self.line])
        if shown is None and chance < 0.5:
            self.say(TradeInvite, other)
        elif shown is None and chance < 0.6:
            self.say(MailSend, other, "Subject", "", self.some(rng) if chance < 0.58 else [])
        elif shown is None and chance < 0.65:
            self.say(MailList)
        elif shown is None:
            return
        elif chance < 0.01:
            self.say(TradeCancel)
        elif not shown.mine.is_locked:
            is_empty = not shown.mine.items and not shown.theirs.items
            if is_empty or chance < 0.2:
                self.say(TradeOffer, self.some(rng))
            else:
                self.say(TradeLock, shown.revision)
        elif shown.theirs.is_locked and not shown.mine.is_confirmed:
            self.say(TradeConfirm, shown.revision)

    def some(self, rng: Random) -> list[OfferedItem]:
        """Return something of what the character has; it may be gone when it comes to that."""
        items = self.line.state.bags.get("inventory", [])
        if not items:
            return []
        item = rng.choice(items)
        return [OfferedItem(item.kind, rng.randint(1, item.count), item.id)]
