"""A player whose writes fall to the world's fork is told so, once, and plays on under the same names."""

from uuid import UUID

import msgspec
import pytest

from tests.unit.worlds.daemon.test_core import LINE, Core, report, saved
from worlds.daemon.core.effects import Log
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.to_client import Entered, Notice

FORK = UUID(int=77)


@pytest.fixture
def core() -> Core:
    return Core()


def save_once(core: Core, session, money: int, reason: str | None) -> uplink.Save:
    """Let the cluster report a state, and the master accept it; on the fork, if a reason is given."""
    state = CharacterState(money=money)
    core.hear(bus.Checkpoint("east", session.id, state, "item", money, session.home.order))
    call = core.asked(uplink.Save)
    forked = None if reason is None else uplink.Forked(FORK, 7, 2, bytes(32), reason)
    core.answer(call, msgspec.structs.replace(saved(call), forked=forked))
    return call.request


def test_a_fall_is_told_once_and_play_goes_on(core: Core) -> None:
    session = core.enter()
    first = save_once(core, session, 11, "limited")
    notice = core.told(Notice)
    assert notice.level == "warning" and "staff" in notice.text and "Nothing is lost" in notice.text
    assert session.line_kind == "fork"
    second = save_once(core, session, 12, "limited")
    assert core.all_told(Notice) == []
    assert (first.line, second.line, second.epoch, second.version) == (LINE, LINE, 1, first.version + 1)
    assert session.head.is_idle and session.head.version == first.version + 2


def test_a_fall_for_the_budget_has_its_own_words(core: Core) -> None:
    session = core.enter()
    save_once(core, session, 11, "budget")
    notice = core.told(Notice)
    assert "gained more here" in notice.text and "From now on" in notice.text
    assert (session.line_kind, session.why_fork) == ("fork", "budget")


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("tier", "run by its own people"),
        ("limited", "limited this world"),
        ("budget", "gained more here"),
        ("", "goes on with the path"),
    ],
)
def test_who_comes_in_to_a_fork_is_told_why(core: Core, why: str, words: str) -> None:
    session = core.enter(line_kind="fork", why_fork=why)
    told = core.all_told((Entered, Notice))
    assert [type(each) for each in told] == [Entered, Notice]
    assert told[0].line == "fork"
    assert words in told[1].text and "counts in this world only" in told[1].text
    assert session.why_fork == why


def test_who_comes_in_to_main_is_told_the_line_only(core: Core) -> None:
    core.enter()
    assert [each.line for each in core.all_told((Entered, Notice))] == ["main"]


def test_a_write_of_main_is_not_told(core: Core) -> None:
    session = core.enter()
    save_once(core, session, 11, None)
    assert core.all_told(Notice) == [] and session.line_kind == "main"


def test_the_operator_is_told_once_of_a_limit_and_once_of_its_end(core: Core) -> None:
    core.enter()
    events = []
    for is_limited in (False, True, True, False):
        report(core, is_limited=is_limited)
        events += [e.event for e in core.effects if isinstance(e, Log) and "limit" in e.event]
    assert events == ["world_limited", "world_limit_lifted"]


@pytest.mark.parametrize("code", ["invalid_state", "foreign_valuable"])
def test_a_document_that_the_master_refuses_is_dropped_and_the_head_stays_good(core: Core, code: str) -> None:
    """The player is told, and what is written next is written over the same head."""
    session = core.enter()
    core.hear(bus.Checkpoint("east", session.id, CharacterState(money=7), "item", 1, session.home.order))
    call = core.asked(uplink.Save)
    core.answer(call, uplink.Saved(call.request.op_id, refusal=uplink.Refusal(code, "no")))
    assert "did not accept" in core.told(Notice).text
    assert session.head.is_idle and session.head.version == call.request.version
    following = save_once(core, session, 8, None)
    assert (following.version, following.prev_chain) == (call.request.version, call.request.prev_chain)
    assert following.op_id != call.request.op_id
