"""The daemon's way to the master under a crowd: lanes, and one reading of the keys for all."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from worlds.daemon.core.effects import Call
from worlds.daemon.core.events import Unreachable
from worlds.daemon.master import LANES, LIMITS, MasterClient
from worlds.uplink import messages
from worlds.uplink.keys import key_pair

REFUSED = messages.encoder.encode(messages.Refusal("bad_ticket", "Another one."))


class SlowMaster:
    """Answers nothing but its keys until it is let go; counts who is being answered."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.under_way: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.keys_asked = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        verb = request.url.path.strip("/").rpartition("/")[2]
        if verb == "jwks.json":
            self.keys_asked += 1
            await asyncio.sleep(0)
            return httpx.Response(500)
        self.under_way[verb] = self.under_way.get(verb, 0) + 1
        self.most[verb] = max(self.most.get(verb, 0), self.under_way[verb])
        await self.go.wait()
        self.under_way[verb] -= 1
        return httpx.Response(409, content=REFUSED)


def client_of(master: SlowMaster) -> MasterClient:
    http = httpx.AsyncClient(base_url="http://master.example", transport=httpx.MockTransport(master))
    return MasterClient(http, "aurora", key_pair(Ed25519PrivateKey.generate()))


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_crowd_that_comes_in_does_not_hold_up_what_is_saved() -> None:
    master = SlowMaster()
    client = client_of(master)
    acquires = [messages.Acquire(uuid4(), uuid4(), uuid4()) for _ in range(60)]
    crowd = [asyncio.create_task(client.carry_out([Call(uuid4(), one)])) for one in acquires]
    await turns()
    renewing = asyncio.create_task(client.carry_out([Call(uuid4(), messages.Renew([]))]))
    await turns()
    assert master.under_way == {"acquire": LANES["entries"], "renew": 1}
    master.go.set()
    answers = [(await one)[0].answer for one in (*crowd, renewing)]
    assert {type(answer) for answer in answers} == {messages.Refusal}, "each was answered in the end"
    assert master.most["acquire"] == LANES["entries"]


def test_the_pool_itself_never_makes_anybody_wait() -> None:
    """Its own bound loses a connection for each who gives up waiting: soon the master is away for good."""
    assert LIMITS.max_connections is None


async def test_who_gives_up_waiting_leaves_the_lane_to_others(monkeypatch) -> None:
    monkeypatch.setattr("worlds.daemon.master.LANE_WAIT_S", 0.01)
    master = SlowMaster()
    client = client_of(master)
    acquires = [messages.Acquire(uuid4(), uuid4(), uuid4()) for _ in range(20)]
    crowd = [asyncio.create_task(client.carry_out([Call(uuid4(), one)])) for one in acquires]
    done, waiting = await asyncio.wait(crowd, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    while len(waiting) > LANES["entries"]:
        _, waiting = await asyncio.wait(waiting, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    given_up = [task.result()[0].answer for task in crowd if task not in waiting]
    assert len(given_up) == 20 - LANES["entries"]
    assert all(isinstance(answer, Unreachable) for answer in given_up)
    master.go.set()
    await asyncio.gather(*waiting)
    again = [client.carry_out([Call(uuid4(), one)]) for one in acquires[: LANES["entries"]]]
    assert all(isinstance(each[0].answer, messages.Refusal) for each in await asyncio.gather(*again))


async def test_all_who_need_the_keys_wait_for_one_attempt() -> None:
    master = SlowMaster()
    client = client_of(master)
    now = datetime.now(UTC)
    problems = await asyncio.gather(*(client.keys.refresh(now) for _ in range(30)))
    assert master.keys_asked == 1
    assert all(problem.startswith("the master's keys cannot be read") for problem in problems)
