"""Trades between two players, and gifts inside an alliance: anywhere in one world, over clusters too.

Invite, answer, offer, lock, confirm: nothing of it is durable, and nobody's goods are touched. When both have
confirmed the same revision of both offers, an exchange is begun (exchanges.py); what it ends with ends the
trade. There is no rule of reach: whoever is in the world can be traded with. What is offered may be gone by
then, and then nothing changes hands.
"""

from worlds.daemon.core import exchanges, meeting
from worlds.daemon.core.commerce import Asked, Part, Side, Trade, Verdict
from worlds.daemon.core.goods import (
    Refused,
    answer,
    check_kinds,
    code_of,
    described,
    fault_of,
    offered,
    stacks_of,
)
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World
from zonecluster.protocol.from_client import (
    Give,
    TradeAnswer,
    TradeCancel,
    TradeConfirm,
    TradeInvite,
    TradeLock,
    TradeOffer,
    Trading,
)
from zonecluster.protocol.to_client import Notice, TradeChanged, TradeEnded, TradeInvited, TradeSide
from zonecluster.rules.exchange import Goods
from zonecluster.rules.items import NotPossible

GIFT_PAUSE_S = 5.0  # after a gift: nobody asked the receiver, who has goods and portals again in between
UNTOUCHED_S = 300.0  # a trade that nobody touches ends
LINES_DIFFER = "You play different lines of history: what is of main stays there."
BEING_WRITTEN = "The trade is just being written down."


def on_message(w: World, s: Session, m: Trading) -> None:
    """Do what a client asks for; its answer may have to wait for an outcome."""
    if not meeting.is_here(s) or s.writer is None:
        meeting.refuse_absent(w, s, m.seq)
        return
    sweep(w)  # who has left since the last tick is in no trade any more
    asked = Asked(s.id, s.link, m.seq)
    try:
        text = _done(w, s, m, asked)
    except (NotPossible, Refused) as error:
        code, text = fault_of(error)
        answer(w, asked, text, code)
        return
    if text:
        answer(w, asked, text)


def _done(w: World, s: Session, m: Trading, asked: Asked) -> str:
    """Do it. Returns: what to answer; nothing if that has to wait. Raises: NotPossible, Refused."""
    match m:
        case TradeInvite():
            return _invite(w, s, m.name)
        case TradeAnswer():
            return _answer(w, s, m.name, is_accepted=m.accept)
        case TradeOffer():
            return _offer(w, s, m)
        case TradeLock():
            return _lock(w, s, m.revision)
        case TradeConfirm():
            return _confirm(w, s, m.revision, asked)
        case TradeCancel():
            return _cancel(w, s)
        case Give():
            return _give(w, s, m, asked)


# ---------------------------------------------------------------- to find each other


def _invite(w: World, s: Session, name: str) -> str:
    other = meeting.named(w, name)
    if other is None:
        raise Refused("unknown_player", f"Nobody called {name} is in the world.")
    _check_pair(w, s, other)
    if fault := meeting.invite(w, w.trade_invitations, s, other):
        raise Refused("too_many_invitations", fault)
    w.to_link(other.link, TradeInvited(inviter=s.name, seconds=int(meeting.INVITATION_S)))
    return f"{other.name} was asked."


def _answer(w: World, s: Session, name: str, *, is_accepted: bool) -> str:
    other = meeting.inviter(w, w.trade_invitations, s, name)
    if other is None:
        raise Refused("not_invited", f"{name} has not asked you to trade, or not lately.")
    if not is_accepted:
        meeting.decline(w.trade_invitations, s, other)
        w.to_link(other.link, Notice(f"{s.name} does not want to trade."))
        return "Declined."
    _check_pair(w, s, other)
    del w.trade_invitations[(other.id, s.id)]
    trade = Trade((Side(other.id, other.name), Side(s.id, s.name)), w.now, w.new_revision())
    w.trades[s.id] = w.trades[other.id] = trade
    _tell_both(w, trade)
    return "You trade."


def _check_pair(w: World, s: Session, other: Session) -> None:
    """Make sure that two players could trade with each other now. Raises: Refused."""
    if other is s:
        raise Refused("yourself", "That is yourself.")
    check_kinds(w, ())
    if not w.is_master_up:
        raise Refused("master_away", exchanges.MASTER_AWAY)
    for each in (s, other):
        if each.id in w.trades:
            who = "You are" if each is s else f"{each.name} is"
            raise Refused("in_trade", f"{who} in a trade.")
    _check_lines(s, other)
    _check_saving(s, other)


def _check_lines(s: Session, other: Session) -> None:
    if s.line_kind != other.line_kind:
        raise Refused("lines_differ", LINES_DIFFER)


def _check_saving(*both: Session) -> None:
    for each in both:
        if each.is_withheld:
            raise Refused("withheld", f"{each.name} cannot be saved at the moment.")


# ---------------------------------------------------------------- to agree


def _mine(w: World, s: Session) -> Trade:
    """Return the trade that a player is in and can still change. Raises: Refused."""
    trade = w.trades.get(s.id)
    if trade is None:
        raise Refused("not_in_trade", "You are in no trade.")
    if trade.is_asked_for:
        raise Refused("untouchable", BEING_WRITTEN)
    return trade


def _offer(w: World, s: Session, m: TradeOffer) -> str:
    trade = _mine(w, s)
    own, _ = trade.of(s.id)
    own.goods = offered(w, s, m.items, m.money)
    trade.revision = w.new_revision()
    for side in trade.sides:
        side.is_locked = False
        _unconfirm(w, side, "The offers have changed: look at them again.", "old_revision")
    _touch(w, trade)
    return "That is your offer."


def _lock(w: World, s: Session, revision: int) -> str:
    trade = _mine(w, s)
    _check_revision(trade, revision)
    if all(side.goods.is_nothing for side in trade.sides):
        raise Refused("nothing_offered", "Nobody has offered anything.")
    own, _ = trade.of(s.id)
    own.is_locked = True
    _touch(w, trade)
    return "Your offer is locked."


def _confirm(w: World, s: Session, revision: int, asked: Asked) -> str:
    trade = _mine(w, s)
    _check_revision(trade, revision)
    if not all(side.is_locked for side in trade.sides):
        raise Refused("not_locked", "Both lock their offers first.")
    own, theirs = trade.of(s.id)
    if own.confirmed is not None:
        raise Refused("in_trade", f"You have confirmed: {theirs.name} has yet to.")
    own.confirmed = asked
    _touch(w, trade)
    if theirs.confirmed is not None:
        _ask_for(w, trade)
    return ""


def _check_revision(trade: Trade, revision: int) -> None:
    if revision != trade.revision:
        raise Refused("old_revision", "The offers have changed: look at them again.")


def _cancel(w: World, s: Session) -> str:
    trade = w.trades.get(s.id)
    if trade is not None and trade.is_asked_for:
        raise Refused("called_off", "It is too late: " + BEING_WRITTEN)
    end(w, _mine(w, s), f"{s.name} has ended the trade.", "called_off")
    return "There is no trade."


def _unconfirm(w: World, side: Side, text: str, code: str) -> None:
    confirmed, side.confirmed = side.confirmed, None
    if confirmed is not None:
        answer(w, confirmed, text, code)


# ---------------------------------------------------------------- to have it written down


def _ask_for(w: World, trade: Trade) -> None:
    """Both have confirmed: begin the exchange; if that is not possible now they may confirm again."""
    first, second = trade.sides
    try:
        _check_exchange(w, first, second)
    except Refused as error:
        for side in trade.sides:
            _unconfirm(w, side, str(error), error.code)
        _tell_both(w, trade)
        return
    trade.is_asked_for = True
    parts = [
        Part(first.session, first.goods, second.goods),
        Part(second.session, second.goods, first.goods),
    ]
    exchanges.begin(w, "trade", parts, lambda w, verdict: _on_end(w, trade, verdict))


def _check_exchange(w: World, giver: Side, taker: Side) -> None:
    """Make sure that goods can change hands between two players now. Raises: Refused."""
    pair = w.sessions[giver.session], w.sessions[taker.session]
    check_kinds(w, (*giver.goods.items, *taker.goods.items))
    _check_lines(*pair)
    for s in pair:
        if fault := exchanges.why_not(w, s):
            raise Refused(*fault)


def _on_end(w: World, trade: Trade, verdict: Verdict) -> None:
    for side in trade.sides:
        text = "The trade is done." if verdict.is_done else _why(trade, side, verdict)
        confirmed, side.confirmed = side.confirmed, None
        if confirmed is not None:
            answer(w, confirmed, text, code_of(verdict))
        _let_go(w, trade, side, text, is_done=verdict.is_done)


def _why(trade: Trade, side: Side, verdict: Verdict) -> str:
    """Return what one of the two is told. The other one's bags are its own business."""
    _, other = trade.of(side.session)
    if verdict.whose == other.session and not verdict.is_public:
        return f"{other.name} cannot do that any more."
    return verdict.text


def end(w: World, trade: Trade, text: str, code: str) -> None:
    """End a trade that nobody was asked for: nothing has changed hands."""
    for side in trade.sides:
        _unconfirm(w, side, text, code)
        _let_go(w, trade, side, text, is_done=False)


def _let_go(w: World, trade: Trade, side: Side, text: str, *, is_done: bool) -> None:
    if w.trades.get(side.session) is trade:
        del w.trades[side.session]
    s = w.find(side.session)
    if s is not None:
        _, other = trade.of(side.session)
        w.to_link(s.link, TradeEnded(other.name, is_done, text))


def sweep(w: World) -> None:
    """End the trades of who is leaving or gone, and those that nobody touches. Once a tick."""
    for trade in list({id(trade): trade for trade in w.trades.values()}.values()):
        if trade.is_asked_for:
            continue  # its exchange says how it ends
        gone = next((side for side in trade.sides if not meeting.is_session_here(w, side.session)), None)
        if gone is not None:
            end(w, trade, f"{gone.name} has left.", "called_off")
        elif w.now - trade.touched_at >= UNTOUCHED_S:
            end(w, trade, "Nobody has touched the trade for five minutes.", "called_off")


# ---------------------------------------------------------------- gifts


def _give(w: World, s: Session, m: Give, asked: Asked) -> str:
    """Give something to a member of the alliance: one exchange, at once."""
    other = meeting.named(w, m.name)
    if other is s:
        raise Refused("yourself", "That is yourself.")
    if other is None or not s.alliance or other.alliance != s.alliance:
        raise Refused("not_allied", f"{m.name} is not in your alliance: ask for a trade.")
    goods = offered(w, s, m.items, m.money)
    if goods.is_nothing:
        raise Refused("nothing_offered", "Give what?")
    if w.now < other.no_gift_until:
        raise Refused(
            "too_many_requests", f"{other.name} was given something just now. Try again in a moment."
        )
    giver, taker = Side(s.id, s.name, goods), Side(other.id, other.name)
    _check_exchange(w, giver, taker)
    trade = Trade((giver, taker), w.now, revision=0)  # no trade of anybody's: it says who is told what
    giver.confirmed = asked
    parts = [Part(s.id, goods, Goods()), Part(other.id, Goods(), goods)]
    exchanges.begin(w, "trade", parts, lambda w, verdict: _given(w, trade, verdict))
    return ""


def _given(w: World, trade: Trade, verdict: Verdict) -> None:
    giver, taker = trade.sides
    what = described(w.catalog, giver.goods)
    text = f"You gave {taker.name}: {what}." if verdict.is_done else _why(trade, giver, verdict)
    if giver.confirmed is not None:
        answer(w, giver.confirmed, text, code_of(verdict))
    other = w.find(taker.session)
    if other is not None:
        other.no_gift_until = w.now + GIFT_PAUSE_S
    if other is not None and verdict.is_done:
        w.to_link(other.link, Notice(f"{giver.name} gave you: {what}."))


# ---------------------------------------------------------------- who is told


def _touch(w: World, trade: Trade) -> None:
    trade.touched_at = w.now
    _tell_both(w, trade)


def _tell_both(w: World, trade: Trade) -> None:
    for side in trade.sides:
        s = w.find(side.session)
        if s is not None:
            tell(w, s)


def tell(w: World, s: Session) -> None:
    """Tell a client the trade it is in; nothing if it is in none."""
    trade = w.trades.get(s.id)
    if trade is not None:
        mine, theirs = trade.of(s.id)
        w.to_link(s.link, TradeChanged(trade.revision, _shown(w, mine), _shown(w, theirs)))


def _shown(w: World, side: Side) -> TradeSide:
    items = stacks_of(w.catalog, side.goods.items)
    return TradeSide(side.name, items, side.goods.money, side.is_locked, side.confirmed is not None)
