"""Waiting for a place in a full world, and the sky as a client keeps it."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from waystone_client.errors import LinkLost, Refusal
from waystone_client.sky import Sky
from waystone_client.terminal.entrance import place_in_words
from waystone_client.world_link import LinkDown, LinkOver, WorldLink
from zonecluster.protocol.from_client import FromClient
from zonecluster.protocol.to_client import Entered, Goodbye, Queued, Refused, ServerMessage, SkyIs

HERO = uuid4()
ENTERED = Entered(HERO, "Rowan", "main")


class Link(WorldLink):
    """A world link whose server is the test."""

    def __init__(self) -> None:
        super().__init__("ws://127.0.0.1:1/")
        self.sent: list[FromClient] = []

    async def send(self, message: FromClient) -> None:
        self.sent.append(message)

    def hear(self, *messages: ServerMessage | LinkDown | LinkOver) -> None:
        for message in messages:
            if isinstance(message, LinkDown | LinkOver):
                self._tell(message)
            else:
                self._dispatch(message)


def entering(then: Callable[[Link], None], told: list[Queued] | None = None) -> Entered:
    """Enter, and let `then` say what comes back."""

    async def run() -> Entered:
        link = Link()
        waits = asyncio.create_task(link.enter(HERO, told.append if told is not None else None))
        await asyncio.sleep(0)
        then(link)
        return await waits

    return asyncio.run(run())


def test_a_world_with_room_lets_in_at_once() -> None:
    assert entering(lambda link: link.hear(ENTERED)) is ENTERED


def test_places_are_told_until_it_is_ones_turn() -> None:
    told: list[Queued] = []
    places = [Queued(3, 2), Queued(2, 1, 120.0), Queued(1, 0, 60.0)]
    assert entering(lambda link: link.hear(*places, ENTERED), told) is ENTERED
    assert told == places


def test_lost_link_does_not_end_the_waiting() -> None:
    told: list[Queued] = []
    entered = entering(lambda link: link.hear(Queued(2, 1), LinkDown("cut"), Queued(1, 0), ENTERED), told)
    assert entered is ENTERED and [each.place for each in told] == [2, 1]


@pytest.mark.parametrize(
    ("says", "error", "code"),
    [
        (Refused("world_full", "Full.", "Later."), Refusal, "world_full"),
        (LinkDown("cut"), LinkLost, "link_lost"),
        (Goodbye("You wait on another link now.", True), LinkLost, "link_over"),
        (LinkOver("No answer.", False), LinkLost, "link_over"),
    ],
)
def test_what_ends_it(says: ServerMessage, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        entering(lambda link: link.hear(says))
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_refused_while_waiting() -> None:
    with pytest.raises(Refusal):
        entering(lambda link: link.hear(Queued(1, 0), Refused("bad_ticket", "Ended.", "Log in.")))


def test_unasked_messages_stay_events() -> None:
    link = Link()
    link.hear(ENTERED, Queued(1, 0))
    assert link._events.qsize() == 2


@pytest.mark.parametrize(
    ("queued", "words"),
    [
        (Queued(1, 0), "you are next); how long it takes is not known yet."),
        (Queued(3, 2, 45.0), "Your place in its queue: 3 (2 before you); about 45 s."),
        (Queued(9, 8, 600.0), "about 10 minutes."),
    ],
)
def test_place_in_words(queued: Queued, words: str) -> None:
    assert place_in_words(queued).endswith(words)


def test_time_is_counted_on_between_what_is_told() -> None:
    now = [100.0]
    sky = Sky(clock=lambda: now[0])
    assert (str(sky), sky.time, sky.weather) == ("", None, None)
    sky.hear(SkyIs("hill", "rain", 86_400.0 + 7 * 3600, 24.0))
    now[0] += 150.0
    assert str(sky) == "day 2, 08:00, day, rain"


@pytest.mark.parametrize("game_s", [float("nan"), float("inf"), -1.0, 1e300])
def test_time_that_is_none_is_not_taken(game_s: float) -> None:
    sky = Sky()
    sky.hear(SkyIs("hill", "rain", game_s, 24.0))
    assert str(sky) == ""
