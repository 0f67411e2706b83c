"""The queue of a full world: its order, honest places and estimates, and what goes wrong while one waits."""

from dataclasses import replace
from hashlib import sha256
from random import Random
from uuid import uuid4

import pytest

from tests.unit.worlds.daemon.crowd import Crowd, Person
from worlds.daemon.core import departure
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import Call, ForgetWaiting, StoreWaiting
from worlds.daemon.core.events import CatalogLoaded, SessionsLoaded, Tick, Unreachable, WaitingSession
from worlds.daemon.core.living import WINDOW_S, Departures
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Enter, Hello, Logout
from zonecluster.protocol.to_client import Goodbye, Queued, Refused, Welcome


@pytest.fixture
def crowd() -> Crowd:
    """A world with one place, which Alice has."""
    crowd = Crowd(max_players=1)
    crowd.play(ALICE)
    return crowd


ALICE, BOB, CAROL = Person("Alice", 1), Person("Bob", 2), Person("Carol", 3, edition="premium")
MALLORY = Person("Mallory", 4)


def finish(crowd: Crowd, person: Person) -> None:
    """The player's session has ended."""
    s = crowd.session(person)
    assert s is not None
    s.phase = Phase.REMOVING
    departure.end(crowd.world, s)


def test_full_world_lets_wait_and_tells_the_place(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    assert crowd.phase(BOB) is Phase.WAITING
    crowd.do(Tick())
    assert crowd.told(Queued, BOB.link) == Queued(place=1, ahead=0, estimate_s=None)
    crowd.ask_in(MALLORY)
    crowd.do(Tick())
    assert crowd.places(MALLORY) == [(2, 1)]


def test_premium_goes_first_then_by_arrival(crowd: Crowd) -> None:
    for person in (BOB, MALLORY, CAROL):
        crowd.ask_in(person)
    crowd.wait(6.0)
    assert crowd.places(CAROL, BOB, MALLORY) == [(1, 0), (2, 1), (3, 2)]
    finish(crowd, ALICE)
    crowd.do(Tick())
    assert [crowd.phase(one) for one in (CAROL, BOB, MALLORY)] == ["acquiring", "waiting", "waiting"]
    crowd.let_in(CAROL)
    crowd.wait(31.0)  # told again from time to time: the bus may have lost it
    assert crowd.places(BOB, MALLORY) == [(1, 0), (2, 1)]


def test_nobody_overtakes_who_waits_when_a_place_is_free(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    finish(crowd, ALICE)
    crowd.ask_in(MALLORY)
    assert crowd.phase(MALLORY) is Phase.WAITING
    crowd.do(Tick())
    assert crowd.phase(BOB) is Phase.ACQUIRING and crowd.phase(MALLORY) is Phase.WAITING


def test_operator_of_the_world_does_not_wait(crowd: Crowd) -> None:
    crowd.play(Person("Owner", 9, is_operator=True))
    assert len(crowd.world.by_character) == 2


def test_queue_has_an_end() -> None:
    crowd = Crowd(max_players=1, max_queue=1)
    crowd.play(ALICE)
    crowd.ask_in(BOB)
    crowd.ask_in(MALLORY)
    refused = crowd.told(Refused, MALLORY.link)
    assert refused.code == "world_full" and "1 players wait" in refused.reason
    assert crowd.phase(MALLORY) is Phase.WELCOMED


def test_account_has_one_place(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.ask_in(MALLORY)
    again = replace(BOB, link=22)
    crowd.ask_in(again)
    assert crowd.told(Goodbye, BOB.link).is_saved
    assert [s.account for s in crowd.world.sessions.values()].count(BOB.account) == 1
    crowd.do(Tick())
    assert crowd.places(again) == [(1, 0)], "the place of the first link is kept"


def test_leaving_the_queue_frees_the_place(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.ask_in(MALLORY)
    crowd.wait(6.0)
    crowd.say(Logout(), BOB.link)
    assert crowd.told(Goodbye, BOB.link).is_saved and crowd.phase(BOB) is Phase.ENDED
    crowd.wait(6.0)
    assert crowd.places(MALLORY) == [(1, 0)]


def test_another_character_takes_the_same_place(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.ask_in(MALLORY)
    s = crowd.session(BOB)
    assert s is not None
    arrival, other = s.arrival, uuid4()
    s.characters = [*s.characters, type(s.characters[0])(id=other, name="Second", level=1, line="main")]
    crowd.say(Enter(other), BOB.link)
    assert (s.phase, s.character, s.arrival) == (Phase.WAITING, other, arrival)


# ---------------------------------------------------------------- while one waits


def test_place_outlasts_a_short_loss_of_the_link(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    s = crowd.session(BOB)
    assert s is not None
    crowd.ask_in(MALLORY)
    crowd.hear(bus.LinkClosed("g", 1, BOB.link))
    finish(crowd, ALICE)
    crowd.do(Tick())
    assert crowd.phase(MALLORY) is Phase.ACQUIRING, "who has no link holds nobody up"
    token = "t" * 64
    s.resume_digest = s.proven_digest = sha256(token.encode()).digest()
    crowd.world.by_digest[s.resume_digest] = s.id
    crowd.wait(30.0)
    crowd.say(Hello(1, "test", None, token), 23)
    assert crowd.told(Welcome, 23).playing is None
    crowd.do(Tick())
    assert crowd.told(Queued, 23).place == 1


def test_place_is_given_up_a_minute_after_the_link(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.hear(bus.LinkClosed("g", 1, BOB.link))
    crowd.wait(61.0)
    assert crowd.phase(BOB) is Phase.ENDED
    assert [e for e in crowd.effects if isinstance(e, ForgetWaiting)]


def test_master_that_is_away_costs_nobody_the_place(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.ask_in(MALLORY)
    finish(crowd, ALICE)
    crowd.do(Tick())
    assert crowd.phase(BOB) is Phase.ACQUIRING
    for _ in range(30):
        for call in [e for e in crowd.effects if isinstance(e, Call)]:
            crowd.answer(call, Unreachable("away"))
        crowd.wait(0.5)
    assert crowd.phase(BOB) is Phase.WAITING and crowd.phase(MALLORY) is Phase.WAITING
    s = crowd.session(BOB)
    assert s is not None and crowd.world.life.rows == {s.id, crowd.session(MALLORY).id}  # type: ignore[union-attr]


def test_admission_that_ended_meanwhile_is_told(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    finish(crowd, ALICE)
    crowd.do(Tick())
    crowd.answer(crowd.asked(uplink.Acquire), uplink.Refusal("not_admitted", "Another world was entered."))
    assert crowd.told(Refused, BOB.link).code == "bad_ticket"
    assert crowd.phase(BOB) is Phase.WELCOMED


def test_who_waited_for_a_day_logs_in_again(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.now += 23 * 3600 + 1
    crowd.do(Tick())
    assert "Log in again" in crowd.told(Goodbye, BOB.link).reason


def test_more_places_count_at_once_and_fewer_put_nobody_out(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, max_players=2)), Tick())
    crowd.let_in(BOB)
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, max_players=1)), Tick())
    assert crowd.phase(ALICE) is Phase.PLAYING and crowd.phase(BOB) is Phase.PLAYING
    crowd.ask_in(MALLORY)
    finish(crowd, ALICE)
    crowd.do(Tick())
    assert crowd.phase(MALLORY) is Phase.WAITING, "one place, and Bob has it"


def test_whom_a_lost_connection_put_out_does_not_wait_behind_others(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.ask_in(CAROL)
    crowd.world.life.put_out_at[MALLORY.account] = crowd.now
    crowd.ask_in(MALLORY)
    crowd.wait(6.0)
    assert crowd.places(MALLORY, CAROL, BOB) == [(1, 0), (2, 1), (3, 2)]


# ---------------------------------------------------------------- the estimate


def test_estimate_is_measured_and_unknown_until_then() -> None:
    departures = Departures(since=0.0)
    assert departures.wait_s(1, 100.0) is None
    departures.at.extend([10.0, 20.0])
    assert departures.wait_s(1, 100.0) is None
    departures.at.append(30.0)
    assert departures.wait_s(1, 90.0) == pytest.approx(30.0)
    assert departures.wait_s(4, 90.0) == pytest.approx(120.0)


def test_estimate_forgets_what_is_long_ago() -> None:
    departures = Departures(since=0.0)
    departures.at.extend([1.0, 2.0, 3.0])
    assert departures.wait_s(1, 3.0 + WINDOW_S + 1) is None


def test_place_comes_with_the_estimate(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    crowd.do(Tick())
    crowd.world.life.departures.since = crowd.now - 600
    crowd.world.life.departures.at.extend([crowd.now - each for each in (300, 200, 100)])
    crowd.wait(6.0)
    assert crowd.told(Queued, BOB.link).estimate_s == pytest.approx(200.0, abs=5)


# ---------------------------------------------------------------- a restart of the daemon


def test_restarted_daemon_keeps_the_queue(crowd: Crowd) -> None:
    crowd.ask_in(BOB)
    stored = [e.row for e in crowd.effects if isinstance(e, StoreWaiting)][-1]
    fields = {name: getattr(stored, name) for name in stored.__dataclass_fields__}
    waited = [WaitingSession(**fields, waited_s=60.0)]
    crowd.core = DaemonCore(crowd.world.catalog, crowd.world.started_at, 1 << 40)
    crowd.rng = Random(2)
    crowd.core.world.by_character[ALICE.hero] = uuid4()
    crowd.do(SessionsLoaded([], waited))
    crowd.hear(bus.ClusterAlive("east", 1, [], 0, 1.0), bus.GatewayAlive("g", 1))
    crowd.hear(bus.LinksOpen("g", 1, [bus.OpenLink(BOB.link, stored.id)]))
    crowd.do(Tick())
    assert crowd.told(Queued, BOB.link).place == 1
    crowd.world.by_character.clear()
    crowd.do(Tick())
    crowd.let_in(BOB)


def test_restarted_daemon_forgets_who_does_not_come_back(crowd: Crowd) -> None:
    waited = [WaitingSession(uuid4(), uuid4(), uuid4(), uuid4(), "Bob", "free", 2, 5, b"x" * 32, 60.0)]
    crowd.core = DaemonCore(crowd.world.catalog, crowd.world.started_at, 1 << 40)
    crowd.do(SessionsLoaded([], waited))
    crowd.hear(bus.ClusterAlive("east", 1, [], 0, 1.0))
    crowd.wait(61.0)
    assert not crowd.world.sessions
    assert [e.session for e in crowd.effects if isinstance(e, ForgetWaiting)] == [waited[0].id]
