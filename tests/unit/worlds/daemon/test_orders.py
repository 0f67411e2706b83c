"""Keepers' orders, mutes and bans in the daemon's core: carried out once, told until heard, whoever dies."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from tests.unit.worlds.daemon.crowd import Crowd, Person
from worlds.daemon.core.effects import Call, SendToCluster
from worlds.daemon.core.events import Answered, CatalogLoaded, Unreachable
from worlds.daemon.core.ordering import CarriedOut, CarryOut
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from worlds.uplink.orders import (
    Announce,
    Deed,
    Kick,
    Mute,
    Order,
    OrderEnded,
    Postpone,
    UnknownOrder,
    body_of,
    deed_of,
)
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Goodbye, Notice

LIMITS = uplink.Limits(15)
ALICE, BOB = Person("Alice", 1), Person("Bob", 2)
WALL = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORDER = UUID(int=9)
NOON = Mute(WALL, "shouting")


def order(deed: Deed, kind: str, number: UUID = ORDER) -> Order:
    return Order(number, kind, body_of(deed))


class Kept(Crowd):
    """A world whose reports the test answers."""

    def report(self, *orders: Order, **more: object) -> uplink.Report:
        """Let the next report go out and answer it; return it. Keeps the effects of the answer."""
        call = self.next_report()
        self.do(Answered(call.id, uplink.Reported("open", False, [], orders=list(orders), **more)))
        return call.request  # type: ignore[return-value]

    def next_report(self) -> Call:
        """Return the report that goes out next; one that is out already is lost."""
        if self.world.report_call is not None:
            self.do(Answered(self.world.report_call, Unreachable("lost")))
        self.wait(6.0)
        return [e for e in self.effects if isinstance(e, Call) and isinstance(e.request, uplink.Report)][-1]

    def news(self, person: Person, **about: object) -> uplink.AccountNews:
        values = {"edition": "free", "limits": LIMITS, "is_banned": False, **about}
        return uplink.AccountNews(person.account, **values)

    def hear_news(self, *news: uplink.AccountNews) -> None:
        self.do(Answered(self.next_report().id, uplink.Reported("open", False, list(news))))

    def silences(self) -> list[str]:
        """Return what clusters were told, of the effects at hand."""
        sent = (e.message for e in self.effects if isinstance(e, SendToCluster))
        return [m.text for m in sent if isinstance(m, bus.Silence)]

    def texts(self, person: Person) -> list[str]:
        return [notice.text for notice in self.all_told(Notice, person.link)]


@pytest.fixture
def world() -> Kept:
    """A world in which Alice plays."""
    kept = Kept()
    kept.play(ALICE)
    return kept


def test_an_order_is_carried_out_once_and_told_until_the_master_has_heard(world: Kept) -> None:
    announce = order(Announce("The fair opens."), "announce")
    world.report(announce)
    assert world.texts(ALICE) == ["The fair opens."]
    told = world.report(announce)  # the master has not heard yet
    assert told.done == [OrderEnded(ORDER, True, "1 player heard it.")]
    assert world.texts(ALICE) == []
    assert world.report(announce).done == told.done  # an answer was lost: told again
    world.report()
    assert world.report().done == []


def test_an_ended_order_is_told_at_once(world: Kept) -> None:
    world.report(order(Announce("Hear."), "announce"))
    world.wait(0.5)
    calls = [e for e in world.effects if isinstance(e, Call) and isinstance(e.request, uplink.Report)]
    assert [one.id for one in calls[0].request.done] == [ORDER]


def test_a_report_without_an_answer_keeps_what_is_to_be_told(world: Kept) -> None:
    announce = order(Announce("Hear."), "announce")
    world.report(announce)
    world.do(Answered(world.next_report().id, Unreachable("away")))
    assert [one.id for one in world.report(announce).done] == [ORDER]


def test_a_new_daemon_is_told_the_order_again(world: Kept) -> None:
    announce = order(Announce("Hear."), "announce")
    world.report(announce)
    young = Kept()
    young.play(BOB)
    young.report(announce)
    assert young.texts(BOB) == ["Hear."]
    assert [one.id for one in young.report(announce).done] == [ORDER]


def test_a_kicked_player_is_put_out_with_the_reason_and_may_come_again(world: Kept) -> None:
    world.play(BOB)
    world.report(order(Kick(BOB.hero, "Sleep it off."), "kick"))
    assert world.phase(BOB) is Phase.FREEZING_OUT and world.phase(ALICE) is Phase.PLAYING
    world.wait(8.0)  # its cluster says nothing: the newest known state is saved
    assert "Sleep it off." in world.session(BOB).leave.text
    assert world.report(order(Kick(BOB.hero), "kick")).done[0].is_done


def test_kicking_who_has_left_is_done_already(world: Kept) -> None:
    world.report(order(Kick(uuid4()), "kick"))
    assert world.report().done == [OrderEnded(ORDER, True, "They were not in the world any more.")]


def test_what_is_a_row_goes_to_the_shell_once_and_is_tried_again_if_the_database_is_away(world: Kept) -> None:
    postpone = order(Postpone(WALL, WALL.replace(hour=14)), "postpone")
    world.report(postpone)
    asked = [e for e in world.effects if isinstance(e, CarryOut)]
    assert asked == [CarryOut(ORDER, Postpone(WALL, WALL.replace(hour=14)))]
    world.report(postpone)
    assert not any(isinstance(e, CarryOut) for e in world.effects)
    world.do(CarriedOut(ORDER, False, "", is_known=False))
    assert world.report(postpone).done == []
    assert any(isinstance(e, CarryOut) for e in world.effects)
    world.do(CarriedOut(ORDER, False, "It has begun."))
    assert world.report(postpone).done == [OrderEnded(ORDER, False, "It has begun.")]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("dance", {}, "knows no order"),
        ("announce", {"text": ""}, "not understood"),
        ("announce", {"text": 7}, "not understood"),
        ("kick", {"character": "nobody"}, "not understood"),
        ("restart", {"kind": "sideways", "due_at": "2026-11-23T12:00:00Z"}, "not understood"),
        ("cancel", {"was_due_at": "2026-11-23T12:00:00"}, "without a time zone"),
        ("policy", {"when": "fixed", "at": "25:00"}, "not understood"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_told(
    world: Kept, kind: str, body: dict, words: str
) -> None:
    bad = Order(ORDER, kind, body)
    with pytest.raises(UnknownOrder, match=words):
        deed_of(bad)
    world.report(bad, order(Announce("Still heard."), "announce", UUID(int=10)))
    assert world.texts(ALICE) == ["Still heard."]
    ended = world.report(bad).done
    assert (ended[0].is_done, words in ended[0].told) == (False, True)


# ---------------------------------------------------------------- mutes and bans


def test_a_mute_is_told_to_the_player_and_the_cluster_and_taken_back(world: Kept) -> None:
    world.hear_news(world.news(ALICE, mute=NOON))
    assert "muted you until 2026-11-23 12:00 UTC: shouting" in world.texts(ALICE)[0]
    assert world.silences() == [
        "The people who run this world have muted you until 2026-11-23 12:00 UTC: shouting"
    ]
    world.hear_news(world.news(ALICE, mute=NOON))
    assert world.texts(ALICE) == [] and world.silences() == []
    world.hear_news(world.news(ALICE))
    assert world.texts(ALICE) == ["You can be heard again."] and world.silences() == [""]


def test_who_comes_in_muted_is_silenced_from_the_first_moment(world: Kept) -> None:
    class Muted(Person):
        def admission(self) -> uplink.Admission:
            admission = super().admission()
            return uplink.Admission(
                admission.admission,
                self.account,
                "free",
                LIMITS,
                admission.characters,
                mute=Mute(None, "rude"),
            )

    mallory = Muted("Mallory", 3)
    world.play(mallory)
    assert world.session(mallory).mute == Mute(None, "rude")
    assert [text.startswith("The people who run this world") for text in world.silences()] == [True]


def reside(world: Kept, person: Person, *, is_silenced: bool) -> None:
    s = world.session(person)
    here = bus.Resident(
        s.id,
        s.here.instance,
        (1.0, 1.0, 0.0),
        0.0,
        False,
        s.here.order,
        link=person.link,
        is_silenced=is_silenced,
    )
    world.hear(bus.Residents(s.here.cluster, s.here.incarnation, [here]))


def test_a_cluster_that_has_it_otherwise_is_told_again(world: Kept) -> None:
    world.hear_news(world.news(ALICE, mute=NOON))
    reside(world, ALICE, is_silenced=False)
    assert len(world.silences()) == 1
    reside(world, ALICE, is_silenced=True)
    assert world.silences() == []


def test_a_young_daemon_frees_nobody_before_it_has_heard_of_them(world: Kept) -> None:
    world.session(ALICE).is_mute_known = False  # as after a restart
    world.wait(6.0)
    reside(world, ALICE, is_silenced=True)
    assert world.silences() == []
    world.hear_news(world.news(ALICE))
    reside(world, ALICE, is_silenced=True)
    assert world.silences() == [""]


def test_who_is_banned_here_is_put_out_with_the_worlds_own_words(world: Kept) -> None:
    world.hear_news(world.news(ALICE, is_banned=True, banned_for="Banned for good: stealing. Write to us."))
    assert world.session(ALICE).leave.text == "Banned for good: stealing. Write to us."
    world.wait(8.0)
    goodbyes = world.all_told(Goodbye, ALICE.link)
    assert all("stealing" in goodbye.reason for goodbye in goodbyes)


# ---------------------------------------------------------------- message of the day


def test_the_sites_message_of_the_day_counts_and_a_new_one_is_told(world: Kept) -> None:
    world.report(motd="Rain tomorrow.")
    assert world.texts(ALICE) == []  # the first that a young daemon hears was told before
    world.report(motd="Sun tomorrow.")
    assert world.texts(ALICE) == ["Message of the day: Sun tomorrow."]
    assert world.hello(BOB).motd == "Sun tomorrow."
    world.do(CatalogLoaded(replace(world.world.catalog, motd="The world's own.")))
    assert world.texts(ALICE) == []
    world.report(motd="")
    assert world.texts(ALICE) == ["Message of the day: The world's own."]
