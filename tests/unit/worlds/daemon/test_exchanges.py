"""Hold, save, commit, settle, step by step: what each answer, loss, repeat and death leads to."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.unit.worlds.daemon.market import CROWN, Market, accepted, owning
from tests.unit.worlds.daemon.test_core import saved
from worlds.daemon.core import exchanges
from worlds.daemon.core.commerce import Part, Verdict
from worlds.daemon.core.effects import Call, Log, StoreExchange
from worlds.daemon.core.events import Answered, Stopping, Tick, Unreachable
from worlds.daemon.core.saving import ExchangeUnanswered, Offer
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import MAX_STATE_BYTES, CharacterState, Item, encode_state
from zonecluster.protocol.from_client import Enter, Logout
from zonecluster.protocol.to_client import Goodbye, Notice
from zonecluster.rules.exchange import Goods
from zonecluster.rules.items import INVENTORY

GIVEN = Goods((Item("bread", 5), Item("crown", 1, CROWN)))
PAID = Goods(money=20)


class Exchanging(Market):
    """Alice's bread and crown for Bob's coins, and how that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.open()
        self.verdicts: list[Verdict] = []

    def begin(self) -> None:
        self.forget()
        parts = [Part(self.sessions["Alice"].id, GIVEN, PAID), Part(self.sessions["Bob"].id, PAID, GIVEN)]
        w = self.core.world
        assert all(exchanges.why_not(w, s) is None for s in self.sessions.values())
        w.now, w.effects = self.now, []
        exchanges.begin(w, "trade", parts, lambda _, verdict: self.verdicts.append(verdict))
        self.seen += w.effects

    def ask_for(self) -> Call:
        """Come to where the master is asked."""
        self.begin()
        self.hold("Alice")
        self.hold("Bob")
        return self.calls(uplink.Exchange)[-1]

    @property
    def end(self) -> Verdict:
        (verdict,) = self.verdicts
        assert not self.core.world.exchanges and all(s.exchange is None for s in self.sessions.values())
        return verdict

    def head(self, name: str) -> CharacterState:
        return self.sessions[name].head.state

    def logged(self, event: str) -> bool:
        return any(isinstance(e, Log) and e.event == event for e in self.seen)


@pytest.fixture
def market() -> Exchanging:
    return Exchanging()


# ---------------------------------------------------------------- the usual way


def test_held_saved_committed_and_settled(market: Exchanging) -> None:
    market.begin()
    assert [len(market.orders(name, bus.Hold)) for name in ("Alice", "Bob")] == [1, 1]
    richer = owning(Item("bread", 9), Item("crown", 1, CROWN))
    market.hold("Alice", richer)
    market.hold("Bob")
    assert not market.calls(uplink.Exchange), "the head does not have Alice's document yet"
    market.save()
    request = market.calls(uplink.Exchange)[-1].request
    assert [save.version for save in request.writes] == [5, 4] and not market.verdicts
    market.accept()
    assert market.end == Verdict(is_done=True)
    assert market.head("Alice").bags[INVENTORY] == [Item("bread", 4)] and market.head("Alice").money == 30
    assert market.head("Bob").bags[INVENTORY] == list(GIVEN.items) and market.head("Bob").money == 30
    for name, s in market.sessions.items():
        (settle,) = market.orders(name, bus.Settle)
        assert (settle.after, settle.state, settle.stay) == (request.id, s.head.state, s.here.order)
        assert settle.order > market.orders(name, bus.Hold)[0].order and s.head.is_idle
    (stored,) = [e for e in market.seen if isinstance(e, StoreExchange)]
    assert [(r.op_id, r.version, r.kind) for r in stored.receipts] == [
        (save.op_id, save.version + 1, "trade") for save in request.writes
    ]


def test_the_next_documents_must_know_the_exchange(market: Exchanging) -> None:
    market.ask_for()
    exchange = market.accept().id
    s, market.seen = market.sessions["Alice"], []
    late = bus.Checkpoint("east", s.id, owning(money=99), "item", 50, s.here.order)
    market.hear(late)
    assert s.head.is_idle and market.logged("document_of_another_exchange")
    market.hear(
        msgspec.structs.replace(late, after=exchange, state=msgspec.structs.replace(s.head.state, money=31))
    )
    market.save()
    assert s.head.state.money == 31 and s.head.after == exchange


def test_who_was_held_has_not_seen_what_a_death_took(market: Exchanging) -> None:
    """Found by the simulation (seed 5024 of c9b5504): the log-out said that all was saved."""
    alice = market.sessions["Alice"]
    alice.has_gap = True  # admitted again after a cluster's death, with less than the player had seen
    market.ask_for()
    market.accept()
    assert market.end.is_done and alice.has_gap
    document = msgspec.structs.replace(alice.head.state, money=31)
    acted = bus.Checkpoint("east", alice.id, document, "item", 50, alice.here.order, alice.head.after)
    market.hear(acted)
    assert not alice.has_gap, "who acts has seen what was left"


def test_who_is_held_tells_nothing_new(market: Exchanging) -> None:
    """A checkpoint that was on its way when the cluster was asked is in what it told then."""
    market.begin()
    s = market.sessions["Alice"]
    market.hear(bus.Checkpoint("east", s.id, owning(money=11), "item", 3, s.here.order))
    market.save()
    market.hold("Alice", owning(Item("bread", 7), Item("crown", 1, CROWN)), serial=5)
    market.save()
    market.hear(bus.Checkpoint("east", s.id, owning(money=99), "item", 6, s.here.order))
    assert s.head.is_idle and s.head.state.money == 10


def test_a_document_that_the_head_has_is_confirmed_without_a_write(market: Exchanging) -> None:
    """Or what waits for it to be durable would wait for ever. The place alone is no reason to write."""
    market.begin()
    s = market.sessions["Alice"]
    place = msgspec.structs.replace(s.head.state.places["demo"], position=(60.0, 60.0, 0.0))
    market.hold("Alice", msgspec.structs.replace(s.head.state, places={"demo": place}), serial=9)
    assert market.orders("Alice", bus.Saved)[-1].serial == 9
    assert not market.calls(uplink.Save)


def test_meanwhile_nothing_else_is_written_and_nobody_goes_anywhere(market: Exchanging) -> None:
    market.ask_for()
    s = market.sessions["Alice"]
    s.is_dirty, s.checkpoint_at, s.place_save_at = True, market.now, market.now
    market.hear(bus.PortalEntered("east", s.id, "to-c", s.here.order))
    market.wait(3.0)
    assert s.phase is Phase.PLAYING and market.heard("Alice", Notice)
    assert not market.calls(uplink.Save) and not market.orders("Alice", bus.TakeCheckpoint)
    with pytest.raises(ExchangeUnanswered):
        s.head.offer(Offer(UUID(int=1), "periodic", s.head.state))
    with pytest.raises(ExchangeUnanswered):
        s.head.begin_exchange(Offer(UUID(int=1), "trade", s.head.state))


# ---------------------------------------------------------------- before the master is asked


def test_hold_is_repeated_until_it_is_answered(market: Exchanging) -> None:
    market.begin()
    market.hold("Bob")
    market.wait(2.0)
    assert len(market.orders("Alice", bus.Hold)) >= 3 and len(market.orders("Bob", bus.Hold)) == 1
    assert len({order.order for order in market.orders("Alice", bus.Hold)}) == 1


@pytest.mark.parametrize(
    "changes",
    [{"after": UUID(int=3)}, {"stay": 1}, {"serial": 0}],
    ids=["another exchange", "another stay", "late"],
)
def test_a_held_that_is_not_believed(market: Exchanging, changes: dict[str, Any]) -> None:
    market.begin()
    market.hold("Bob")
    market.hold("Alice", **changes)
    assert not market.calls(uplink.Exchange)
    market.hold("Alice")
    assert market.calls(uplink.Exchange)


def test_held_for_nobody_is_ignored(market: Exchanging) -> None:
    s = market.sessions["Alice"]
    market.hear(bus.Held("east", s.id, UUID(int=9), owning(money=99), 3, s.here.order))
    market.hear(bus.Held("east", UUID(int=8), UUID(int=9), owning(money=99), 3, s.here.order))
    assert s.head.is_idle and s.head.state.money == 10


def fails(market: Exchanging, code: str) -> Verdict:
    """Make sure that the exchange has ended, that nothing changed, and that both may go on."""
    assert market.end.code == code and not market.end.is_done
    assert not market.calls(uplink.Exchange)
    for name, s in market.sessions.items():
        assert s.id not in market.core.world.sessions or market.head(name).bags != {
            INVENTORY: list(GIVEN.items)
        }
        if s.phase is Phase.PLAYING:
            settle = market.orders(name, bus.Settle)[-1]
            assert settle.state in (None, s.head.newest) and settle.after is None
    return market.end


def test_nobody_holds_in_time(market: Exchanging) -> None:
    market.begin()
    market.hold("Alice")
    market.wait(exchanges.GATHER_S + 1)
    assert fails(market, "untouchable").text == exchanges.NO_ANSWER


def test_what_was_held_is_not_saved_in_time(market: Exchanging) -> None:
    market.begin()
    market.hold("Alice", owning(Item("bread", 9), Item("crown", 1, CROWN)))
    market.hold("Bob")
    market.wait(exchanges.GATHER_S + 1)
    fails(market, "untouchable")


def test_what_was_held_is_not_accepted(market: Exchanging) -> None:
    market.begin()
    market.hold("Bob")
    market.hold("Alice", owning(Item("bread", 9), Item("crown", 1, CROWN)))
    call = market.calls(uplink.Save)[-1]
    market.answer(call, uplink.Saved(call.request.op_id, refusal=uplink.Refusal("invalid_state", "No.")))
    fails(market, "untouchable")


def test_a_document_that_is_too_large_to_save(market: Exchanging) -> None:
    market.begin()
    market.hold("Alice", owning(*[Item("x" * 64, 1, UUID(int=n)) for n in range(700)]))
    assert fails(market, "untouchable").text == exchanges.TOO_LARGE


def test_a_document_that_would_become_too_large(market: Exchanging) -> None:
    quests = {f"{n:060}": "y" * 60 for n in range(518)}
    full = msgspec.structs.replace(owning(money=50, zone="c"), quests=quests)
    assert MAX_STATE_BYTES - 140 < len(encode_state(full)) < MAX_STATE_BYTES
    market.begin()
    market.hold("Alice")
    market.hold("Bob", full)
    market.save()
    assert fails(market, "bag_full").whose == market.sessions["Bob"].id


def test_what_is_not_there_any_more_is_not_given(market: Exchanging) -> None:
    market.begin()
    market.hold("Bob")
    market.hold("Alice", owning(Item("bread", 4), Item("crown", 1, CROWN)))
    market.save()
    end = fails(market, "not_there")
    assert end.whose == market.sessions["Alice"].id and not end.is_public


def test_rules_that_raise_on_one_document_end_that_exchange_alone(
    market: Exchanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at after every event: what were raised there once would be raised by every event after."""
    without_and_with = exchanges.without_and_with

    def broken(state: CharacterState, given: Goods, *rest: Any) -> CharacterState:
        if given == PAID:
            raise ZeroDivisionError("nobody has foreseen that")
        return without_and_with(state, given, *rest)

    monkeypatch.setattr(exchanges, "without_and_with", broken)
    market.begin()
    market.hold("Alice")
    market.hold("Bob")
    assert not market.end.is_done and market.end.code == "untouchable"
    assert not market.calls(uplink.Exchange) and market.logged("exchange_rules_raised")
    assert all(s.head.is_idle for s in market.sessions.values())
    assert [market.orders(name, bus.Settle)[0].state for name in market.sessions] == [None, None]


def test_the_master_goes_away_before_it_is_asked(market: Exchanging) -> None:
    market.begin()
    market.wait(6.0)
    market.answer(market.asked(uplink.Report), Unreachable("down"))
    fails(market, "master_away")


def test_one_logs_out_before_the_master_is_asked(market: Exchanging) -> None:
    market.begin()
    market.hold("Alice")
    market.tell("Bob", Logout())
    assert fails(market, "called_off").text == "Bob has left."
    s = market.sessions["Bob"]
    freeze = market.orders("Bob", bus.Freeze)[-1]
    market.hear(bus.Frozen("west", s.id, freeze.request, s.head.state, 3))
    assert s.phase is Phase.SAVING_OUT and s.head.waiting is None and s.head.outstanding is not None


def test_one_is_dropped_before_the_master_is_asked(market: Exchanging) -> None:
    market.begin()
    w, s = market.core.world, market.sessions["Bob"]
    w.renew_at = market.now
    market.do(Tick())
    market.answer(market.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(s.head.line, 1)]))
    assert market.end.code == "called_off"
    assert market.orders("Alice", bus.Settle)[-1].state == market.head("Alice")


def test_a_cluster_dies_before_the_master_is_asked(market: Exchanging) -> None:
    market.begin()
    market.hear(bus.ClusterAlive("west", 3, [], 0, 1.0))
    fails(market, "untouchable")
    assert market.sessions["Bob"].phase in (Phase.RECOVERING, Phase.READMITTING)


def test_a_daemon_that_stops_begins_no_commit(market: Exchanging) -> None:
    market.begin()
    market.do(Stopping())
    fails(market, "untouchable")
    assert exchanges.why_not(market.core.world, market.sessions["Alice"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_withheld": True}, "withheld"),
        ({"is_unsettled": True}, "untouchable"),
        ({"exchange": UUID(int=1)}, "untouchable"),
        ({"phase": Phase.CROSSING}, "untouchable"),
        ({"home": None}, "untouchable"),
    ],
)
def test_who_can_be_in_no_exchange(market: Exchanging, change: dict[str, Any], code: str) -> None:
    s = market.sessions["Alice"]
    for name, value in change.items():
        setattr(s, name, value)
    assert exchanges.why_not(market.core.world, s)[0] == code


# ---------------------------------------------------------------- what the master says


def test_the_master_is_asked_until_it_answers_with_the_same_content(market: Exchanging) -> None:
    first = market.ask_for()
    market.answer(first, Unreachable("down"))
    market.wait(2.0)
    again = market.calls(uplink.Exchange)[-1]
    assert again.id != first.id and again.request == first.request and not market.verdicts
    market.wait(13.0)  # an attempt of which nothing is heard at all
    assert len(market.calls(uplink.Exchange)) == 3
    market.accept(again)  # the answer comes after all: as good as any
    assert market.end.is_done
    market.accept()
    assert len(market.verdicts) == 1


@pytest.mark.parametrize("code", ["master_fault", "bad_proof"])
def test_a_fault_of_the_master_is_no_answer(market: Exchanging, code: str) -> None:
    call = market.ask_for()
    market.answer(call, uplink.Refusal(code, "Not now."))
    assert not market.verdicts and market.sessions["Alice"].refused_since is not None
    market.wait(1.0)
    market.accept()
    assert market.end.is_done and market.sessions["Alice"].refused_since is None


@pytest.mark.parametrize(
    "code", ["trade_off", "other_line", "foreign_valuable", "not_conserved", "bad_request"]
)
def test_what_the_master_refuses_has_not_happened(market: Exchanging, code: str) -> None:
    market.ask_for()
    market.refuse(code, market.sessions["Bob"].head.line)
    assert (market.end.code, market.end.is_done, market.end.is_masters) == (code, False, True)
    assert market.end.whose == market.sessions["Bob"].id
    assert market.head("Alice").money == 10 and market.head("Bob").money == 50
    for name in market.sessions:
        assert market.orders(name, bus.Settle)[-1].state is None
    assert len(market.calls(uplink.Save)) == (code not in exchanges.FINAL), "a fence, if the reason may pass"


@pytest.mark.parametrize("code", ["stale", "bad_chain", "op_id_reused"])
def test_whose_head_has_moved_is_dropped_and_the_other_goes_on(market: Exchanging, code: str) -> None:
    market.ask_for()
    market.refuse(code, market.sessions["Alice"].head.line)
    assert not market.end.is_done
    assert market.sessions["Alice"].writer is None and market.heard("Alice", Goodbye)
    assert market.sessions["Bob"].phase is Phase.PLAYING and market.sessions["Bob"].head.is_idle


def test_a_suspended_world_puts_both_out(market: Exchanging) -> None:
    market.ask_for()
    market.refuse("world_suspended")
    assert all("suspended" in market.heard(name, Goodbye)[0].reason for name in market.sessions)
    assert not market.end.is_done


@pytest.mark.parametrize("changes", [{"version": 9}, {"chain": bytes(32)}])
def test_a_head_that_is_not_what_was_thought_is_not_written_any_more(
    market: Exchanging, changes: dict[str, Any]
) -> None:
    call = market.ask_for()
    market.answer(call, accepted(call, **changes))
    assert market.end.is_done
    assert all(s.writer is None for s in market.sessions.values())


@pytest.mark.parametrize("results", [[], [uplink.Saved(UUID(int=1)), uplink.Saved(UUID(int=2))]])
def test_an_answer_about_other_writes_is_not_believed(
    market: Exchanging, results: list[uplink.Saved]
) -> None:
    market.answer(market.ask_for(), uplink.Exchanged(results))
    assert not market.end.is_done and market.logged("exchange_answer_not_understood")
    assert all(s.writer is None for s in market.sessions.values())


def test_both_fall_to_the_fork_and_are_told(market: Exchanging) -> None:
    call = market.ask_for()
    forked = uplink.Forked(UUID(int=77), 7, 2, bytes(32), "limited")
    market.answer(call, accepted(call, forked=forked))
    for name, s in market.sessions.items():
        assert s.line_kind == "fork" and market.orders(name, bus.LineIs)[-1].line == "fork"
        assert "Nothing is lost" in market.heard(name, Notice)[-1].text


# ---------------------------------------------------------------- a no that may not be the last word


def refused_late(market: Exchanging) -> tuple[Call, Call]:
    """One attempt of which nothing was heard; the next one is refused for a reason that may pass."""
    first = market.ask_for()
    market.answer(first, Unreachable("lost"))
    market.wait(1.0)
    second = market.calls(uplink.Exchange)[-1]
    market.forget()
    market.refuse("trade_off", call=second, is_fenced=False)
    return first, second


def test_an_attempt_that_may_still_be_on_its_way_is_fenced_off(market: Exchanging) -> None:
    refused_late(market)
    (fence,) = market.calls(uplink.Save)
    s = market.sessions["Alice"]
    assert (fence.request.line, fence.request.state) == (s.head.line, s.head.state)
    assert not market.verdicts and not market.orders("Alice", bus.Settle)
    market.save()
    assert market.end.code == "trade_off" and s.head.version == 5
    assert all(market.orders(name, bus.Settle)[-1].state is None for name in market.sessions)


def test_a_copy_of_the_only_attempt_is_fenced_off_too(market: Exchanging) -> None:
    """What stands between may send a request twice: the copy would count when trade is allowed again."""
    market.refuse("trade_off", call=market.ask_for(), is_fenced=False)
    assert len(market.calls(uplink.Save)) == 1 and not market.verdicts
    market.save()
    assert market.end.code == "trade_off"


def test_it_arrived_before_the_fence_so_it_is_done(market: Exchanging) -> None:
    first, _ = refused_late(market)
    (fence,) = market.calls(uplink.Save)
    stale = uplink.Saved(fence.request.op_id, refusal=uplink.Refusal("stale", "The head has moved."))
    market.answer(fence, stale)
    again = market.calls(uplink.Exchange)[-1]
    assert again.request == first.request and not market.verdicts
    market.accept(again)
    assert market.end.is_done and market.head("Alice").money == 30
    assert market.sessions["Alice"].head.is_idle and market.sessions["Alice"].head.after == first.request.id


def test_a_fence_whose_line_is_another_worlds_is_not_tried_for_ever(market: Exchanging) -> None:
    refused_late(market)
    for number in range(1, exchanges.FENCES + 1):
        fence = market.calls(uplink.Save)[-1]
        stale = uplink.Saved(fence.request.op_id, refusal=uplink.Refusal("stale", "The head has moved."))
        market.answer(fence, stale)
        if number < exchanges.FENCES:
            market.answer(market.calls(uplink.Exchange)[-1], Unreachable("lost"))
            market.wait(2.0)
            market.refuse("trade_off", is_fenced=False)
    assert market.sessions["Alice"].writer is None
    market.save()  # Bob's line is the fence now
    assert market.end.code == "trade_off" and market.sessions["Bob"].head.version == 5


def test_nobody_is_left_to_fence(market: Exchanging) -> None:
    refused_late(market)
    w = market.core.world
    w.renew_at = market.now
    market.do(Tick())
    lost = [uplink.LeaseRef(s.head.line, 1) for s in market.sessions.values()]
    market.answer(market.asked(uplink.Renew), uplink.Renewed(120.0, [], lost))
    assert not w.exchanges
    assert not market.end.is_known, "an attempt may have arrived (found by the simulation, seed 200031)"


def test_an_old_no_does_not_count(market: Exchanging) -> None:
    first = market.ask_for()
    market.wait(13.0)
    assert len(market.calls(uplink.Exchange)) == 2
    market.refuse("trade_off", call=first)
    assert not market.verdicts
    market.accept()
    assert market.end.is_done


# ---------------------------------------------------------------- what the master cannot answer


def unanswerable(market: Exchanging, seconds: float = exchanges.UNANSWERED_S + 10) -> int:
    """Have the newest attempt fail as HTTP 500, again and again. Returns: how many were answered so."""
    answered = set()
    end = market.now + seconds
    while market.now < end:
        call = market.calls(uplink.Exchange)[-1]
        if call.id not in answered:
            answered.add(call.id)
            market.answer(call, Unreachable("exchange: HTTP 500"))
            assert market.core.world.is_master_up, "a fault of this one request"
        market.wait(1.0)
    return len(answered)


def test_an_exchange_that_the_master_cannot_answer_is_given_up(market: Exchanging) -> None:
    """The fence sees to it that no attempt counts later; nobody is held any longer."""
    market.ask_for()
    assert unanswerable(market) > 10 and market.logged("exchange_given_up")
    (fence,) = market.calls(uplink.Save)
    assert fence.request.state == market.head("Alice") and not market.verdicts
    market.save()
    assert (market.end.code, market.end.text) == ("untouchable", exchanges.NO_ANSWER)
    assert [market.orders(name, bus.Settle)[-1].state for name in ("Alice", "Bob")] == [None, None]
    assert market.head("Alice").money == 10 and market.head("Bob").money == 50


def test_one_that_was_given_up_and_has_arrived_counts(market: Exchanging) -> None:
    market.ask_for()
    unanswerable(market)
    fence, attempts = market.calls(uplink.Save)[-1], len(market.calls(uplink.Exchange))
    market.answer(fence, uplink.Saved(fence.request.op_id, refusal=uplink.Refusal("stale", "It has moved.")))
    assert len(market.calls(uplink.Exchange)) == attempts + 1 and not market.verdicts
    market.accept()
    assert market.end.is_done and market.head("Alice").money == 30


def test_one_that_never_has_an_answer_at_all_holds_nobody_for_ever(market: Exchanging) -> None:
    """Not even if it arrived: then whoever comes back finds it in the next lease."""
    market.ask_for()
    for number in range(1, exchanges.FENCES + 1):
        unanswerable(market)
        fence = market.calls(uplink.Save)[-1]
        assert len(market.calls(uplink.Save)) == number
        stale = uplink.Saved(fence.request.op_id, refusal=uplink.Refusal("stale", "It has moved."))
        market.answer(fence, stale)
    assert market.heard("Alice", Goodbye) and market.sessions["Alice"].exchange is None


def test_while_the_master_is_away_it_is_asked_on(market: Exchanging) -> None:
    call = market.ask_for()
    for _ in range(30):
        market.answer(market.calls(uplink.Exchange)[-1], Unreachable("no route"))
        market.wait(6.0)
        market.answer(market.calls(uplink.Report)[-1], Unreachable("no route"))
    assert not market.core.world.is_master_up and not market.verdicts and not market.calls(uplink.Save)
    market.answer(market.calls(uplink.Exchange)[-1], accepted(call))
    assert market.end.is_done


def test_a_letter_without_goods_is_given_up_too(market: Exchanging) -> None:
    market.forget()
    w = market.core.world
    w.now, w.effects = market.now, []
    exchanges.begin(w, "mail", [], lambda _, verdict: market.verdicts.append(verdict))
    market.seen += w.effects
    market.do(Tick())
    unanswerable(market)
    assert (market.end.is_done, market.end.text) == (False, exchanges.UNKNOWN_OUTCOME)


# ---------------------------------------------------------------- deaths while the master is asked


def test_a_logout_waits_for_the_answer(market: Exchanging) -> None:
    call = market.ask_for()
    market.tell("Bob", Logout())
    s = market.sessions["Bob"]
    place = msgspec.structs.replace(s.head.state.places["demo"], position=(9.0, 9.0, 0.0))
    freeze = market.orders("Bob", bus.Freeze)[-1]
    last = msgspec.structs.replace(s.head.state, places={"demo": place})
    market.hear(bus.Frozen("west", s.id, freeze.request, last, s.serial + 1))
    assert s.phase is Phase.SAVING_OUT and not market.calls(uplink.Save) and not market.heard("Bob", Goodbye)
    market.accept(call)
    (save,) = market.calls(uplink.Save)
    assert save.request.state.money == 30 and save.request.state.places["demo"].position == (9.0, 9.0, 0.0)
    assert not market.orders("Bob", bus.Settle), "it would make the freeze an old order"
    market.save()
    market.answer(market.asked(uplink.Release), uplink.Released(True))
    assert market.heard("Bob", Goodbye)[-1].is_saved and market.end.is_done


def test_a_logout_after_the_answer_that_the_cluster_has_not_heard(market: Exchanging) -> None:
    market.ask_for()
    s, before = market.sessions["Bob"], market.head("Bob")
    market.accept()
    market.tell("Bob", Logout())
    freeze = market.orders("Bob", bus.Freeze)[-1]
    place = msgspec.structs.replace(before.places["demo"], position=(9.0, 9.0, 0.0))
    old = msgspec.structs.replace(before, places={"demo": place})
    market.hear(bus.Frozen("west", s.id, freeze.request, old, s.serial + 1))
    save = market.calls(uplink.Save)[-1].request
    assert save.state.money == 30 and save.state.places["demo"].position == (9.0, 9.0, 0.0)


def test_who_logs_out_while_the_master_is_away_is_kept_until_it_answers(market: Exchanging) -> None:
    call = market.ask_for()
    market.tell("Bob", Logout())
    s = market.sessions["Bob"]
    market.wait(4.0)
    assert s.phase is Phase.SAVING_OUT
    market.wait(11.0)
    assert s.phase is Phase.KEEPING and not market.heard("Bob", Goodbye)[-1].is_saved
    market.refuse("not_conserved", call=market.calls(uplink.Exchange)[-1])
    assert call.request == market.calls(uplink.Exchange)[-1].request
    market.save()
    assert market.asked(uplink.Release) and s.head.state.money == 50


def test_a_player_whose_cluster_died_waits_for_the_answer(market: Exchanging) -> None:
    market.ask_for()
    market.hear(bus.ClusterAlive("west", 3, [3001], 0, 1.0))
    s = market.sessions["Bob"]
    market.forget()
    for _ in range(130):
        market.now += 1.0
        market.hear(bus.ClusterAlive("east", 1, [1001], 0, 1.0), bus.ClusterAlive("west", 3, [3001], 0, 1.0))
        market.hear(bus.GatewayAlive("g", 1))
        market.do(Tick())
    assert s.phase is Phase.RECOVERING and not market.orders("Bob", bus.Admit)
    exchange = market.accept().id
    market.do(Tick())
    (admit,) = market.orders("Bob", bus.Admit)
    assert (admit.after, admit.state.money, admit.line) == (exchange, 30, "main")


def test_who_is_lost_meanwhile_learns_it_from_the_next_lease(market: Exchanging) -> None:
    """The other one's answer counts all the same, and both receipts are kept."""
    market.ask_for()
    w, s = market.core.world, market.sessions["Bob"]
    w.renew_at = market.now
    market.do(Tick())
    market.answer(market.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(s.head.line, 1)]))
    assert market.heard("Bob", Goodbye) and not market.verdicts
    market.accept()
    assert market.end.is_done and market.head("Alice").money == 30
    (stored,) = [e for e in market.seen if isinstance(e, StoreExchange)]
    assert len(stored.receipts) == 2


def test_the_daemon_is_not_quiet_before_the_answer(market: Exchanging) -> None:
    market.ask_for()
    assert not market.core.is_quiet
    market.accept()
    assert market.core.is_quiet


# ---------------------------------------------------------------- settle, again


def test_what_a_cluster_has_not_heard_is_said_again(market: Exchanging) -> None:
    market.ask_for()
    exchange = market.accept().id
    s = market.sessions["Alice"]
    market.now += 3.0
    market.forget()
    market.show("Alice", after=None, held=exchange)
    (settle,) = market.orders("Alice", bus.Settle)
    assert (settle.after, settle.state) == (exchange, s.head.newest) and s.is_unsettled
    market.forget()
    market.show("Alice")
    assert not market.orders("Alice", bus.Settle) and not s.is_unsettled


@pytest.mark.parametrize("phase", [Phase.FREEZING_OUT, Phase.SAVING_OUT])
def test_who_comes_back_after_an_exchange_has_ended_is_settled_at_once(
    market: Exchanging, phase: Phase
) -> None:
    """It ended while the character was leaving, so its cluster was not told: it holds the old document."""
    market.ask_for()
    s, before = market.sessions["Alice"], market.head("Alice")
    market.tell("Alice", Logout())
    freeze = market.orders("Alice", bus.Freeze)[-1]
    exchange = market.accept().id
    if phase is Phase.SAVING_OUT:
        market.hear(bus.Frozen("east", s.id, freeze.request, before, s.serial + 1))
    assert s.phase is phase and not market.orders("Alice", bus.Settle) and s.is_unsettled
    market.tell("Alice", Enter(s.chosen))
    (thaw,), (settle,) = market.orders("Alice", bus.Thaw), market.orders("Alice", bus.Settle)
    assert s.phase is Phase.PLAYING and settle.order > thaw.order > freeze.order
    assert (settle.after, settle.state) == (exchange, s.head.newest) and settle.state.money == 30
    assert exchanges.why_not(market.core.world, s), "its cluster has not heard it yet"
    market.hear(bus.Settled("east", s.id, s.here.order, exchange))
    assert not exchanges.why_not(market.core.world, s)


def test_a_cluster_that_was_silent_when_it_ended_is_told_when_it_is_back(market: Exchanging) -> None:
    market.ask_for()
    s = market.sessions["Bob"]
    for _ in range(6):
        market.now += 1.0
        market.hear(bus.ClusterAlive("east", 1, [1001], 0, 1.0), bus.GatewayAlive("g", 1))
        market.do(Tick())
    assert s.phase is Phase.RECOVERING
    exchange = market.accept().id
    assert not market.orders("Bob", bus.Settle)
    market.hear(bus.ClusterAlive("west", 2, [3001], 1, 1.0))
    market.show("Bob", after=None, held=exchange)
    settle = market.orders("Bob", bus.Settle)[-1]
    assert s.phase is Phase.PLAYING and s.is_unsettled
    assert (settle.after, settle.state) == (exchange, s.head.state)


def test_a_document_from_before_an_exchange_does_not_go_free(market: Exchanging) -> None:
    """Whoever has not shown that it knows the head's exchange is told the head's document, not to go on."""
    market.ask_for()
    first = market.accept().id
    for s in market.sessions.values():
        market.hear(bus.Settled(s.here.cluster, s.id, s.here.order, first))
    market.verdicts.clear()
    market.begin()
    market.hold("Bob")
    market.hold("Alice", after=None)
    market.wait(exchanges.GATHER_S + 1)
    assert market.end.code == "untouchable"
    (told,), (known,) = market.orders("Alice", bus.Settle), market.orders("Bob", bus.Settle)
    assert (told.after, told.state) == (first, market.head("Alice")) and known.state is None


def test_nobody_is_told_that_an_outdated_document_was_all(market: Exchanging) -> None:
    """Of no exchange that is under way or unsettled: nobody knows what else the cluster had."""
    s = market.sessions["Alice"]
    market.tell("Alice", Logout())
    freeze = market.orders("Alice", bus.Freeze)[-1]
    richer = msgspec.structs.replace(s.head.state, money=110)
    market.hear(bus.Frozen("east", s.id, freeze.request, richer, s.serial + 1, UUID(int=3)))
    market.save()
    market.answer(market.asked(uplink.Release), uplink.Released(True))
    assert not market.heard("Alice", Goodbye)[-1].is_saved
    assert market.calls(uplink.Save)[-1].request.state.money == 10


def test_a_hold_of_no_exchange_is_ended(market: Exchanging) -> None:
    market.now += 3.0
    market.forget()
    market.show("Alice", held=UUID(int=5))
    (settle,) = market.orders("Alice", bus.Settle)
    assert (settle.after, settle.state) == (None, None)


def test_a_hold_that_waits_is_left_alone(market: Exchanging) -> None:
    call = market.ask_for()
    market.now += 3.0
    market.show("Alice", held=call.request.id)
    market.show("Bob", after=UUID(int=4))
    assert not market.orders("Alice", bus.Settle) and not market.orders("Bob", bus.Settle)


def test_the_receipt_that_the_last_daemon_may_have_missed_is_kept(market: Exchanging) -> None:
    from_before = UUID(int=6)
    market.forget()
    market.come("Carol", owning(), exchange=from_before, receipt="jws", kind="trade")
    (store,) = [e for e in market.seen if type(e).__name__ == "StoreHead"]
    assert (store.version, store.receipt, store.kind) == (4, "jws", "trade")
    assert market.orders("Carol", bus.Admit)[-1].after == market.sessions["Carol"].head.after == from_before


def test_a_late_answer_to_nothing_is_ignored(market: Exchanging) -> None:
    call = market.ask_for()
    market.accept()
    version = market.sessions["Alice"].head.version
    market.do(Answered(call.id, accepted(call)))
    assert market.sessions["Alice"].head.version == version
    assert saved(Call(call.id, call.request.writes[0])).version == version


def test_the_next_exchange_may_begin_when_the_cluster_has_answered(market: Exchanging) -> None:
    market.ask_for()
    exchange = market.accept().id
    s = market.sessions["Alice"]
    told = bus.Settled("east", s.id, s.here.order, exchange)
    for other in (
        msgspec.structs.replace(told, cluster="north"),
        msgspec.structs.replace(told, stay=s.here.order + 1),
        msgspec.structs.replace(told, after=None),
        msgspec.structs.replace(told, session=UUID(int=1)),
    ):
        market.hear(other)
        assert exchanges.why_not(market.core.world, s), "another cluster, stay, exchange or player"
    market.hear(told)
    assert not exchanges.why_not(market.core.world, s)
