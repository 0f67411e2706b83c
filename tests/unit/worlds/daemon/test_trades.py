"""Trades and gifts, step by step: who may trade with whom, what voids what, and how each trade ends."""

from typing import Any
from uuid import UUID

import pytest

from tests.unit.worlds.daemon.market import CROWN, Market, owning
from worlds.daemon.core import meeting, trades
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.events import Tick, Unreachable
from worlds.daemon.core.exchanges import GATHER_S
from worlds.daemon.core.session import GRACE_S, Heard, LinkRef, Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Item
from zonecluster.protocol.from_client import (
    AllianceAnswer,
    AllianceInvite,
    Enter,
    Give,
    Hello,
    Logout,
    OfferedItem,
    TradeAnswer,
    TradeCancel,
    TradeConfirm,
    TradeInvite,
    TradeLock,
    TradeOffer,
)
from zonecluster.protocol.to_client import (
    Notice,
    Refused,
    Result,
    Stack,
    TradeChanged,
    TradeEnded,
    TradeInvited,
    Welcome,
)
from zonecluster.rules.items import INVENTORY

BREAD = OfferedItem("bread", 5)
THE_CROWN = OfferedItem("crown", 1, CROWN)


@pytest.fixture
def market() -> Market:
    market = Market()
    market.open()
    market.forget()
    return market


def open_trade(market: Market) -> None:
    assert market.ask("Alice", TradeInvite(1, "bob ")).ok
    assert market.ask("Bob", TradeAnswer(1, "ALICE", True)).ok


def agree(market: Market) -> None:
    """Bread and a crown for coins: both have locked."""
    open_trade(market)
    assert market.ask("Alice", TradeOffer(2, [BREAD, THE_CROWN])).ok
    assert market.ask("Bob", TradeOffer(2, money=20)).ok
    assert market.ask("Alice", TradeLock(3, 3)).ok
    assert market.ask("Bob", TradeLock(3, 3)).ok


def confirm(market: Market) -> None:
    agree(market)
    market.forget()
    market.tell("Alice", TradeConfirm(4, 3))
    market.tell("Bob", TradeConfirm(5, 3))


def last(market: Market, name: str) -> TradeChanged:
    return market.heard(name, TradeChanged)[-1]


def ended(market: Market) -> tuple[TradeEnded, TradeEnded]:
    """Return how the trade ended for Alice and for Bob; it did so once for each, and is forgotten."""
    (hers,), (his,) = market.heard("Alice", TradeEnded), market.heard("Bob", TradeEnded)
    assert (hers.partner, his.partner, hers.is_done) == ("Bob", "Alice", his.is_done)
    assert not market.core.world.trades
    return hers, his


# ---------------------------------------------------------------- to find each other


def test_who_accepts_trades_and_both_are_told(market: Market) -> None:
    assert market.ask("Alice", TradeInvite(1, "bOB")) == Result(1, True, "Bob was asked.")
    assert market.heard("Bob", TradeInvited) == [TradeInvited("Alice", 60)]
    assert market.ask("Bob", TradeAnswer(7, "alice", True)).ok
    assert (last(market, "Alice").revision, last(market, "Bob").revision) == (1, 1)
    assert (last(market, "Alice").mine.name, last(market, "Alice").theirs.name) == ("Alice", "Bob")
    assert market.ask("Bob", TradeAnswer(8, "alice", True)).code == "not_invited", (
        "an invitation is good once"
    )


def test_who_declines_is_not_asked_again_at_once(market: Market) -> None:
    market.ask("Alice", TradeInvite(1, "Bob"))
    assert market.ask("Bob", TradeAnswer(1, "Alice", False)).ok
    assert "does not want" in market.heard("Alice", Notice)[-1].text
    assert market.ask("Alice", TradeInvite(2, "Bob")).code == "too_many_invitations"
    assert market.ask("Bob", TradeAnswer(2, "Alice", True)).code == "not_invited"
    market.wait(meeting.INVITATION_S)
    assert market.ask("Alice", TradeInvite(3, "Bob")).ok


def test_one_player_asks_only_so_many(market: Market) -> None:
    for number in range(meeting.MOST_INVITATIONS):
        market.come(f"Carol {number}", owning())
        assert market.ask("Alice", TradeInvite(number, f"Carol {number}")).ok
    assert market.ask("Alice", TradeInvite(9, "Bob")).code == "too_many_invitations"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (TradeInvite(1, "Nobody"), "unknown_player"),
        (TradeInvite(1, "alice"), "yourself"),
        (TradeAnswer(1, "Nobody", True), "not_invited"),
        (TradeAnswer(1, "Bob", True), "not_invited"),
        (TradeOffer(1, money=1), "not_in_trade"),
        (TradeLock(1, 1), "not_in_trade"),
        (TradeConfirm(1, 1), "not_in_trade"),
        (TradeCancel(1), "not_in_trade"),
        (Give(1, "alice", money=1), "yourself"),
        (Give(1, "Nobody", money=1), "not_allied"),
        (Give(1, "Bob", money=1), "not_allied"),
    ],
)
def test_what_cannot_be_asked_now(market: Market, message: Any, code: str) -> None:
    assert market.ask("Alice", message).code == code


def test_without_a_character_in_the_world_there_is_no_trade(market: Market) -> None:
    market.log_in(7)
    market.say(TradeInvite(1, "Bob"), 7)
    assert (market.told(Refused, 7).code, market.told(Refused, 7).seq) == ("not_now", 1)


def test_who_trades_is_asked_by_nobody_else(market: Market) -> None:
    market.come("Mallory", owning())
    market.ask("Mallory", TradeInvite(1, "Bob"))
    open_trade(market)
    assert market.ask("Mallory", TradeInvite(2, "Alice")).code == "in_trade"
    assert market.ask("Bob", TradeAnswer(3, "Mallory", True)).code == "in_trade"
    assert market.ask("Alice", TradeInvite(4, "Mallory")).code == "in_trade"


def no_trade(market: Market, code: str) -> None:
    assert market.ask("Alice", TradeInvite(9, "Bob")).code == code


def test_nobody_trades_while_the_master_is_away(market: Market) -> None:
    market.wait(6.0)
    market.answer(market.asked(uplink.Report), Unreachable("down"))
    no_trade(market, "master_away")


def test_nobody_trades_where_the_staff_has_stopped_it(market: Market) -> None:
    market.report(is_trade_off=True)
    no_trade(market, "trade_off")
    market.report()
    assert market.ask("Alice", TradeInvite(10, "Bob")).ok


def test_main_does_not_trade_with_a_fork(market: Market) -> None:
    market.sessions["Bob"].line_kind = "fork"
    no_trade(market, "lines_differ")


@pytest.mark.parametrize("name", ["Alice", "Bob"])
def test_who_is_withheld_does_not_trade(market: Market, name: str) -> None:
    market.sessions[name].is_withheld = True
    no_trade(market, "withheld")


# ---------------------------------------------------------------- to agree


def test_each_offer_is_shown_to_both(market: Market) -> None:
    open_trade(market)
    assert market.ask("Alice", TradeOffer(2, [BREAD, THE_CROWN], 3)).ok
    for name, side in (("Alice", "mine"), ("Bob", "theirs")):
        shown = getattr(last(market, name), side)
        assert shown.items[0] == Stack("bread", "loaf of bread", 5, value=2)
        assert (shown.items[1].id, shown.money, last(market, name).revision) == (CROWN, 3, 2)
    assert market.ask("Alice", TradeOffer(3, money=1)).ok
    assert (last(market, "Bob").theirs.items, last(market, "Bob").theirs.money) == ([], 1)


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (TradeOffer(2, [OfferedItem("bread", 8)]), "not_there"),
        (TradeOffer(2, [OfferedItem("crown", 1, UUID(int=9))]), "not_there"),
        (TradeOffer(2, [OfferedItem("crown", 1)]), "needs_id"),
        (TradeOffer(2, [OfferedItem("ghost", 1)]), "unknown_kind"),
        (TradeOffer(2, money=11), "not_enough_money"),
    ],
)
def test_what_is_not_there_is_not_offered(market: Market, offer: TradeOffer, code: str) -> None:
    open_trade(market)
    assert market.ask("Alice", offer).code == code
    assert last(market, "Alice").revision == 1


def test_a_kind_that_the_staff_has_stopped_is_not_offered(market: Market) -> None:
    open_trade(market)
    market.report(kinds_off=["crown"])
    assert market.ask("Alice", TradeOffer(2, [THE_CROWN])).code == "trade_off"
    assert market.ask("Alice", TradeOffer(3, [BREAD])).ok


def test_mallory_cannot_change_the_offer_under_a_confirmation(market: Market) -> None:
    """Bait and switch: whoever has agreed to another revision has agreed to nothing."""
    agree(market)
    assert market.ask("Alice", TradeOffer(4, [BREAD])).ok
    changed = last(market, "Bob")
    assert changed.revision == 4 and not changed.mine.is_locked and not changed.theirs.is_locked
    assert market.ask("Bob", TradeConfirm(4, 3)).code == "old_revision"
    assert market.ask("Bob", TradeLock(5, 3)).code == "old_revision"
    assert market.ask("Bob", TradeConfirm(6, 4)).code == "not_locked"


def test_a_change_voids_the_confirmation_of_the_other(market: Market) -> None:
    agree(market)
    market.forget()
    market.tell("Bob", TradeConfirm(4, 3))
    assert last(market, "Alice").theirs.is_confirmed and not market.heard("Bob", Result)
    market.tell("Alice", TradeOffer(4, [BREAD]))
    (void,) = market.heard("Bob", Result)
    assert (void.seq, void.ok, void.code) == (4, False, "old_revision")
    assert not last(market, "Bob").mine.is_confirmed


def test_one_lock_is_not_enough(market: Market) -> None:
    open_trade(market)
    assert market.ask("Alice", TradeLock(2, 1)).code == "nothing_offered"
    market.ask("Alice", TradeOffer(3, [BREAD]))
    market.ask("Alice", TradeLock(4, 2))
    assert market.ask("Alice", TradeConfirm(5, 2)).code == "not_locked"
    assert market.ask("Bob", TradeConfirm(5, 2)).code == "not_locked"


def test_each_confirms_once(market: Market) -> None:
    agree(market)
    market.tell("Alice", TradeConfirm(4, 3))
    assert market.ask("Alice", TradeConfirm(5, 3)).code == "in_trade"
    assert not market.calls(uplink.Exchange)


# ---------------------------------------------------------------- copies, and what comes late


def test_a_confirmation_that_comes_late_fits_no_other_trade(market: Market) -> None:
    """Alice agreed to 50 coins for her crown; the bus brings that when 1 coin is offered for it."""
    for seq, coins in ((10, 50), (20, 1)):
        assert market.ask("Alice", TradeInvite(seq, "Bob")).ok
        assert market.ask("Bob", TradeAnswer(seq, "Alice", True)).ok
        assert market.ask("Alice", TradeOffer(seq + 1, [THE_CROWN])).ok
        assert market.ask("Bob", TradeOffer(seq + 1, money=coins)).ok
        revision = last(market, "Alice").revision
        assert market.ask("Alice", TradeLock(seq + 2, revision)).ok
        assert market.ask("Bob", TradeLock(seq + 2, revision)).ok
        if coins == 50:
            late = TradeConfirm(14, revision)
            assert market.ask("Alice", TradeCancel(15)).ok
            market.wait(meeting.INVITATION_S)
    market.forget()
    market.tell("Bob", TradeConfirm(24, revision))
    assert market.ask("Alice", late).code == "old_revision"
    assert not market.orders("Alice", bus.Hold)


def test_revisions_grow_from_daemon_to_daemon(market: Market) -> None:
    open_trade(market)
    first = last(market, "Alice").revision
    for start, least in ((5 << 20, 5), (int(1.8e12) << 20, int(1.8e12))):
        later = DaemonCore(market.core.world.catalog, market.core.world.started_at, start).world
        assert first < least < later.new_revision() < later.new_revision() < 2**53


def test_a_doubled_gift_is_given_once(market: Market) -> None:
    ally(market)
    gift = Give(9, "Bob", [OfferedItem("bread", 3)])
    market.tell("Alice", gift)
    market.tell("Alice", gift)
    market.hold("Alice")
    market.hold("Bob")
    market.accept()
    for name in ("Alice", "Bob"):
        market.show(name)
    market.wait(30.0)
    market.tell("Alice", gift)
    (answer,) = market.heard("Alice", Result)
    assert (answer.seq, answer.ok) == (9, True) and len(market.calls(uplink.Exchange)) == 1
    assert market.sessions["Alice"].head.state.bags[INVENTORY][0] == Item("bread", 4)


def test_a_doubled_confirmation_is_answered_once(market: Market) -> None:
    confirm(market)
    market.tell("Alice", TradeConfirm(4, 3))
    market.hold("Alice")
    market.hold("Bob")
    market.accept()
    assert [(answer.seq, answer.ok) for answer in market.heard("Alice", Result)] == [(4, True)]


def test_a_client_that_came_back_may_count_anew(market: Market) -> None:
    market.ask("Alice", TradeInvite(1, "Bob"))
    token = market.core.world.new_resume_token(market.sessions["Alice"])
    market.hear(bus.LinkClosed("g", 1, market.links["Alice"]))
    market.links["Alice"] = 99
    market.say(Hello(1, "test", resume=token), 99)
    assert market.ask("Alice", TradeInvite(1, "Nobody")).code == "unknown_player"
    market.forget()
    market.tell("Alice", TradeInvite(1, "Nobody"))
    assert not market.heard("Alice", Result)


@pytest.mark.parametrize(
    ("seqs", "known"),
    [
        ([1, 2, 3, 3, 2, 1], [3, 2, 1]),
        ([5, 3, 5, 4, 3, 6], [5, 3]),
        ([7, 0, 0, 7], [0, 7]),
        ([1000, 744, 743, 1256, 1000, 999], [743, 1000, 999]),
        ([1000, 1257, 1000], [1000]),
        ([2**32 - 2, 1, 2**32 - 2, 0, 2**32 - 1, 1], [2**32 - 2, 1]),
        ([5, 2**31 + 4, 5], [5]),
    ],
)
def test_which_commands_are_copies(seqs: list[int], known: list[int]) -> None:
    heard, link = Heard(), LinkRef("g", 1, 7)
    assert [seq for seq in seqs if not heard.is_new(link, seq)] == known
    assert heard.is_new(LinkRef("g", 1, 8), seqs[-1]) and heard.is_new(LinkRef("g", 2, 8), seqs[-1])


# ---------------------------------------------------------------- to have it written down


def test_the_trade_is_done_when_the_master_has_it(market: Market) -> None:
    confirm(market)
    market.hold("Alice")
    market.hold("Bob")
    assert not market.heard("Alice", Result) and not market.heard("Bob", TradeEnded)
    market.accept()
    assert market.heard("Alice", Result) == [Result(4, True, "The trade is done.")]
    assert market.heard("Bob", Result) == [Result(5, True, "The trade is done.")]
    assert all(end.is_done for end in ended(market))
    alice, bob = (market.sessions[name].head.state for name in ("Alice", "Bob"))
    assert (alice.bags[INVENTORY], alice.money) == ([Item("bread", 2)], 30)
    assert (bob.bags[INVENTORY], bob.money) == ([Item("bread", 5), Item("crown", 1, CROWN)], 30)
    market.show("Alice")
    market.show("Bob")
    assert market.ask("Alice", TradeInvite(6, "Bob")).ok
    assert market.ask("Bob", TradeAnswer(6, "Alice", True)).ok


def test_nothing_is_changed_while_it_is_written_down(market: Market) -> None:
    confirm(market)
    for message, code in (
        (TradeOffer(6, money=1), "untouchable"),
        (TradeLock(7, 3), "untouchable"),
        (TradeConfirm(8, 3), "untouchable"),
        (TradeCancel(9), "called_off"),
    ):
        assert market.ask("Alice", message).code == code
    market.hold("Alice")
    market.hold("Bob")
    market.accept()
    assert all(end.is_done for end in ended(market))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("trade_off", "trade_off"),
        ("other_line", "lines_differ"),
        ("foreign_valuable", "refused"),
        ("not_conserved", "refused"),
    ],
)
def test_what_the_master_refuses_is_told_to_both(market: Market, code: str, told: str) -> None:
    confirm(market)
    market.hold("Alice")
    market.hold("Bob")
    market.refuse(code)
    for name in ("Alice", "Bob"):
        (result,) = market.heard(name, Result)
        assert (result.ok, result.code, result.text) == (False, told, f"Because of {code}.")
    assert not any(end.is_done for end in ended(market))


def test_what_somebody_does_not_have_is_that_ones_business(market: Market) -> None:
    confirm(market)
    market.hold("Bob")
    market.hold("Alice", owning(Item("bread", 4)))
    market.save()
    hers, his = ended(market)
    assert (hers.text, his.text) == (
        "You have 4 of that in inventory, not 5.",
        "Alice cannot do that any more.",
    )
    assert market.heard("Alice", Result)[0].code == "not_there"


def test_a_full_bag_ends_the_trade_and_nothing_is_lost(market: Market) -> None:
    market.come("Carol", owning(*[Item("bread", 20)] * 24))
    market.ask("Alice", TradeInvite(1, "Carol"))
    market.ask("Carol", TradeAnswer(1, "Alice", True))
    market.ask("Alice", TradeOffer(2, [THE_CROWN]))
    market.ask("Alice", TradeLock(3, 2))
    market.ask("Carol", TradeLock(3, 2))
    market.tell("Alice", TradeConfirm(4, 2))
    market.tell("Carol", TradeConfirm(4, 2))
    market.hold("Alice")
    market.hold("Carol")
    assert market.heard("Carol", TradeEnded)[0].text.startswith("There is no room")
    assert not market.calls(uplink.Exchange)


def test_a_cluster_that_does_not_answer_ends_the_trade(market: Market) -> None:
    confirm(market)
    market.wait(GATHER_S + 1)
    assert {end.text for end in ended(market)} == {
        "It could not be written down in time, so nothing has changed hands. Try again."
    }


def test_who_is_on_the_way_elsewhere_confirms_again_later(market: Market) -> None:
    agree(market)
    market.forget()
    s = market.sessions["Bob"]
    market.hear(bus.PortalEntered("west", s.id, "to-d", s.here.order))
    assert s.phase is not Phase.PLAYING
    market.tell("Alice", TradeConfirm(4, 3))
    market.tell("Bob", TradeConfirm(4, 3))
    for name in ("Alice", "Bob"):
        (result,) = market.heard(name, Result)
        assert (result.code, result.seq) == ("untouchable", 4)
        assert last(market, name).mine.is_locked and not last(market, name).mine.is_confirmed
    s.phase = Phase.PLAYING
    market.tell("Alice", TradeConfirm(5, 3))
    market.tell("Bob", TradeConfirm(5, 3))
    assert len(market.orders("Alice", bus.Hold)) == 1


def test_a_kind_that_was_stopped_after_the_offer(market: Market) -> None:
    agree(market)
    market.report(kinds_off=["crown"])
    market.forget()
    market.tell("Alice", TradeConfirm(4, 3))
    market.tell("Bob", TradeConfirm(4, 3))
    assert [market.heard(name, Result)[0].code for name in ("Alice", "Bob")] == ["trade_off"] * 2
    assert not market.orders("Alice", bus.Hold)


# ---------------------------------------------------------------- how trades end


def test_either_may_call_it_off(market: Market) -> None:
    agree(market)
    market.tell("Alice", TradeConfirm(4, 3))
    market.forget()
    assert market.ask("Bob", TradeCancel(9)) == Result(9, True, "There is no trade.")
    (void,) = market.heard("Alice", Result)
    assert (void.seq, void.code) == (4, "called_off")
    assert not any(end.is_done for end in ended(market))


def test_a_trade_ends_with_a_logout(market: Market) -> None:
    open_trade(market)
    market.tell("Bob", Logout())
    market.do(Tick())
    assert ended(market)[0].text == "Bob has left."


def test_a_trade_ends_at_once_for_who_asks_next(market: Market) -> None:
    open_trade(market)
    market.tell("Bob", Logout())
    assert market.ask("Alice", TradeOffer(3, money=1)).code == "not_in_trade"


def test_a_lost_link_does_not_end_a_trade_before_its_time(market: Market) -> None:
    open_trade(market)
    token = market.core.world.new_resume_token(market.sessions["Bob"])
    market.hear(bus.LinkClosed("g", 1, market.links["Bob"]))
    market.wait(5.0)
    market.links["Bob"] = 90
    market.say(Hello(1, "test", None, token), 90)
    assert market.told(Welcome, 90) and market.told(TradeChanged, 90).revision == 1
    market.hear(bus.LinkClosed("g", 1, 90))
    market.forget()
    market.wait(GRACE_S + 1)
    assert market.heard("Alice", TradeEnded)


def test_a_client_that_enters_again_is_told_its_trade(market: Market) -> None:
    open_trade(market)
    market.forget()
    market.tell("Bob", Enter(market.sessions["Bob"].chosen))
    assert last(market, "Bob").revision == 1


def test_a_link_that_a_restarted_gateway_lists_is_told_its_trade(market: Market) -> None:
    open_trade(market)
    s, link = market.sessions["Bob"], market.links["Bob"]
    market.hear(bus.LinkClosed("g", 1, link))
    market.forget()
    market.hear(bus.LinksOpen("g", 1, [bus.OpenLink(link, s.id)]))
    assert last(market, "Bob").revision == 1


def test_a_trade_that_nobody_touches_ends(market: Market) -> None:
    open_trade(market)
    market.wait(trades.UNTOUCHED_S - 5)
    market.ask("Alice", TradeOffer(3, money=1))
    market.wait(trades.UNTOUCHED_S - 5)
    assert not market.heard("Alice", TradeEnded)
    market.wait(6.0)
    assert "five minutes" in ended(market)[0].text


def test_a_handoff_does_not_end_a_trade(market: Market) -> None:
    open_trade(market)
    s = market.sessions["Bob"]
    market.hear(bus.PortalEntered("west", s.id, "to-d", s.here.order))
    market.do(Tick())
    assert s.phase is not Phase.PLAYING and market.core.world.trades
    assert market.ask("Alice", TradeOffer(3, money=1)).ok


def test_an_answer_is_not_told_on_another_link(market: Market) -> None:
    """Its number would be that of another command there."""
    confirm(market)
    token = market.core.world.new_resume_token(market.sessions["Bob"])
    market.say(Hello(1, "test", None, token), 90)
    market.links["Bob"] = 90
    market.hold("Alice")
    market.hold("Bob")
    market.accept()
    assert not market.heard("Bob", Result) and market.heard("Bob", TradeEnded)[0].is_done


# ---------------------------------------------------------------- gifts


def ally(market: Market) -> None:
    assert market.ask("Alice", AllianceInvite(1, "Bob")).ok
    assert market.ask("Bob", AllianceAnswer(2, "Alice", True)).ok
    market.forget()


def test_a_gift_is_one_commit_and_needs_no_answer(market: Market) -> None:
    ally(market)
    market.tell("Alice", Give(3, "bob", [BREAD, THE_CROWN], 1))
    market.hold("Alice")
    market.hold("Bob")
    request = market.accept()
    assert [save.kind for save in request.writes] == ["trade", "trade"]
    what = "5 loaf of bread, crown, 1 coin"
    assert market.heard("Alice", Result) == [Result(3, True, f"You gave Bob: {what}.")]
    assert market.heard("Bob", Notice) == [Notice(f"Alice gave you: {what}.")]
    assert market.sessions["Bob"].head.state.money == 51 and market.sessions["Alice"].head.state.money == 9


def test_nobody_is_held_all_the_time_by_gifts(market: Market) -> None:
    """They need no consent: between two of them the receiver's goods and portals are its own again."""
    ally(market)
    market.come("Carol", owning())
    assert market.ask("Alice", AllianceInvite(3, "Carol")).ok
    assert market.ask("Carol", AllianceAnswer(4, "Alice", True)).ok
    for seq, giver in ((5, "Alice"), (6, "Carol")):
        market.forget()
        market.tell(giver, Give(seq, "Bob", money=1))
        market.hold(giver)
        market.hold("Bob")
        market.accept()
        market.wait(3.0)
        for name in market.sessions:
            market.show(name)
        for each in ("Alice", "Carol"):
            assert market.ask(each, Give(seq + 10, "Bob", money=1)).code == "too_many_requests"
        market.wait(trades.GIFT_PAUSE_S - 3.0)
    s = market.sessions["Bob"]
    assert s.head.state.money == 52
    market.hear(bus.PortalEntered("west", s.id, "to-d", s.here.order))
    assert s.phase is not Phase.PLAYING


def test_a_gift_that_failed_makes_a_pause_too(market: Market) -> None:
    """The receiver was held for it all the same."""
    ally(market)
    market.tell("Alice", Give(3, "Bob", money=1))
    market.wait(GATHER_S + 1)
    assert market.heard("Alice", Result)[-1].code == "untouchable"
    for name in market.sessions:
        market.show(name)
    assert market.ask("Alice", Give(4, "Bob", money=1)).code == "too_many_requests"


def test_a_gift_that_cannot_be(market: Market) -> None:
    ally(market)
    assert market.ask("Alice", Give(3, "Bob")).code == "nothing_offered"
    assert market.ask("Alice", Give(4, "Bob", [OfferedItem("bread", 9)])).code == "not_there"
    market.sessions["Bob"].line_kind = "fork"
    assert market.ask("Alice", Give(5, "Bob", money=1)).code == "lines_differ"
    market.sessions["Bob"].line_kind = "main"
    market.tell("Alice", Give(6, "Bob", money=1))
    assert market.ask("Alice", Give(7, "Bob", money=1)).code == "untouchable", "one at a time"


def test_a_gift_that_does_not_arrive_is_told_to_the_giver_alone(market: Market) -> None:
    ally(market)
    market.tell("Alice", Give(3, "Bob", [BREAD]))
    market.hold("Alice")
    market.hold("Bob", owning(*[Item("bread", 20)] * 24, zone="c"))
    market.save()
    (result,) = market.heard("Alice", Result)
    assert (result.ok, result.code, result.text) == (False, "bag_full", "Bob cannot do that any more.")
    assert not market.heard("Bob", Notice) and not market.heard("Bob", TradeEnded)


def test_a_gift_to_who_leaves_meanwhile(market: Market) -> None:
    ally(market)
    market.tell("Alice", Give(3, "Bob", [BREAD]))
    market.hold("Alice")
    market.hold("Bob")
    market.core.world.renew_at = market.now
    market.do(Tick())
    line = market.sessions["Bob"].head.line
    market.answer(market.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(line, 1)]))
    market.accept()
    assert market.heard("Alice", Result)[0].ok and not market.heard("Bob", Notice)
