"""After a restore of the master the daemon offers what its world holds, until all has its place."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.unit.worlds.daemon.test_core import Core
from worlds.daemon.core.effects import Call, LoadReceipts
from worlds.daemon.core.events import Answered, ReceiptsLoaded, Tick, Unreachable
from worlds.uplink import messages as uplink
from zonecluster.protocol.character import CharacterState

SINCE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LINE = UUID(int=5)
OFFER = uplink.OfferedVersion("receipt", "quest", CharacterState(money=7))


@pytest.fixture
def core() -> Core:
    return Core()


def told(core: Core, *, incarnation: int = 2, since: datetime | None = SINCE) -> None:
    """The master answers a report."""
    if core.core.world.report_call is None:
        core.wait(6.0)
    answer = uplink.Reported("official", False, [], incarnation=incarnation, collects_since=since)
    report = core.core.world.report_call
    assert report is not None
    core.do(Answered(report, answer))
    core.do(Tick())


def loads(core: Core) -> list[LoadReceipts]:
    return [effect for effect in core.effects if isinstance(effect, LoadReceipts)]


def offers(core: Core) -> list[Call]:
    found = [effect for effect in core.effects if isinstance(effect, Call)]
    return [call for call in found if isinstance(call.request, uplink.Reoffer)]


def page(core: Core, after: Any = None, end: Any = None, *, is_last: bool = True) -> None:
    core.do(ReceiptsLoaded(2, after, [OFFER], end, is_last))


def reoffered(waiting: int = 0, refused: int = 0) -> uplink.Reoffered:
    return uplink.Reoffered(2, 1, 0, waiting, refused)


def test_nothing_is_offered_to_a_master_in_service(core: Core) -> None:
    told(core, since=None)
    core.wait(20.0)
    assert loads(core) == [] and offers(core) == []


def test_page_after_page(core: Core) -> None:
    told(core)
    assert loads(core) == [LoadReceipts(2, SINCE, None)]
    page(core, end=(LINE, 9), is_last=False)
    (first,) = offers(core)
    assert first.request == uplink.Reoffer(2, [OFFER], is_last=False)
    core.answer(first, reoffered())
    core.do(Tick())
    assert loads(core) == [LoadReceipts(2, SINCE, (LINE, 9))]
    page(core, after=(LINE, 9))
    (last,) = offers(core)
    assert last.request.is_last
    core.answer(last, reoffered())
    core.wait(60.0)
    assert loads(core) == [], "all has its place"


def test_what_waits_for_another_world_is_offered_again(core: Core) -> None:
    told(core)
    page(core)
    core.answer(offers(core)[0], reoffered(waiting=1))
    core.wait(11.0)
    assert loads(core) == [LoadReceipts(2, SINCE, None)]


@pytest.mark.parametrize("answer", [Unreachable("down"), uplink.Refusal("stale", "no such restore")])
def test_a_page_without_an_answer_is_offered_again(core: Core, answer: object) -> None:
    told(core)
    page(core)
    core.answer(offers(core)[0], answer)
    core.wait(6.0)
    assert offers(core)[0].request == uplink.Reoffer(2, [OFFER], is_last=True)


def test_a_page_that_does_not_come_is_asked_for_again(core: Core) -> None:
    told(core)
    core.wait(31.0)
    assert loads(core) == [LoadReceipts(2, SINCE, None)]


def test_a_page_of_another_time_is_not_offered(core: Core) -> None:
    page(core)
    told(core)
    core.do(ReceiptsLoaded(1, None, [OFFER], None, is_last=True))
    assert offers(core) == []
    core.do(ReceiptsLoaded(2, (uuid4(), 3), [OFFER], None, is_last=True))
    assert offers(core) == []


def test_it_ends_when_the_master_is_in_service(core: Core) -> None:
    told(core)
    page(core)
    core.answer(offers(core)[0], reoffered(waiting=1))
    core.wait(6.0)
    told(core, since=None)
    core.wait(30.0)
    assert loads(core) == [] and core.core.world.reoffering is None


def test_a_second_restore_begins_again(core: Core) -> None:
    told(core)
    page(core)
    core.answer(offers(core)[0], reoffered())
    core.wait(6.0)
    told(core, incarnation=3)
    assert loads(core) == [LoadReceipts(3, SINCE, None)]
