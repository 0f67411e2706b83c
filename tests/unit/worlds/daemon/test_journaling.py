"""Rules 8 and 9, step by step: first the disk, then the master; what cannot be saved is not given."""

from uuid import UUID, uuid4

import pytest

from tests.unit.worlds.daemon.test_core import ALICE, HERO, LINE, Core, saved
from worlds.daemon.core.effects import Call, Journal, ProbeJournal, SendToCluster, SetAside, StoreReceipt
from worlds.daemon.core.events import (
    Answered,
    Journaled,
    JournalFailed,
    JournalLoaded,
    OpenSession,
    SessionsLoaded,
    Tick,
    Unfinished,
    Unreachable,
)
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState
from zonecluster.protocol.from_client import Enter
from zonecluster.protocol.to_client import Goodbye, Notice

REFUSAL = uplink.Refusal("bad_proof", "the key was revoked")


@pytest.fixture
def core() -> Core:
    return Core()


def of(core: Core, kind: type) -> list:
    return [effect for effect in core.effects if isinstance(effect, kind)]


def saves(core: Core) -> list[Call]:
    return [call for call in of(core, Call) if isinstance(call.request, uplink.Save)]


def orders(core: Core, kind: type) -> list[bus.BusMessage]:
    return [e.message for e in of(core, SendToCluster) if isinstance(e.message, kind)]


def report(core: Core, session: Session, money: int, serial: int, kind: str = "quest") -> None:
    """The cluster tells a durable change."""
    state = CharacterState(money=money)
    core.hear(bus.Checkpoint("east", session.id, state, kind, serial, session.here.order))


def reside(core: Core, session: Session, *, is_withheld: bool = False, is_dirty: bool = True) -> None:
    resident = bus.Resident(
        session.id, 1001, (1.0, 1.0, 0.0), 0.0, is_dirty, session.here.order, False, 7, is_withheld
    )
    core.hear(bus.Residents("east", 1, [resident]))


# ---------------------------------------------------------------- rule 8


def test_the_disk_comes_before_the_master_and_the_player(core: Core) -> None:
    session = core.enter()
    core.has_journal = False
    report(core, session, 11, serial=1)
    (journal,) = of(core, Journal)
    assert journal.write.character == HERO and journal.write.save.state.money == 11
    assert saves(core) == [] and orders(core, bus.Journaled) == []
    core.do(Journaled((journal.ticket,)))
    (call,) = saves(core)
    assert call.request == journal.write.save
    assert orders(core, bus.Journaled) == [bus.Journaled(session.id, 1, session.here.order)]
    core.do(Journaled((journal.ticket,)))
    assert saves(core) == [] and orders(core, bus.Journaled) == [], "once"


def test_a_waiting_state_is_journaled_as_the_write_that_it_will_be(core: Core) -> None:
    session = core.enter()
    report(core, session, 11, serial=1)
    (first,) = saves(core)
    core.has_journal = False
    report(core, session, 12, serial=2)
    report(core, session, 13, serial=3)
    (journal,) = of(core, Journal)
    assert saves(core) == []
    answer = saved(first)
    assert (journal.write.save.version, journal.write.save.prev_chain) == (answer.version, answer.chain)
    core.answer(first, answer)
    assert saves(core) == [], "not before it is on the disk"
    core.do(Journaled((journal.ticket,)))
    assert [call.request for call in saves(core)] == [journal.write.save]


def test_a_state_replaced_before_it_was_on_the_disk_is_not_sent(core: Core) -> None:
    session = core.enter()
    core.has_journal = False
    report(core, session, 11, serial=1)
    (old,) = of(core, Journal)
    report(core, session, 12, serial=2)
    (new,) = of(core, Journal)
    core.do(Journaled((old.ticket,)))
    assert saves(core) == []
    core.do(Journaled((new.ticket,)))
    assert [call.request.state.money for call in saves(core)] == [12]


def test_news_of_an_entity_that_is_gone_are_not_told(core: Core) -> None:
    session = core.enter()
    core.has_journal = False
    report(core, session, 11, serial=1)
    (journal,) = of(core, Journal)
    session.home = None
    core.do(Journaled((journal.ticket,)))
    assert orders(core, bus.Journaled) == []


# ---------------------------------------------------------------- replay


def row(session: UUID) -> OpenSession:
    return OpenSession(
        session, ALICE, uuid4(), HERO, "Rowan", "free", LINE, 1, "a", "east", b"d" * 32, stay=1
    )


def unfinished(version: int = 4, money: int = 11) -> Unfinished:
    save = uplink.Save(LINE, 1, version, GENESIS_CHAIN, uuid4(), "quest", CharacterState(money=money))
    return Unfinished(HERO, save)


def restarted(*writes: Unfinished) -> tuple[Core, Session]:
    """Return a daemon that has just read its journal and rows."""
    core, session = Core(), uuid4()
    core.core = type(core.core)(core.core.world.catalog, core.core.world.started_at, 1 << 40)
    core.do(JournalLoaded(list(writes)), SessionsLoaded([row(session)]), Tick())
    return core, core.core.world.sessions[session]


def test_a_restarted_daemon_asks_for_the_old_write_before_the_new_lease() -> None:
    write = unfinished()
    core, session = restarted(write)
    (call,) = saves(core)
    assert call.request == write.save, "the same op_id, epoch and chain"
    assert not any(isinstance(each.request, uplink.Acquire) for each in of(core, Call))
    core.answer(call, saved(call))
    (receipt,) = of(core, StoreReceipt)
    assert (receipt.op_id, receipt.version) == (write.save.op_id, 5)
    core.do(Tick())
    assert core.asked(uplink.Acquire).request.character == HERO


def test_writes_of_a_line_are_asked_for_in_their_order() -> None:
    first, second = unfinished(4), unfinished(5)
    core, _ = restarted(first, second)
    (call,) = saves(core)
    assert call.request == first.save
    core.answer(call, saved(call))
    core.do(Tick())
    assert [each.request for each in saves(core)] == [second.save]


@pytest.mark.parametrize("answer", [Unreachable("down"), REFUSAL, uplink.Refusal("master_fault", "busy")])
def test_an_unanswered_write_is_asked_for_again(answer: object) -> None:
    write = unfinished()
    core, session = restarted(write)
    core.answer(saves(core)[0], answer)
    core.wait(10.0)
    assert {call.request.op_id for call in saves(core)} == {write.save.op_id}
    assert session.phase is Phase.RESTORING and not any(of(core, SetAside))


@pytest.mark.parametrize(
    "code",
    ["stale", "bad_chain", "op_id_reused", "invalid_state", "foreign_valuable", "unknown_character"],
)
def test_what_the_master_will_never_take_is_set_aside(code: str) -> None:
    write = unfinished()
    core, _ = restarted(write)
    (call,) = saves(core)
    core.answer(call, uplink.Saved(write.save.op_id, refusal=uplink.Refusal(code, "no")))
    (aside,) = of(core, SetAside)
    assert aside.write == write and aside.reason == f"{code}: no"
    core.do(Tick())
    assert core.asked(uplink.Acquire), "the player goes on with what the master has"


def test_another_chain_is_set_aside() -> None:
    write = unfinished()
    core, _ = restarted(write)
    (call,) = saves(core)
    core.answer(call, uplink.Saved(write.save.op_id, 5, bytes(32), "receipt"))
    assert len(of(core, SetAside)) == 1 and of(core, StoreReceipt) == []


def test_an_answer_to_another_write_counts_for_nothing() -> None:
    core, _ = restarted(unfinished())
    (call,) = saves(core)
    core.answer(call, uplink.Saved(uuid4(), 5, bytes(32), "receipt"))
    assert of(core, StoreReceipt) == [] and of(core, SetAside) == []


def test_a_suspended_world_keeps_its_writes_and_tells_its_players() -> None:
    write = unfinished()
    core, session = restarted(write)
    (call,) = saves(core)
    core.answer(call, uplink.Saved(write.save.op_id, refusal=uplink.Refusal("world_suspended", "by staff")))
    assert session.id not in core.core.world.sessions
    assert of(core, SetAside) == []
    core.wait(10.0)
    assert {call.request.op_id for call in saves(core)} == {write.save.op_id}


def test_nobody_enters_with_a_character_whose_write_is_not_answered() -> None:
    core = Core()
    core.do(JournalLoaded([unfinished()]), Tick())
    (call,) = saves(core)
    core.log_in()
    core.say(Enter(HERO))
    assert not any(isinstance(each.request, uplink.Acquire) for each in of(core, Call))
    core.answer(call, saved(call))
    core.do(Tick())
    assert core.asked(uplink.Acquire).request.character == HERO


def test_what_a_lost_session_leaves_behind_is_asked_for_without_it(core: Core) -> None:
    """The lease was found lost by a renewal, while a write was under way: perhaps the master has taken it."""
    session = core.enter()
    report(core, session, 11, serial=1)
    (call,) = saves(core)
    core.wait(31.0)
    core.answer(core.asked(uplink.Renew), uplink.Renewed(120.0, [], [uplink.LeaseRef(LINE, 1)]))
    core.wait(1.0)
    again = saves(core)[-1]
    assert again.request == call.request
    core.answer(again, saved(again))
    assert [receipt.op_id for receipt in of(core, StoreReceipt)] == [call.request.op_id]


# ---------------------------------------------------------------- rule 9


def refuse_for(core: Core, session: Session, seconds: float, answer: object = REFUSAL) -> None:
    """Let the master answer every write of a time in the same way; keep what is new in it."""
    end, effects = core.now + seconds, []
    while core.now < end and session.id in core.core.world.sessions:
        for call in saves(core):
            core.do(Answered(call.id, answer))
            effects += core.effects
        reside(core, session, is_withheld=session.is_withheld)
        core.wait(0.5)
        effects += core.effects
    core.effects = effects


def withheld(core: Core) -> list[bool]:
    """Return what the clusters were told of withholding."""
    return [each.is_on for each in orders(core, bus.Withhold)]


def test_after_five_seconds_of_refusals_nothing_is_given(core: Core) -> None:
    session = core.enter()
    report(core, session, 11, serial=1)
    refuse_for(core, session, 4.5)
    assert orders(core, bus.Withhold) == []
    refuse_for(core, session, 10.0)
    assert withheld(core)[0] is True
    assert session.phase is Phase.PLAYING and "cannot be saved" in core.told(Notice).text


def test_given_again_when_the_master_accepts(core: Core) -> None:
    session = core.enter()
    report(core, session, 11, serial=1)
    refuse_for(core, session, 20.0)
    assert session.is_withheld
    core.wait(13.0)  # an attempt that gets no answer is given up
    call = saves(core)[-1]
    core.answer(call, saved(call))
    assert withheld(core) == [False]


def test_two_minutes_of_refusals_put_the_player_out(core: Core) -> None:
    session = core.enter()
    report(core, session, 11, serial=1)
    refuse_for(core, session, 119.0)
    assert session.phase is Phase.PLAYING
    core.wait(6.0)
    refuse_for(core, session, 6.0)
    assert session.leave is not None and session.leave.reason == "save refused"
    core.wait(20.0)
    goodbye = core.told(Goodbye)
    assert "could not be saved" in goodbye.reason and not goodbye.is_saved


def test_a_master_that_does_not_answer_is_no_refusal(core: Core) -> None:
    """Half an hour, and what is told to the player meanwhile is on the disk."""
    session = core.enter()
    report(core, session, 11, serial=1)
    refuse_for(core, session, 1800.0, Unreachable("down"))
    assert session.phase is Phase.PLAYING and not session.is_withheld
    assert orders(core, bus.Withhold) == [] and core.all_told(Goodbye) == []


def test_a_lost_withhold_is_said_again(core: Core) -> None:
    session = core.enter()
    core.wait(3.0)
    session.is_withheld = True
    reside(core, session, is_withheld=False)
    assert withheld(core) == [True]
    reside(core, session, is_withheld=True)
    assert orders(core, bus.Withhold) == []


def test_a_broken_journal(core: Core) -> None:
    """Writes go to the master without it, nothing is given, and all comes right by itself."""
    session = core.enter()
    core.has_journal = False
    report(core, session, 11, serial=1)
    (journal,) = of(core, Journal)
    core.do(JournalFailed((journal.ticket,), "no space left on device"))
    assert len(saves(core)) == 1 and orders(core, bus.Journaled) == []
    core.wait(6.0)
    assert withheld(core) == [True]
    assert len(of(core, ProbeJournal)) == 3
    core.do(Journaled(()), Tick())
    assert [each.write.save.op_id for each in of(core, Journal)] == [journal.write.save.op_id], (
        "now it goes in"
    )
    assert withheld(core) == [False]


def test_a_journal_that_stays_broken_puts_players_out(core: Core) -> None:
    session = core.enter()
    core.has_journal = False
    core.do(JournalFailed((), "the disk is full"))
    core.wait(119.0)
    assert session.phase is Phase.PLAYING
    core.wait(3.0)
    assert session.leave is not None and session.leave.reason == "save refused"


def test_nobody_is_put_out_by_news_from_before_a_pause(core: Core) -> None:
    """While the process was stopped nothing was tried: it may be well again."""
    session = core.enter()
    report(core, session, 11, serial=1)
    refuse_for(core, session, 20.0, uplink.Refusal("bad_proof", "the key was revoked"))
    assert session.is_withheld
    core.now += 130.0
    core.do(Tick())
    assert session.phase is Phase.PLAYING and session.leave is None
    refuse_for(core, session, 119.0, uplink.Refusal("bad_proof", "the key was revoked"))
    assert session.leave is None
    refuse_for(core, session, 3.0, uplink.Refusal("bad_proof", "the key was revoked"))
    assert session.leave is not None and session.leave.reason == "save refused"
