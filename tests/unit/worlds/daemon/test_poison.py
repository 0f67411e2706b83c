"""Documents on which the rules have raised: reports are kept, players put out and not let in as they were."""

from typing import Any
from uuid import uuid4

import pytest

from tests.unit.worlds.daemon.test_core import CHARACTERS, HERO, LINE, Core, lease, saved
from worlds.daemon.core.effects import EndQuarantine, RecordSession, SendToCluster, StorePoison
from worlds.daemon.core.events import CatalogLoaded, OpenSession, PoisonStored, Recorded, SessionsLoaded
from worlds.daemon.core.poison import MAX_KNOWN, digest_of
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place, encode_state
from zonecluster.protocol.from_client import Enter, Hello, Logout
from zonecluster.protocol.to_client import Entered, Goodbye, Refused

SAVED = CharacterState(money=10)  # what `lease` brings
UNSAVED = CharacterState(money=11)


@pytest.fixture
def core() -> Core:
    return Core()


def poisoned(of: Session, state: CharacterState = UNSAVED, **changes: Any) -> bus.Poisoned:
    stay = of.home or of.target
    fields = {
        "cluster": "east", "incarnation": 1, "session": of.id, "stay": stay.order if stay else 1,
        "where": "command:split", "error": "Boom", "document": encode_state(state), "character": HERO,
        "name": "Rowan",
    }  # fmt: skip
    return bus.Poisoned(**{**fields, **changes})


def reports(core: Core) -> list[StorePoison]:
    return [effect for effect in core.effects if isinstance(effect, StorePoison)]


def confirmed(core: Core) -> list[bus.ReportStored]:
    return [
        e.message
        for e in core.effects
        if isinstance(e, SendToCluster) and type(e.message) is bus.ReportStored
    ]


def ask_to_enter(core: Core, link: int, state: CharacterState = SAVED) -> None:
    """Log in by a new link and choose the character; the master grants the lease."""
    core.log_in(link, f"another ticket for link {link}")
    core.say(Enter(HERO), link)
    old = lease()
    core.answer(
        core.asked(uplink.Acquire),
        uplink.Lease(HERO, "Rowan", LINE, "main", 2, 120.0, old.version + 1, old.chain, state),
    )


def put_out(core: Core, session: Session, state: CharacterState = UNSAVED) -> StorePoison:
    """Have a player put out to the end; returns the report that was to be kept."""
    core.hear(poisoned(session, state))
    [report] = reports(core)
    core.answer(core.asked(uplink.Save), saved(core.asked(uplink.Save)))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    core.do(PoisonStored(session.id, report.report.stay))
    return report


def test_the_player_is_put_out_with_a_plain_message_and_what_was_known_before_is_saved(core: Core) -> None:
    session = core.enter()
    core.hear(poisoned(session))
    [report] = reports(core)
    assert report.report.document == encode_state(UNSAVED) and report.report.where == "command:split"
    assert (report.line, report.version, report.digest) == (LINE, 4, digest_of(SAVED))
    assert core.asked(uplink.Save).request.state.money == 10, "what raised is not saved: it is in the report"
    core.answer(core.asked(uplink.Save), saved(core.asked(uplink.Save)))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    goodbye = core.told(Goodbye)
    assert "operator has a report" in goodbye.reason and not goodbye.is_saved
    assert session.phase is Phase.ENDED and core.core.players == 0


def test_a_player_who_had_nothing_unsaved_is_told_so(core: Core) -> None:
    session = core.enter()
    place = Place("a", (1.0, 2.0, 0.0), 3.0)
    core.hear(poisoned(session, CharacterState(money=10, places={"demo": place})))
    core.answer(core.asked(uplink.Save), saved(core.asked(uplink.Save)))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Goodbye).is_saved


@pytest.mark.parametrize("document", [b"", b"{", b'{"money": -1}', b"\xff" * 100])
def test_a_document_that_nobody_can_read_is_kept_all_the_same(core: Core, document: bytes) -> None:
    session = core.enter()
    core.hear(poisoned(session, document=document))
    assert reports(core)[0].report.document == document and session.has_gap
    assert session.phase is Phase.SAVING_OUT


def test_a_report_is_confirmed_when_it_is_durable_and_again_when_it_is_repeated(core: Core) -> None:
    session = core.enter()
    message = poisoned(session)
    core.hear(message, message)
    assert len(reports(core)) == 1 and not confirmed(core)
    core.do(PoisonStored(session.id, message.stay))
    assert confirmed(core) == [bus.ReportStored(session.id, message.stay)]
    core.hear(message)
    assert confirmed(core) == [bus.ReportStored(session.id, message.stay)] and not reports(core)
    core.do(PoisonStored(uuid4(), 1))
    assert not confirmed(core)


def test_a_report_about_a_session_that_nobody_knows_is_kept(core: Core) -> None:
    session = core.enter()
    core.hear(poisoned(session, session=uuid4()))
    [report] = reports(core)
    assert (report.digest, report.line, report.version) == (b"", None, 0)
    assert session.phase is Phase.PLAYING


def test_a_report_that_names_another_character_of_the_session_puts_nobody_out(core: Core) -> None:
    session = core.enter()
    core.hear(poisoned(session, character=uuid4()))
    assert len(reports(core)) == 1 and session.phase is Phase.PLAYING


def test_a_cluster_of_before_is_not_believed(core: Core) -> None:
    session = core.enter()
    core.hear(bus.ClusterAlive("east", 9, [], 0, 1.0))
    core.hear(poisoned(session, incarnation=1), poisoned(session, cluster="nowhere"))
    assert not reports(core)


def test_not_let_in_as_it_was_then_by_the_operator(core: Core) -> None:
    put_out(core, core.enter())
    ask_to_enter(core, 8)
    assert not [e for e in core.effects if isinstance(e, RecordSession)]
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    refused = core.told(Refused, 8)
    assert refused.code == "quarantined" and "operator" in refused.advice
    core.do(CatalogLoaded(Core().core.world.catalog))  # the operator has let it in again
    core.say(Enter(HERO), 8)
    core.answer(core.asked(uplink.Acquire), lease())
    assert [e for e in core.effects if isinstance(e, RecordSession)]


def test_a_place_is_no_change_but_anything_else_is(core: Core) -> None:
    put_out(core, core.enter())
    ask_to_enter(core, 8, CharacterState(money=10, places={"elsewhere": Place("b", (0.0, 0.0, 0.0))}))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Refused, 8).code == "quarantined"
    ask_to_enter(core, 9, CharacterState(money=9))
    assert [e for e in core.effects if isinstance(e, EndQuarantine)] == [EndQuarantine(HERO)]
    assert [e for e in core.effects if isinstance(e, RecordSession)]
    assert HERO not in core.core.world.catalog.quarantined


def test_barred_before_the_row_is_durable_and_after_a_restart_of_the_daemon(core: Core) -> None:
    session = core.enter()
    core.hear(poisoned(session))
    core.answer(core.asked(uplink.Save), saved(core.asked(uplink.Save)))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    ask_to_enter(core, 8)
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Refused, 8).code == "quarantined"
    successor = Core()
    successor.core.world.catalog.quarantined[HERO] = digest_of(SAVED)
    ask_to_enter(successor, 8)
    successor.answer(successor.asked(uplink.Release), uplink.Released(True))
    assert successor.told(Refused, 8).code == "quarantined"


def test_a_daemon_that_died_meanwhile_lets_nobody_back_in(core: Core) -> None:
    """The report was stored and the row not closed: the successor finds the session, and nobody in a zone."""
    core.core.world.catalog.quarantined[HERO] = digest_of(SAVED)
    row = OpenSession(
        uuid4(), uuid4(), uuid4(), HERO, "Rowan", "free", LINE, 1, "a", "east", bytes(32), stay=3
    )
    core.do(SessionsLoaded([row]))
    core.answer(core.asked(uplink.Acquire), lease())
    core.hear(bus.Residents("east", 1, []), bus.Residents("west", 2, []))
    core.wait(8.0)
    assert not [e for e in core.effects if isinstance(e, SendToCluster) and type(e.message) is bus.Admit]
    assert core.core.world.sessions[row.id].phase is Phase.SAVING_OUT


def test_who_is_being_put_out_does_not_come_back_by_the_old_link_or_a_new_log_in(core: Core) -> None:
    session = core.enter()
    core.hear(poisoned(session))
    save = core.asked(uplink.Save)
    core.say(Enter(HERO))
    core.log_in(8, "another ticket")
    core.say(Enter(HERO), 8)
    core.wait(2.0)
    assert session.phase is Phase.SAVING_OUT and session.leave is not None
    core.answer(save, saved(save))
    assert session.phase is Phase.RELEASING


def test_raised_at_the_door_the_player_may_choose_another_character(core: Core) -> None:
    core.log_in()
    core.say(Enter(HERO))
    core.answer(core.asked(uplink.Acquire), lease())
    [record] = [e for e in core.effects if isinstance(e, RecordSession)]
    session = core.core.world.sessions[record.row.id]
    core.do(Recorded(session.id))
    core.hear(bus.InstanceOpened("east", 1, 1001))
    assert session.phase is Phase.ADMITTING
    core.hear(poisoned(session, SAVED, where="admit"))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert core.told(Refused).code == "quarantined" and session.phase is Phase.WELCOMED
    assert not core.all_told(Entered)
    assert {one.id for one in session.characters} == {one.id for one in CHARACTERS}


@pytest.mark.parametrize("where", ["freeze", "handoff"])
def test_raised_while_it_leaves_or_crosses(core: Core, where: str) -> None:
    session = core.enter()
    if where == "freeze":
        core.say(Logout())
        assert session.phase is Phase.FREEZING_OUT
    else:
        core.hear(bus.PortalEntered("east", session.id, "to-b", session.here.order))
        core.wait(1.0)
    core.hear(poisoned(session))
    assert session.phase is Phase.SAVING_OUT and reports(core)
    assert core.asked(uplink.Save).request.state.money == 10


def test_a_late_report_of_an_earlier_stay_loses_nothing_of_the_new_one(core: Core) -> None:
    """The player was missed, stands elsewhere and plays on: what it has there is frozen and saved first."""
    session = core.enter()
    core.hear(poisoned(session, stay=session.here.order - 1))
    assert session.phase is Phase.FREEZING_OUT and session.leave is not None
    freeze = core.ordered(bus.Freeze)
    newer = CharacterState(money=12)
    core.hear(bus.Frozen("east", session.id, freeze.request, newer, 1))
    assert core.asked(uplink.Save).request.state.money == 12


def test_what_is_remembered_is_bounded(core: Core) -> None:
    session = core.enter()
    for number in range(MAX_KNOWN + 5):
        core.hear(poisoned(session, session=uuid4(), stay=number))
    assert len(core.core.world.poison_reports) == MAX_KNOWN


def test_hello_is_still_answered(core: Core) -> None:
    put_out(core, core.enter())
    core.say(Hello(1, "test", None, "a resume token nobody gave"), 8)
    assert core.told(Refused, 8).code == "bad_resume_token"
