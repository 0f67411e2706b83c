"""Letters, step by step: each command is answered once, and goods are in one place at any time."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.unit.worlds.daemon.market import CROWN, Market
from worlds.daemon.core import mail
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Tick, Unreachable
from worlds.daemon.core.exchanges import GATHER_S
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Item
from zonecluster.protocol.from_client import (
    Hello,
    Logout,
    MailDiscard,
    MailList,
    MailSend,
    MailTake,
    OfferedItem,
)
from zonecluster.protocol.to_client import MailIs, Notice, Refused, Result
from zonecluster.rules.items import INVENTORY

BREAD = OfferedItem("bread", 5)
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
LETTER = UUID(int=44)


@pytest.fixture
def market() -> Market:
    market = Market()
    market.open()
    market.forget()
    return market


def received(number: int = 44, text: str = "Dear Alice", **changes: Any) -> uplink.Received:
    fields = {
        "sender": "Bob",
        "world": "Aurora",
        "subject": "Coins",
        "goods": uplink.Goods(),
        "posted_at": AT,
    }
    return uplink.Received(id=UUID(int=number), text=text, **{**fields, **changes})


def goods(*items: Item, money: int = 0) -> uplink.Goods:
    return uplink.Goods(items=list(items), money=money)


def mailbox(market: Market, *letters: uplink.Received, more: int = 0, call: Call | None = None) -> None:
    market.answer(call or market.calls(uplink.Mailbox)[-1], uplink.MailboxIs(list(letters), more))


def result(market: Market, name: str = "Alice") -> Result:
    """Return the only answer that a player got."""
    (found,) = market.heard(name, Result)
    return found


# ---------------------------------------------------------------- to post


def test_a_letter_with_goods_leaves_the_document_in_the_commit_that_posts_it(market: Market) -> None:
    market.tell(
        "Alice", MailSend(1, "Carol", " Bread\n\x00for you ", "Dear Carol,\n\teat\x07.\n", [BREAD], 3)
    )
    market.hold("Alice")
    request = market.calls(uplink.Exchange)[-1].request
    (save,) = request.writes
    assert (save.kind, save.state.money, save.state.bags[INVENTORY][0]) == ("mail", 7, Item("bread", 2))
    post = request.post
    assert (post.recipient, post.subject, post.text) == ("Carol", "Bread for you", "Dear Carol,\neat.")
    assert post.goods == goods(Item("bread", 5), money=3) and request.take is None
    assert post.sender == uplink.LeaseRef(save.line, save.epoch)
    assert not market.heard("Alice", Result)
    market.accept()
    assert result(market) == Result(1, True, "Your letter to Carol is posted.")
    assert market.orders("Alice", bus.Settle)[-1].state == market.sessions["Alice"].head.state


def test_nobody_is_held_for_a_letter_without_goods(market: Market) -> None:
    market.tell("Alice", MailSend(1, "Carol", "Hello"))
    request = market.calls(uplink.Exchange)[-1].request
    assert request.writes == [] and request.post.text == "" and not market.orders("Alice", bus.Hold)
    assert market.sessions["Alice"].exchange is None
    market.accept()
    assert result(market).ok and not market.orders("Alice", bus.Settle)


def test_a_letter_without_goods_is_asked_for_until_it_is_answered(market: Market) -> None:
    market.tell("Alice", MailSend(1, "Carol", "Hello"))
    first = market.calls(uplink.Exchange)[-1]
    market.answer(first, Unreachable("lost"))
    market.wait(2.0)
    assert market.calls(uplink.Exchange)[-1].request == first.request and not market.heard("Alice", Result)
    market.refuse("unknown_recipient")
    assert result(market).code == "unknown_recipient"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("unknown_recipient", "unknown_recipient"),
        ("mailbox_full", "mailbox_full"),
        ("trade_off", "trade_off"),
        ("over_budget", "over_budget"),
        ("other_line", "lines_differ"),
        ("foreign_valuable", "refused"),
        ("op_id_reused", "refused"),
    ],
)
def test_a_letter_that_the_master_refuses_has_cost_nothing(market: Market, code: str, told: str) -> None:
    market.tell("Alice", MailSend(1, "Carol", "Bread", items=[BREAD]))
    market.hold("Alice")
    market.refuse(code)
    assert (result(market).ok, result(market).code) == (False, told)
    assert market.orders("Alice", bus.Settle)[-1].state is None
    assert market.sessions["Alice"].head.state.bags[INVENTORY][0] == Item("bread", 7)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (MailSend(1, "Carol", "Bread", items=[OfferedItem("bread", 8)]), "not_there"),
        (MailSend(1, "Carol", "A ghost", items=[OfferedItem("ghost", 1)]), "unknown_kind"),
        (MailSend(1, "Carol", "Coins", money=11), "not_enough_money"),
        (MailSend(1, "Carol", "\x00\n"), "refused"),
    ],
)
def test_a_letter_that_cannot_be_posted(market: Market, message: MailSend, code: str) -> None:
    assert market.ask("Alice", message).code == code
    assert not market.orders("Alice", bus.Hold) and market.sessions["Alice"].mail_requests == 0


def test_nobody_floods_others_with_letters(market: Market) -> None:
    """Mallory's letters would fill mailboxes as fast as a link carries them."""

    def post(seq: int) -> None:
        market.tell("Bob", MailSend(seq, "Carol", "Hello"))

    for seq in range(30):
        post(seq)
        if seq < 10:
            market.accept()
    assert len(market.calls(uplink.Exchange)) == 10
    assert [answer.code for answer in market.heard("Bob", Result)] == [""] * 10 + ["too_many_requests"] * 20
    market.wait(6.0)
    for seq in (31, 32):
        post(seq)
    assert len(market.calls(uplink.Exchange)) == 11
    market.accept()
    market.wait(600.0)
    market.forget()
    for seq in range(40, 60):
        post(seq)
        if seq < 50:
            market.accept()
    assert len(market.calls(uplink.Exchange)) == 10, "what was not used is not saved up"


@pytest.mark.parametrize("message", [MailList(1), MailTake(1, LETTER), MailDiscard(1, LETTER)])
def test_mailboxes_are_not_asked_for_without_end(market: Market, message: Any) -> None:
    for seq in range(20):
        market.tell("Alice", msgspec.structs.replace(message, seq=seq))
        if seq < 10:
            mailbox(market)
    assert len(market.calls(uplink.Mailbox)) == 10
    assert [answer.code for answer in market.heard("Alice", Result)][-10:] == ["too_many_requests"] * 10
    market.wait(1.0)
    for seq in (21, 22, 23):
        market.tell("Alice", msgspec.structs.replace(message, seq=seq))
    assert len(market.calls(uplink.Mailbox)) == 12


def test_a_letter_that_nobody_holds_in_time_is_not_posted(market: Market) -> None:
    market.tell("Alice", MailSend(1, "Carol", "Bread", items=[BREAD]))
    market.wait(GATHER_S + 1)
    assert result(market).code == "untouchable" and not market.calls(uplink.Exchange)
    assert market.sessions["Alice"].mail_requests == 0


def test_who_leaves_before_the_answer_is_told_nothing(market: Market) -> None:
    market.tell("Alice", MailSend(1, "Carol", "Hello"))
    market.tell("Alice", Logout())
    s = market.sessions["Alice"]
    freeze = market.orders("Alice", bus.Freeze)[-1]
    market.hear(bus.Frozen("east", s.id, freeze.request, s.head.state, 3))
    market.save()
    market.answer(market.asked(uplink.Release), uplink.Released(True))
    market.accept()
    assert s.phase in (Phase.REMOVING, Phase.ENDED) and not market.heard("Alice", Result)
    assert not market.core.world.exchanges


# ---------------------------------------------------------------- mailboxes


def test_the_mailbox_is_shown(market: Market) -> None:
    market.tell("Alice", MailList(9))
    s = market.sessions["Alice"]
    asked = market.calls(uplink.Mailbox)[-1].request
    assert (asked.lease, asked.discard) == (uplink.LeaseRef(s.head.line, s.head.epoch), [])
    full = received(45, goods=goods(Item("bread", 5), Item("ghost", 2), money=3), is_new=True)
    mailbox(market, full, received(is_returned=True), more=2)
    (shown,) = market.heard("Alice", MailIs)
    assert (shown.seq, shown.more, [letter.id.int for letter in shown.letters]) == (9, 2, [45, 44])
    first, second = shown.letters
    assert (first.items[0].name, first.items[1].is_known, first.money) == ("loaf of bread", False, 3)
    assert (first.is_new, second.is_returned, first.posted_at) == (True, True, AT.timestamp())
    assert not market.heard("Alice", Result)


def test_a_link_is_not_burdened_with_more_than_it_carries(market: Market) -> None:
    market.tell("Alice", MailList(9))
    mailbox(market, *[received(number, "💌" * 2000) for number in range(60)], more=1)
    (shown,) = market.heard("Alice", MailIs)
    assert 1 <= len(shown.letters) < 10 and len(shown.letters) + shown.more == 61
    market.tell("Alice", MailList(10))
    mailbox(market, *[received(number) for number in range(60)])
    shown = market.heard("Alice", MailIs)[-1]
    assert (len(shown.letters), shown.more) == (mail.MOST_SHOWN, 10)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Unreachable("down"), "master_away"),
        (uplink.Refusal("master_fault", "Later."), "master_away"),
        (uplink.Refusal("stale", "Another's."), "refused"),
    ],
)
@pytest.mark.parametrize("message", [MailList(9), MailTake(9, LETTER), MailDiscard(9, LETTER)])
def test_a_mailbox_that_cannot_be_asked_for(market: Market, message: Any, answer: Any, code: str) -> None:
    market.tell("Alice", message)
    market.answer(market.calls(uplink.Mailbox)[-1], answer)
    assert (result(market).seq, result(market).code) == (9, code)


def test_a_letter_without_goods_is_thrown_away(market: Market) -> None:
    market.tell("Alice", MailDiscard(9, LETTER))
    assert market.calls(uplink.Mailbox)[-1].request.discard == [LETTER]
    mailbox(market, received(45))
    assert result(market).ok


def test_a_letter_with_goods_is_not_thrown_away(market: Market) -> None:
    market.tell("Alice", MailDiscard(9, LETTER))
    mailbox(market, received(goods=goods(money=1)))
    assert result(market).code == "goods_inside"


# ---------------------------------------------------------------- to take


def test_what_lies_in_a_letter_is_taken_in_one_commit(market: Market) -> None:
    market.tell("Alice", MailTake(9, LETTER))
    mailbox(market, received(goods=goods(Item("bread", 15), Item("crown", 1, UUID(int=8)), money=3)))
    market.hold("Alice")
    request = market.calls(uplink.Exchange)[-1].request
    (save,) = request.writes
    assert request.take == uplink.Taking(LETTER, uplink.LeaseRef(save.line, save.epoch)) and not request.post
    crowns = [Item("crown", 1, CROWN), Item("crown", 1, UUID(int=8))]
    assert save.state.bags[INVENTORY] == [Item("bread", 20), crowns[0], Item("bread", 2), crowns[1]]
    assert save.state.money == 13 and not market.heard("Alice", Result)
    market.accept()
    assert result(market) == Result(9, True, "You took: 15 loaf of bread, crown, 3 coins.")


@pytest.mark.parametrize("letters", [[], [received(45, goods=goods(money=1))], [received()]])
def test_a_letter_that_is_not_there_or_empty(market: Market, letters: list[uplink.Received]) -> None:
    market.tell("Alice", MailTake(9, LETTER))
    mailbox(market, *letters)
    assert result(market).code == "unknown_letter" and not market.orders("Alice", bus.Hold)


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (goods(Item("ghost")), "unknown_kind"),
        (goods(Item("crown", 1, CROWN)), "id_taken"),
        (goods(Item("bread", 1000)), "bag_full"),
        (goods(money=2**53 - 1), "too_much_money"),
    ],
)
def test_what_cannot_be_taken_stays_in_the_letter(market: Market, inside: uplink.Goods, code: str) -> None:
    market.tell("Alice", MailTake(9, LETTER))
    mailbox(market, received(goods=inside))
    assert result(market).code == code
    assert not market.orders("Alice", bus.Hold) and not market.calls(uplink.Exchange)


def test_a_letter_that_somebody_emptied_meanwhile(market: Market) -> None:
    market.tell("Alice", MailTake(9, LETTER))
    mailbox(market, received(goods=goods(money=3)))
    market.hold("Alice")
    market.refuse("unknown_letter")
    assert result(market).code == "unknown_letter" and market.sessions["Alice"].head.state.money == 10


def test_a_kind_that_the_staff_has_stopped_stays_in_the_letter(market: Market) -> None:
    market.report(kinds_off=["bread"])
    market.tell("Alice", MailTake(9, LETTER))
    mailbox(market, received(goods=goods(Item("bread", 1))))
    assert result(market).code == "trade_off"


def test_who_has_left_takes_nothing(market: Market) -> None:
    market.tell("Alice", MailTake(9, LETTER))
    call = market.calls(uplink.Mailbox)[-1]
    w, s = market.core.world, market.sessions["Alice"]
    w.renew_at = market.now
    market.do(Tick())
    market.answer(market.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(s.head.line, 1)]))
    mailbox(market, received(goods=goods(money=3)), call=call)
    assert not market.heard("Alice", Result) and not w.exchanges


# ---------------------------------------------------------------- when not


EVERY = [MailSend(9, "Bob", "Hello"), MailList(9), MailTake(9, LETTER), MailDiscard(9, LETTER)]


@pytest.mark.parametrize("message", EVERY)
def test_while_the_master_is_away_there_is_no_mail(market: Market, message: Any) -> None:
    market.wait(6.0)
    market.answer(market.asked(uplink.Report), Unreachable("down"))
    assert market.ask("Alice", message).code == "master_away"


@pytest.mark.parametrize("message", EVERY)
def test_without_a_character_in_the_world_there_is_no_mail(market: Market, message: Any) -> None:
    market.log_in(7)
    market.say(message, 7)
    assert (market.told(Refused, 7).code, market.told(Refused, 7).seq) == ("not_now", 9)


@pytest.mark.parametrize("message", [EVERY[0], EVERY[2]])
def test_where_the_staff_has_stopped_trade_goods_do_not_go_by_mail(market: Market, message: Any) -> None:
    market.report(is_trade_off=True)
    assert market.ask("Alice", message).code == "trade_off"


def test_letters_can_be_read_where_trade_is_stopped(market: Market) -> None:
    market.report(is_trade_off=True)
    market.tell("Alice", MailList(9))
    mailbox(market, received())
    assert len(market.heard("Alice", MailIs)) == 1


def test_who_is_withheld_posts_nothing(market: Market) -> None:
    market.sessions["Alice"].is_withheld = True
    assert market.ask("Alice", MailSend(9, "Bob", "Hello")).code == "withheld"
    market.tell("Alice", MailTake(10, LETTER))
    mailbox(market, received(goods=goods(money=3)))
    assert market.heard("Alice", Result)[-1].code == "withheld"


def test_mallory_cannot_flood_the_master(market: Market) -> None:
    for number in range(mail.MOST_REQUESTS):
        market.tell("Alice", MailList(number))
    assert not market.heard("Alice", Result)
    for seq, message in enumerate(EVERY, 9):
        numbered = msgspec.structs.replace(message, seq=seq)
        assert market.ask("Alice", numbered).code == "too_many_requests"
    assert len(market.calls(uplink.Mailbox)) == mail.MOST_REQUESTS
    mailbox(market, call=market.calls(uplink.Mailbox)[0])
    market.tell("Alice", MailList(20))
    assert len(market.calls(uplink.Mailbox)) == mail.MOST_REQUESTS + 1
    assert market.ask("Bob", MailSend(1, "Alice", "\x00")).code == "refused", "Bob is not held up"


def test_one_letter_with_goods_at_a_time(market: Market) -> None:
    market.tell("Alice", MailSend(1, "Bob", "Bread", items=[BREAD]))
    assert market.ask("Alice", MailSend(2, "Bob", "More bread", items=[BREAD])).code == "untouchable"


# ---------------------------------------------------------------- news


def news(market: Market, *names: str) -> int:
    """Report whose mailboxes have something new; return how many notices Alice got of it."""
    market.forget()
    market.report(letters=[market.sessions[name].chosen for name in names])
    return len([one for one in market.heard("Alice", Notice) if one.text == mail.NEW_LETTER])


def test_a_new_letter_is_told_once(market: Market) -> None:
    assert news(market, "Alice", "Bob") == 1
    assert news(market, "Alice") == 0
    market.tell("Alice", MailList(9))
    mailbox(market, received(is_new=True))
    assert news(market) == 0
    assert news(market, "Alice") == 1, "another one"


def test_who_is_not_there_is_told_when_there_again(market: Market) -> None:
    market.hear(bus.LinkClosed("g", 1, market.links["Alice"]))
    assert news(market, "Alice") == 0
    token = market.core.world.new_resume_token(market.sessions["Alice"])
    market.links["Alice"] = 90
    market.say(Hello(1, "test", None, token), 90)
    assert news(market, "Alice") == 1
    market.report(letters=[UUID(int=1)])
