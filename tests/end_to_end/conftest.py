"""The platform as real processes, and people who play on it."""

import asyncio
import itertools
import secrets
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tests.end_to_end.stack import Stack
from waystone_client import Master, MasterError, Player

PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in tests)
numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody with an account, a log-in and one character."""

    master: Master
    email: str
    character: str
    players: list[Player] = field(default_factory=list)

    async def enter(self) -> Player:
        """Get a ticket and play."""
        player = await Player.enter(self.master, "demo", self.character)
        self.players.append(player)
        return player

    async def resume(self, lost: Player) -> Player:
        """Come back as a restarted client does: with the resume token alone."""
        player = await Player.resume(lost.link.url, lost.resume_token)
        self.players.append(player)
        return player


Introduce = Callable[[str], Awaitable[Person]]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The running platform, one for all files: tests/order.py puts those last that break parts of it."""
    running = Stack()
    running.start()
    yield running
    code = running.stop()
    assert code == 0, f"manage.py up ended with {code}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the ends of all logs to the report of a failure."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(running, Stack):
        report.sections.append(("logs of the platform", running.logs()))
    return report


@pytest_asyncio.fixture
async def introduce(stack: Stack) -> AsyncIterator[Introduce]:
    """A function that makes a person: registered, logged in, with a character called so and some letters."""
    people: list[Person] = []

    async def make(name: str) -> Person:
        suffix = "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
        email = f"{name.lower()}.{next(numbers)}.{suffix}@waystone.example"
        master = Master(stack.url)
        await patiently(lambda: master.register(email, PASSWORD))
        await patiently(lambda: master.log_in(email, PASSWORD))
        character = await master.create_character(f"{name} {suffix.capitalize()}")
        people.append(Person(master, email, character.name))
        return people[-1]

    yield make
    for person in people:
        for player in person.players:
            await player.leave()
        await person.master.close()


async def patiently(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call of the REST API; wait as long as its rate limits ask for."""
    while True:
        try:
            await call()
        except MasterError as error:
            if error.status != 429:
                raise
            await asyncio.sleep(error.retry_after_s or 5.0)
        else:
            return
