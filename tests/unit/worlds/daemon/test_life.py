"""What all players hear: announcements, the message of the day, maintenance, and the sky over their zone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.unit.worlds.daemon.crowd import Crowd, Person
from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Answered, CatalogLoaded
from worlds.daemon.core.session import Phase
from worlds.daemon.core.upkeep import AnnouncementRow, Maintenance, NoteAnnouncement, UpkeepLoaded
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Enter
from zonecluster.protocol.to_client import Notice, Refused, SkyIs, ZoneAssigned
from zonecluster.rules.sky import hour_of, weather_at

ALICE, BOB, OWNER = Person("Alice", 1), Person("Bob", 2), Person("Owner", 3, is_operator=True)
WALL = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WORK = Maintenance(WALL, "New stairs.")


@pytest.fixture
def crowd() -> Crowd:
    """A world in which Alice plays."""
    crowd = Crowd(game_epoch_s=WALL.timestamp() - 3600.0)
    crowd.play(ALICE)
    return crowd


def heard(crowd: Crowd, person: Person) -> list[str]:
    return [notice.text for notice in crowd.all_told(Notice, person.link)]


# ---------------------------------------------------------------- announcements, message of the day


def test_announcement_is_said_once_and_counted(crowd: Crowd) -> None:
    crowd.hello(BOB)
    said = UpkeepLoaded(WALL, announcements=(AnnouncementRow(7, "The fair opens."),))
    crowd.do(said, said)
    assert heard(crowd, ALICE) == ["The fair opens."] and heard(crowd, BOB) == []
    assert [e for e in crowd.effects if isinstance(e, NoteAnnouncement)] == [NoteAnnouncement(7, 1)]
    crowd.do(UpkeepLoaded(WALL), UpkeepLoaded(WALL, announcements=(AnnouncementRow(8, "It closes."),)))
    assert heard(crowd, ALICE) == ["It closes."]


def test_many_on_one_gateway_cost_one_message(crowd: Crowd) -> None:
    crowd.play(BOB)
    crowd.do(UpkeepLoaded(WALL, announcements=(AnnouncementRow(7, "Hear!"),)))
    sent = [e.message for e in crowd.effects if isinstance(getattr(e, "message", None), bus.ToLinks)]
    assert [m.links for m in sent if m.message == Notice("Hear!", "warning")] == [[ALICE.link, BOB.link]]


def test_another_message_of_the_day_is_told_at_once(crowd: Crowd) -> None:
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, motd="Rain tomorrow.")))
    assert heard(crowd, ALICE) == ["Message of the day: Rain tomorrow."]
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, max_players=7)))
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, motd="")))
    assert heard(crowd, ALICE) == []


# ---------------------------------------------------------------- maintenance


def test_maintenance_lets_in_operators_only_and_nobody_is_put_out(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL))
    crowd.do(UpkeepLoaded(WALL, maintenance=WORK))
    assert "New stairs." in heard(crowd, ALICE)[0] and crowd.phase(ALICE) is Phase.PLAYING
    crowd.ask_in(BOB)
    refused = crowd.told(Refused, BOB.link)
    assert (refused.code, refused.reason) == ("maintenance", "New stairs.")
    crowd.play(OWNER)
    assert any("operator" in text for text in heard(crowd, OWNER))
    crowd.do(UpkeepLoaded(WALL))
    assert "let in again" in heard(crowd, ALICE)[0]
    crowd.say(Enter(BOB.hero), BOB.link)
    assert crowd.phase(BOB) is Phase.ACQUIRING


def test_maintenance_that_a_restarted_daemon_finds_is_not_told_again(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL, maintenance=WORK))
    assert heard(crowd, ALICE) == []


def test_who_waits_keeps_the_place_in_maintenance(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL), CatalogLoaded(replace(crowd.world.catalog, max_players=1)))
    crowd.ask_in(BOB)
    crowd.do(UpkeepLoaded(WALL, maintenance=WORK))
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, max_players=9)))
    crowd.wait(6.0)
    assert crowd.phase(BOB) is Phase.WAITING
    crowd.do(UpkeepLoaded(WALL))
    crowd.wait(1.0)
    assert crowd.phase(BOB) is Phase.ACQUIRING


def test_maintenance_is_reported_and_may_come_from_the_master(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL))
    crowd.wait(6.0)
    call = [e for e in crowd.effects if isinstance(e, Call) and isinstance(e.request, uplink.Report)][-1]
    assert call.request.maintenance is None  # type: ignore[union-attr]
    crowd.do(Answered(call.id, uplink.Reported("open", False, [], maintenance="Staff look at it.")))
    crowd.ask_in(BOB)
    assert crowd.told(Refused, BOB.link).reason == "Staff look at it."
    crowd.do(UpkeepLoaded(WALL, maintenance=WORK))
    crowd.wait(6.0)
    call = [e for e in crowd.effects if isinstance(e, Call) and isinstance(e.request, uplink.Report)][-1]
    assert call.request.maintenance == "New stairs."  # type: ignore[union-attr]


# ---------------------------------------------------------------- the sky


def test_sky_is_told_on_entering_a_zone(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL))
    crowd.play(BOB)
    sky = crowd.told(SkyIs, BOB.link)
    assert crowd.told(ZoneAssigned, BOB.link).zone == sky.zone == "a"
    assert (sky.game_s, sky.rate) == (86_400.0, 24.0)
    assert sky.weather == weather_at("demo", "a", "temperate", 24)


def test_weather_is_told_to_those_in_the_zone_when_it_changes(crowd: Crowd) -> None:
    skies = [weather_at("demo", "a", "temperate", hour) for hour in range(24, 200)]
    change = 25 + next(at for at, (before, sky) in enumerate(pairwise(skies)) if sky != before)
    begin = WALL + timedelta(seconds=(change - 24) * 150 - 10)
    crowd.do(UpkeepLoaded(begin))
    crowd.wait(2.0)
    crowd.wait(5.0)
    assert crowd.all_told(SkyIs, ALICE.link) == [], "an hour that has not passed changes nothing"
    crowd.wait(5.0)
    sky = crowd.told(SkyIs, ALICE.link)
    assert sky.weather == skies[change - 24] and hour_of(sky.game_s) == change


def test_another_pace_is_told(crowd: Crowd) -> None:
    crowd.do(UpkeepLoaded(WALL))
    crowd.wait(2.0)
    crowd.do(CatalogLoaded(replace(crowd.world.catalog, game_rate=48.0)))
    crowd.wait(2.0)
    assert crowd.told(SkyIs, ALICE.link).rate == 48.0


def test_no_sky_is_told_before_the_instant_is_known(crowd: Crowd) -> None:
    crowd.play(BOB)
    crowd.wait(3.0)
    assert crowd.all_told(SkyIs, BOB.link) == []
