"""World life on real processes: a full world's queue, what everybody is told, a world that lets nobody in."""

import asyncio
from collections.abc import Callable

import pytest

from tests.end_to_end.conftest import Introduce, Person
from tests.end_to_end.stack import Stack
from waystone_client import MasterError, Player, WaystoneError
from zonecluster.protocol.to_client import Notice, Queued
from zonecluster.rules.sky import CLIMATES

pytestmark = pytest.mark.end_to_end
EFFECT_S = 15.0  # from a change in the admin to players
ALONE_S = 120.0  # who was left without a log-out is in the world for a minute


class Waiting:
    """Somebody who enters a world that is full."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.places: list[Queued] = []
        self._task = asyncio.create_task(self._enter())

    async def _enter(self) -> Player:
        master, name = self.person.master, self.person.character
        player = await Player.enter(master, "demo", name, on_queued=self.places.append)
        self.person.players.append(player)
        return player

    @property
    def place(self) -> int | None:
        return self.places[-1].place if self.places else None

    async def is_told(self, place: int, within_s: float = 30.0) -> None:
        await until(lambda: self.place == place or self._task.done(), within_s, f"place {place}")
        ended = self._task if self._task.done() else "still waiting"
        assert self.place == place, f"{self.person.character} was told {self.places}: {ended}"

    async def is_asked_to_wait(self, within_s: float = 30.0) -> bool:
        """Whether there was no place."""
        await until(lambda: bool(self.places) or self._task.done(), within_s, "a place in the queue, or in")
        return bool(self.places)

    async def is_in(self, within_s: float = 40.0) -> Player:
        return await asyncio.wait_for(self._task, within_s)

    async def gives_up(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def once_it_is_full(person: Person) -> Waiting:
    """Wait in the queue. The daemon reads the number of places every 10 s: until then one is let in."""
    async with asyncio.timeout(ALONE_S):
        while True:
            waiting = Waiting(person)
            if await waiting.is_asked_to_wait():
                return waiting
            assert (await (await waiting.is_in()).log_out()).is_saved


async def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"waited {within_s} s for {what}") from None


def in_play(stack: Stack) -> int:
    return int(stack.query("select count(*) from worlds_playsession where ended_at is null")[0][0])


async def hears(player: Player, words: str, within_s: float = EFFECT_S) -> None:
    await player.wait_until(
        lambda: any(isinstance(one, Notice) and words in one.text for one in player.heard), within_s, words
    )


def make_premium(stack: Stack, person: Person) -> None:
    stack.query(
        "insert into accounts_entitlement"
        " (account_id, edition, is_grant, source, reference, starts_at, created_at)"
        " select id, 'premium', true, 'gift', 'queue', now(), now() from accounts_account where email = %s"
        " returning id",
        person.email,
    )


def set_world(stack: Stack, values: str) -> None:
    stack.query(f"update worlds_world set {values} where slug = 'demo' returning id")


async def test_a_full_world_lets_wait_premium_first_and_tells_the_place(
    stack: Stack, introduce: Introduce
) -> None:
    alice = await (await introduce("Alice")).enter()
    await until(lambda: in_play(stack) == 1, ALONE_S, "everybody else to be gone")
    before = stack.query("select motd, max_players from worlds_world where slug = 'demo'")[0]
    queue: list[Waiting] = []
    try:
        set_world(stack, "max_players = 1, motd = 'One at a time.'")
        await hears(alice, "One at a time.")
        bob = await once_it_is_full(await introduce("Bob"))
        queue.append(bob)
        await bob.is_told(1)
        carol = Waiting(await introduce("Carol"))
        queue.append(carol)
        await carol.is_told(2)
        dave_himself = await introduce("Dave")
        make_premium(stack, dave_himself)
        dave = Waiting(dave_himself)
        queue.append(dave)
        await dave.is_told(1)
        await bob.is_told(2)
        await carol.is_told(3)
        assert [each.places[-1].ahead for each in (dave, bob, carol)] == [0, 1, 2]
        assert dave.places[-1].estimate_s is None or dave.places[-1].estimate_s > 0
        assert (await alice.log_out()).is_saved
        dave_in = await dave.is_in()
        await bob.is_told(1)
        stack.kill("worlddaemon")  # the queue outlasts it
        bob.places.clear()
        await bob.is_told(1, within_s=60.0)
        assert (await dave_in.log_out()).is_saved
        assert (await bob.is_in()).snapshot is not None
        await carol.is_told(1)
        rows = stack.query("select character_name from worlds_waitingplayer")
        assert rows == [(carol.person.character,)], "who is in or gone waits no more"
        set_world(stack, "max_players = 2")
        assert (await carol.is_in()).snapshot is not None, "more places count without a restart"
    finally:
        for each in queue:
            await each.gives_up()
        stack.query(
            "update worlds_world set motd = %s, max_players = %s where slug = 'demo' returning id", *before
        )


async def test_everybody_hears_announcements_and_maintenance_and_sees_the_sky(
    stack: Stack, introduce: Introduce
) -> None:
    alice, bob = await (await introduce("Alice")).enter(), await introduce("Bob")
    await alice.wait_until(lambda: alice.sky.time is not None, EFFECT_S, "the time of day")
    assert alice.sky.weather in CLIMATES["coastal"] and alice.sky.told is not None
    assert (alice.sky.told.zone, alice.sky.told.rate) == ("harbour", 24.0)
    stack.query(
        "insert into worlds_announcement (world_id, text, at, heard)"
        " select id, 'The fair opens.', now(), 0 from worlds_world where slug = 'demo' returning id"
    )
    await hears(alice, "The fair opens.")
    said = "select heard from worlds_announcement where said_at is not null and text = 'The fair opens.'"
    await until(lambda: stack.query(said) != [], EFFECT_S, "the note that it was said")
    assert stack.query(said)[0][0] >= 1
    try:
        set_world(stack, "maintenance_since = now(), maintenance_text = 'New stairs.'")
        await hears(alice, "New stairs.")
        with pytest.raises(MasterError, match="New stairs") as refused:
            await bob.enter()
        assert (refused.value.status, refused.value.code) == (503, "world_maintenance")
        assert (await bob.master.world("demo")).maintenance == "New stairs."
        await alice.say("Still here.")
    finally:
        set_world(stack, "maintenance_since = null, maintenance_text = ''")
    await hears(alice, "let in again")
    async with asyncio.timeout(EFFECT_S):  # the master hears of the end by the world's next report
        while not bob.players:
            try:
                await bob.enter()
            except (MasterError, WaystoneError) as error:
                assert "maintenance" in error.code, error
                await asyncio.sleep(0.5)
