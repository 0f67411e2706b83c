"""Everybody who plays, and what they do next: workers that pick free people and something to do."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Mapping
from random import Random
from uuid import UUID

from tests.end_to_end.stack import ROOT, Stack
from tests.killing.ledger import Goods, Ledger
from tests.killing.people import Life, Person
from waystone_client import Master, WaystoneError

WORKERS = 5
PAUSE_S = 0.1
PATIENCE_S = 8.0  # for one thing; what it asked for stays unanswered then
ALONE = {"stroll": 3, "cross": 1, "shop": 4, "drop": 1, "pick_up": 1, "open_letters": 3}
TOGETHER = {"trade": 8, "write": 4}


class Crowd:
    """People on one platform. `start`, then `pause` and `go_on`, then `stop`."""

    def __init__(self, stack: Stack, people: list[Person], ledger: Ledger, chance: Random) -> None:
        self.people = people
        self.life = Life(ledger, chance)
        self.errors: Counter[str] = Counter()
        self.contradictions: list[str] = []
        self._chance = chance
        self._plays = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._idle = 0

    def start(self) -> None:
        """Let them play."""
        self._plays.set()
        self._workers = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(WORKERS)]

    async def pause(self) -> None:
        """Let everybody end what they are at, and begin nothing."""
        self._plays.clear()
        while any(person.is_busy for person in self.people):
            await asyncio.sleep(PAUSE_S)

    def go_on(self) -> None:
        """Play on."""
        self._plays.set()

    async def stop(self) -> None:
        """End the game."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for person in self.people:
            await person.leave()

    async def come_back(self) -> dict[str, Goods]:
        """Wait until the world answers everybody; return what it says that they have."""
        found = await asyncio.gather(*(person.come_back() for person in self.people))
        return {person.name: goods for person, goods in zip(self.people, found, strict=True)}

    async def _work(self) -> None:
        while True:
            await self._plays.wait()
            free = [person for person in self.people if not person.is_busy]
            names = [*ALONE, *(TOGETHER if len(free) > 1 else ())]
            weights: Mapping[str, int] = ALONE | TOGETHER
            if free:
                what = self._chance.choices(names, [weights[name] for name in names])[0]
                chosen = self._chance.sample(free, 2 if what in TOGETHER else 1)
                await self._try(what, chosen, getattr(self.life, what)(*chosen))
            await asyncio.sleep(PAUSE_S)

    async def _try(self, what: str, people: list[Person], doing: Awaitable[None]) -> None:
        for person in people:
            person.is_busy = True
        try:
            async with asyncio.timeout(PATIENCE_S):
                await doing
        except WaystoneError as error:  # what was asked for stays unanswered
            self.errors[f"{what}: {error.code}"] += 1
        except TimeoutError:
            self.errors[f"{what}: no patience"] += 1
        except AssertionError as error:
            self.contradictions.append(str(error))
        finally:
            for person in people:
                person.is_busy = False


async def gather_crowd(stack: Stack, ledger: Ledger, chance: Random, size: int) -> Crowd:
    """Make people with a stock on a running platform, and let them enter."""
    made = await asyncio.to_thread(_prepare, stack, size)
    people = [
        Person(each["name"], Master(stack.url, token=each["token"]), UUID(each["character"])) for each in made
    ]
    crowd = Crowd(stack, people, ledger, chance)
    await crowd.come_back()
    return crowd


def _prepare(stack: Stack, size: int) -> list[dict[str, str]]:
    code = f"from tests.killing.stock import prepare; prepare({size})"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-3000:])
    return list(json.loads(done.stdout.decode().splitlines()[-1]))
