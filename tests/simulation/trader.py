"""What players do with each other: they trade, give and write letters, as clients ask for it.

Nobody here knows what the daemon thinks. Whoever is in a trade offers, locks and confirms by what
TradeChanged says; what is lost on the way is asked for again, or the trade is left.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.simulation.goods import GEM, HERB, gems_in, herbs_in
from zonecluster.protocol import from_client as ask
from zonecluster.protocol import to_client as told

if TYPE_CHECKING:
    from tests.simulation.people import Player

TRIES_S = 4.0  # on average between two attempts at something of one player
CHANCES = (("trade", 0.5), ("give", 0.15), ("write", 0.2), ("fetch", 0.15))


class Trader:
    """The part of a client that has to do with goods."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.rng = Random(f"{player.sim.seed} trader {player.name}")
        self.seq = 0
        self.trade: told.TradeChanged | None = None
        self.is_thinking = False

    def begin(self) -> None:
        self.player.sim.after(self.rng.expovariate(1 / TRIES_S), self.act)

    def say(self, message: type, **fields: object) -> None:
        self.seq += 1
        self.player.world.gateway.forward(self.player.link, message(seq=self.seq, **fields))

    # ---------------------------------------------------------------- doing

    def act(self) -> None:
        """Try something with somebody."""
        self.begin()
        player = self.player
        if player.link is None or not player.has_entered or player.sim.chaos.is_over:
            return
        if self.trade is not None:
            self.go_on_or_leave()
            return
        others = [each for each in player.sim.players.values() if each is not player]
        here = [each for each in others if each.world is player.world]
        match self.rng.choices([name for name, _ in CHANCES], [weight for _, weight in CHANCES])[0]:
            case "trade" if here:
                self.say(ask.TradeInvite, name=self.rng.choice(here).name)
            case "give" if here:
                self.give(self.rng.choice(here))
            case "write":
                items, money = self.some_goods()
                to = self.rng.choice(others).name
                self.say(ask.MailSend, to=to, subject="Hello", items=items, money=money)
            case "fetch":
                self.say(ask.MailList)

    def give(self, other: Player) -> None:
        """Give to a member of the alliance, or invite into one."""
        items, money = self.some_goods()
        if self.rng.random() < 0.4:
            self.say(ask.AllianceInvite, name=other.name)
        elif items or money:
            self.say(ask.Give, name=other.name, items=items, money=money)

    def go_on_or_leave(self) -> None:
        """The trade has not gone on by itself."""
        if self.rng.random() < 0.3:
            self.say(ask.TradeCancel)
            self.trade = None
        else:
            self.go_on()

    def go_on(self) -> None:
        """Do the next step of a trade."""
        trade, self.is_thinking = self.trade, False
        if trade is None:
            return
        if not trade.mine.is_locked:
            is_new = not (trade.mine.items or trade.mine.money)
            if is_new and self.rng.random() < 0.8:
                items, money = self.some_goods()
                self.say(ask.TradeOffer, items=items, money=money)
            else:
                self.say(ask.TradeLock, revision=trade.revision)
        elif trade.theirs.is_locked and not trade.mine.is_confirmed:
            self.say(ask.TradeConfirm, revision=trade.revision)

    def some_goods(self) -> tuple[list[ask.OfferedItem], int]:
        """Choose something of what is in the bags now; by then it may be gone."""
        found = self.player.world.entity_of(self.player.zone_token)
        if found is None:
            return [], 0
        _, entity = found
        items, state = [], entity.state
        if herbs_in(state) and self.rng.random() < 0.6:
            items.append(ask.OfferedItem(HERB, self.rng.randint(1, herbs_in(state))))
        if gems_in(state) and self.rng.random() < 0.6:
            items.append(ask.OfferedItem(GEM, 1, self.rng.choice(gems_in(state))))
        return items, self.rng.randint(0, state.money)

    # ---------------------------------------------------------------- hearing

    def get(self, message: object) -> None:
        """Take what concerns goods."""
        match message:
            case told.TradeInvited(inviter):
                self.say(ask.TradeAnswer, name=inviter, accept=self.rng.random() < 0.9)
            case told.AllianceInvited(inviter):
                self.say(ask.AllianceAnswer, name=inviter, accept=True)
            case told.TradeChanged():
                self.trade = message
                if not self.is_thinking:
                    self.is_thinking = True
                    self.player.sim.after(self.rng.uniform(0.05, 0.5), self.go_on)
            case told.TradeEnded(_, is_done):
                self.trade = None
                self.player.sim.counts["trade done" if is_done else "trade ended"] += 1
            case told.MailIs(_, letters):
                full = [letter for letter in letters if letter.items or letter.money]
                if full:
                    self.say(ask.MailTake, letter=self.rng.choice(full).id)
            case told.Result(_, ok, _, code):
                self.player.sim.counts[f"asked: {'ok' if ok else code}"] += 1
