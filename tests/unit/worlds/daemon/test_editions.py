"""An edition changes under whoever plays, waits or chooses; limits outlast a restart of the daemon."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from msgspec.structs import replace as replace_struct

from accounts.rules import Edition
from characters.rules import limits_message
from tests.unit.worlds.daemon.crowd import Crowd, Person
from tests.unit.worlds.daemon.simulation import WORLD, catalog
from tests.unit.worlds.daemon.test_core import ALICE, HERO, LINE, Core, lease
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Answered, OpenSession, Recorded, SessionsLoaded
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place
from zonecluster.protocol.from_client import Enter
from zonecluster.protocol.to_client import EditionIs, Notice, Refused

FREE, PREMIUM = limits_message(Edition.FREE), limits_message(Edition.PREMIUM)


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("Alice", 1), Person("Bob", 2), Person("Mallory", 3)


@pytest.fixture
def crowd(people) -> Crowd:
    """A world with one place, which Alice has."""
    crowd = Crowd(max_players=1)
    crowd.play(people[0])
    return crowd


def news(person: Person, edition: str, locked: list | None = None) -> uplink.AccountNews:
    return uplink.AccountNews(person.account, edition, limits_message(Edition(edition)), False, locked)


def tell(crowd: Crowd, *accounts: uplink.AccountNews) -> uplink.Report | None:
    """Answer the report that is out, or the next one. Returns: it, if it is among the effects at hand."""
    if crowd.world.report_call is None:
        crowd.wait(6.0)
    answer = uplink.Reported(tier="official", is_suspended=False, accounts=list(accounts))
    request = next(
        (e.request for e in crowd.effects if isinstance(e, Call) and e.id == crowd.world.report_call), None
    )
    crowd.do(Answered(crowd.world.report_call, answer))
    return request


def test_an_upgrade_reaches_the_zone_and_the_client(crowd: Crowd, people) -> None:
    alice = people[0]
    tell(crowd, news(alice, "premium"))
    s = crowd.session(alice)
    assert (s.edition, s.limits) == ("premium", PREMIUM)
    assert crowd.ordered(bus.LimitsAre) == bus.LimitsAre(s.id, None)
    told = crowd.told(EditionIs, alice.link)
    assert (told.edition, told.level_cap, told.may_enter_premium_zones) == ("premium", None, True)
    assert "Premium" in crowd.told(Notice, alice.link).text


def test_the_same_again_is_no_news(crowd: Crowd, people) -> None:
    tell(crowd, news(people[0], "free"))
    assert crowd.all_told(EditionIs, people[0].link) == []


def test_limits_that_change_within_an_edition_count_too(crowd: Crowd, people) -> None:
    alice = people[0]
    other = uplink.AccountNews(alice.account, "free", uplink.Limits(20), False)
    tell(crowd, other)
    assert crowd.session(alice).limits.level_cap == 20
    assert crowd.told(EditionIs, alice.link).level_cap == 20
    assert crowd.all_told(Notice, alice.link) == [], "the edition is the same: nothing to read"


def test_a_cluster_that_has_not_heard_is_told_again(crowd: Crowd, people) -> None:
    s = crowd.session(people[0])
    crowd.wait(3.0)
    resident = bus.Resident(s.id, 1001, (1.0, 2.0, 0.0), 0.0, False, s.here.order, link=people[0].link)
    crowd.hear(bus.Residents("east", 1, [resident]))
    assert crowd.ordered(bus.LimitsAre).level_cap == 15


def test_who_upgrades_in_the_queue_moves_up_and_keeps_the_arrival(crowd: Crowd, people) -> None:
    _, bob, mallory = people
    crowd.ask_in(bob)
    crowd.ask_in(mallory)
    crowd.wait(6.0)
    assert crowd.places(bob, mallory) == [(1, 0), (2, 1)]
    report = tell(crowd, news(mallory, "premium", []))
    assert set(report.waiting) == {bob.account, mallory.account}
    crowd.wait(6.0)
    assert crowd.places(mallory, bob) == [(1, 0), (2, 1)]
    tell(crowd, news(mallory, "free", []))
    crowd.wait(6.0)
    assert crowd.places(bob, mallory) == [(1, 0), (2, 1)], "refunded: behind those who came before"


def test_who_was_put_out_by_a_lost_link_keeps_that_place(crowd: Crowd, people) -> None:
    _, bob, _ = people
    crowd.ask_in(bob)
    s = crowd.session(bob)
    s.rank = 0
    tell(crowd, news(bob, "premium", []))
    assert s.rank == 0


def test_more_than_a_batch_are_asked_about_in_turn(crowd: Crowd) -> None:
    many = [Person(f"P{number}", 100 + number) for number in range(6)]
    for person in many:
        crowd.hello(person)
    before = uplink.MAX_BATCH
    try:
        uplink.MAX_BATCH = 4
        first, second = set(tell(crowd).waiting), set(tell(crowd).waiting)
    finally:
        uplink.MAX_BATCH = before
    assert len(first) == len(second) == 4
    assert first | second == {person.account for person in many}


def test_a_locked_character_opens_while_its_player_chooses(crowd: Crowd, people) -> None:
    bob = people[1]
    crowd.hello(bob)
    tell(crowd, news(bob, "free", [bob.hero]))
    assert crowd.told(EditionIs, bob.link).locked == [bob.hero]
    crowd.say(Enter(bob.hero), bob.link)
    assert crowd.told(Refused, bob.link).code == "character_locked"
    tell(crowd, news(bob, "premium", []))
    assert crowd.told(EditionIs, bob.link).locked == []
    crowd.say(Enter(bob.hero), bob.link)
    assert crowd.phase(bob) is Phase.WAITING


# ---------------------------------------------------------------- premium zones


def core_with_premium(*slugs: str) -> Core:
    """A world in which these zones ask for Premium."""
    core = Core()
    zones = {
        slug: replace(zone, is_premium=slug in slugs) for slug, zone in core.core.world.catalog.zones.items()
    }
    core.core.world.catalog = replace(core.core.world.catalog, zones=zones)
    return core


def test_a_portal_into_a_premium_zone_opens_by_an_upgrade_in_play() -> None:
    core = core_with_premium("b")
    s = core.enter()
    core.hear(bus.PortalEntered("east", s.id, "to-b", s.here.order))
    assert s.phase is Phase.PLAYING
    assert core.told(Notice).text.startswith("B is for Premium")
    core.wait(6.0)
    account = uplink.AccountNews(s.account, "premium", PREMIUM, False)
    core.answer(core.asked(uplink.Report), uplink.Reported("official", False, [account]))
    core.hear(bus.PortalEntered("east", s.id, "to-b", s.here.order))
    assert s.phase is Phase.FREEZING or s.phase is Phase.CROSSING


def test_who_may_not_begin_in_a_premium_zone_begins_at_the_entry() -> None:
    core = core_with_premium("b")
    there = Place(zone="b", position=(1.0, 2.0, 0.0))
    s = core.enter(state=CharacterState(places={WORLD: there}))
    assert (s.phase, s.place.zone) == (Phase.PLAYING, "a")


def test_premium_begins_where_it_was() -> None:
    core = core_with_premium("a", "c")
    core.log_in()
    s = next(iter(core.core.world.sessions.values()))
    s.limits = PREMIUM
    core.say(Enter(HERO))
    core.answer(core.asked(uplink.Acquire), lease())
    core.do(Recorded(s.id))
    assert s.place.zone == "a"


def test_a_world_of_premium_zones_alone_says_so() -> None:
    core = core_with_premium("a", "b", "c", "d")
    core.log_in()
    core.say(Enter(HERO))
    core.answer(core.asked(uplink.Acquire), lease())
    core.do(Recorded(next(iter(core.core.world.sessions))))
    core.answer(core.asked(uplink.Release), uplink.Released(True))
    assert "for Premium" in core.told(Refused).reason


# ---------------------------------------------------------------- a restarted daemon


def restored(**about) -> tuple[Core, Session]:
    """A daemon that was restarted, with somebody in play who has done nothing in this stay."""
    core = Core()
    row = OpenSession(
        uuid4(), ALICE, uuid4(), HERO, "Rowan", "premium", LINE, 1, "a", "east", b"d" * 32, 50, **about
    )
    core.core = DaemonCore(catalog(), datetime(2026, 11, 23, tzinfo=UTC), 100)
    core.do(SessionsLoaded([row]))
    acquire = core.asked(uplink.Acquire)
    core.hear(bus.ClusterAlive("east", 1, [1001], 1, 1.0), bus.ClusterAlive("west", 2, [], 0, 1.0))
    core.answer(acquire, replace_struct(lease(), receipt="r", kind="periodic"))
    return core, core.core.world.sessions[row.id]


def seen(core: Core, s: Session, **about) -> None:
    """The cluster reports the player, until the daemon goes on with it."""
    resident = bus.Resident(s.id, 1001, (1.0, 2.0, 0.0), 0.0, False, 50, **about)
    for _ in range(4):
        core.hear(bus.Residents("east", 1, [resident]), bus.Residents("west", 2, []))
        core.wait(1.0)
    core.hear(bus.Residents("east", 1, [resident]))


def test_a_restarted_daemon_knows_the_limits() -> None:
    core, s = restored(limits=uplink.Limits(15))
    seen(core, s, level_cap=None)
    assert (s.phase, s.limits.level_cap) == (Phase.PLAYING, 15)


@pytest.mark.parametrize(("has_gap", "is_saved"), [(False, True), (True, False)])
def test_who_did_nothing_before_a_restart_is_told_whether_all_is_saved(has_gap: bool, is_saved: bool) -> None:
    """Of a stay that is in the row, the row says whether the player may have seen more than is kept."""
    core, s = restored(has_gap=has_gap)
    seen(core, s)
    assert s.phase is Phase.PLAYING
    assert s.has_gap is not is_saved


def test_who_plays_where_the_row_says_is_not_where_an_arrival_was_called_off() -> None:
    """Found by the simulation (seed 5207): east heard a minute later of a handoff that had failed."""
    core, s = restored()
    here = bus.Resident(s.id, 1001, (1.0, 2.0, 0.0), 0.0, False, 50, serial=8)
    ghost = bus.Resident(s.id, 2001, (1.0, 2.0, 0.0), 0.0, False, 60)
    for _ in range(4):
        core.hear(bus.Residents("east", 1, [here]), bus.Residents("west", 2, [ghost]))
        core.wait(1.0)
    assert (s.phase, s.here.instance, s.here.order) == (Phase.PLAYING, 1001, 50)
    core.hear(bus.Residents("west", 2, [ghost]))
    assert core.ordered(bus.Remove).instance == 2001


def test_who_is_held_frozen_where_the_row_says_has_arrived_elsewhere() -> None:
    core, s = restored()
    source = bus.Resident(s.id, 1001, (1.0, 2.0, 0.0), 0.0, False, 50, True)
    arrived = bus.Resident(s.id, 2001, (1.0, 2.0, 0.0), 0.0, False, 60)
    for _ in range(5):
        core.hear(bus.Residents("east", 1, [source]), bus.Residents("west", 2, [arrived]))
        core.wait(1.0)
    assert (s.phase, s.here.instance) == (Phase.PLAYING, 2001)
