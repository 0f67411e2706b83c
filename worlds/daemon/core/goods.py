"""Goods between players: what is offered, whether it may change hands, how that is shown. Trades and mail."""

from collections.abc import Iterable, Sequence

from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.commerce import Asked, Verdict
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol.character import Item
from zonecluster.protocol.from_client import OfferedItem
from zonecluster.protocol.to_client import Result, Stack
from zonecluster.rules.exchange import Goods, goods_of, without
from zonecluster.rules.items import NotPossible
from zonecluster.rules.shown import stack_of

TRADE_OFF = "The platform's staff has stopped trade and mail here."
KIND_OFF = "The platform's staff has stopped trade with that: {name}."

# What the master refuses with, and what the player is told with, where that has another name or none.
CODES = {"other_line": "lines_differ"}
SAME = frozenset({"trade_off", "over_budget", "unknown_recipient", "mailbox_full", "unknown_letter"})


class Refused(Exception):
    """What a player asked for cannot be: code for programs, text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def offered(w: World, s: Session, items: Iterable[OfferedItem], money: int) -> Goods:
    """Return what a player offers, as far as it can be judged now: by the newest document that is known here.

    Raises: NotPossible, Refused.
    """
    goods = goods_of([(item.kind, item.count, item.id) for item in items], money, w.catalog.kinds)
    check_kinds(w, goods.items)
    without(s.head.newest, goods)
    return goods


def check_kinds(w: World, items: Iterable[Item]) -> None:
    """Make sure that the staff has not stopped trade, or trade with one of these. Raises: Refused."""
    if w.is_trade_off:
        raise Refused("trade_off", TRADE_OFF)
    for item in items:
        if item.kind in w.kinds_off:
            raise Refused("trade_off", KIND_OFF.format(name=_name(w.catalog, item.kind)))


def stacks_of(catalog: Catalog, items: Sequence[Item]) -> list[Stack]:
    """Return items as clients are shown them."""
    return [stack_of(item, catalog.kinds) for item in items]


def described(catalog: Catalog, goods: Goods) -> str:
    """Return goods in words: "5 loaf of bread, crown, 4 coins"."""
    things = [
        f"{item.count} {_name(catalog, item.kind)}" if item.count > 1 else _name(catalog, item.kind)
        for item in goods.items
    ]
    coins = [f"{goods.money} coins" if goods.money > 1 else "1 coin"] if goods.money else []
    return ", ".join(things + coins)


def _name(catalog: Catalog, kind: str) -> str:
    return catalog.kinds[kind].name if kind in catalog.kinds else kind


def on_wire(goods: Goods) -> uplink.Goods:
    """Return goods as the master is asked for them."""
    return uplink.Goods(items=list(goods.items), money=goods.money)


def code_of(verdict: Verdict) -> str:
    """Return the code that a player is told with."""
    if verdict.is_done:
        return ""
    return master_code(verdict.code) if verdict.is_masters else verdict.code


def master_code(code: str) -> str:
    """Return the code that a player is told with when the master has refused."""
    return code if code in SAME else CODES.get(code, "refused")


def answer(w: World, asked: Asked, text: str, code: str = "") -> None:
    """Answer a command: done, or (with a code) why not. Nobody waits on a link that is gone."""
    if asked.link in w.by_link:
        w.to_link(asked.link, Result(asked.seq, not code, text, code))


def fault_of(error: NotPossible | Refused) -> tuple[str, str]:
    """Return code and text of what cannot be."""
    return (error.why if isinstance(error, NotPossible) else error.code), str(error)
