"""The daemon's door with real sockets and TLS, the agent's link on the other side; strangers of all kinds."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from waystone.supervisor.host_link import HostLink, LinkDown, LinkState, OtherMachine, OwnMachine
from worlds.daemon import host_door
from worlds.daemon.core.hosts import HostHeard, HostLost
from worlds.daemon.host_door import Admitted, Door, Place
from worlds.hosts import sockets
from worlds.hosts.certificate import client_context, load_or_create_certificate
from worlds.hosts.handshake import AgentSide, Claimed, HostRefused, Identity
from worlds.hosts.messages import ClusterRun, Kill, Refused, Report, Wanted, Welcome, frame
from worlds.uplink.keys import KeyPair, key_pair

WAIT_S = 20.0  # generous: machines are shared
ALICE, MALLORY = (key_pair(Ed25519PrivateKey.generate()) for _ in range(2))
RUN = ClusterRun(name="east", generation=2, state="ready", run=5)
REPORT = Report(clusters=[RUN], cores=2.0, memory_mb=4096)


class Doorway:
    """A door, who may come through it, and what was heard there."""

    def __init__(self, folder: Path, bind: str | None) -> None:
        self.certificate = load_or_create_certificate(folder / "c.pem", "demo")
        place = Place(
            folder / "run" / "h.sock", (bind, 0) if bind else None, self.certificate if bind else None
        )
        self.events: list[HostHeard | HostLost] = []
        self.alarms: list[tuple[str, str]] = []
        self.keys = {"second": ALICE.public_bytes, "third": ALICE.public_bytes}
        self.is_database_up = True
        self.door = Door("demo", place, self.admit, self.events.append, self.alarm)

    async def admit(self, claim: Claimed) -> Admitted:
        if not self.is_database_up:
            raise ConnectionError("no database")
        key = self.keys.get(claim.hello.host)
        if key is None or not claim.is_proven(key):
            raise HostRefused("This is not the key of the host.", "Join again.", claim.hello.host)
        return Admitted(claim.hello.host, key)

    def alarm(self, key: str, text: str, advice: str) -> None:
        if text:
            self.alarms.append((key, text))

    def target(self, host: str = "127.0.0.1") -> OtherMachine:
        return OtherMachine(host, self.door.port, self.certificate.fingerprint)


@contextlib.asynccontextmanager
async def doorway(folder: Path, bind: str | None = "127.0.0.1") -> AsyncIterator[Doorway]:
    made = Doorway(folder, bind)
    task = asyncio.create_task(made.door.run())
    try:
        await until(lambda: made.door.place.own.exists() and (bind is None or made.door.port))
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture
async def way(tmp_path) -> AsyncIterator[Doorway]:
    async with doorway(tmp_path) as made:
        yield made


class Agent:
    """The agent's link, stepped as the supervisor does it."""

    def __init__(self, target: OtherMachine | OwnMachine, host: str = "second", key: KeyPair = ALICE) -> None:
        identity = (
            Identity("demo", host, key.private.sign) if isinstance(target, OtherMachine) else Identity("demo")
        )
        self.link = HostLink(target, lambda: identity)
        self.heard: list = []

    def step(self) -> bool:
        self.heard += self.link.step(time.monotonic())
        return True

    async def until(self, condition: Callable[[], object]) -> None:
        await until(lambda: self.step() and condition())

    async def is_welcome(self) -> None:
        await self.until(lambda: self.link.state is LinkState.UP)

    def kinds(self) -> list[type]:
        return [type(each) for each in self.heard]


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_agent_of_another_machine_comes_reports_and_is_told(way):
    agent = Agent(way.target())
    await agent.is_welcome()
    agent.link.report(REPORT, time.monotonic())
    await agent.until(lambda: way.events)
    assert way.events == [HostHeard("second", REPORT)]
    way.door.tell("second", Wanted(clusters={"east": 3}))
    way.door.tell("second", Kill(cluster="east", run=5))
    way.door.tell("nobody", Kill(cluster="east", run=5))
    await agent.until(lambda: Kill in agent.kinds())
    assert agent.heard == [
        Welcome(world="demo", host="second"),
        Wanted(clusters={"east": 3}),
        Kill(cluster="east", run=5),
    ]
    agent.link.close()
    await until(lambda: way.events[-1] == HostLost("second"))


async def test_the_agent_of_the_own_machine_comes_by_a_unix_socket_however_deep(tmp_path):
    folder = tmp_path / ("deep" * 30) / ("deeper" * 20)
    folder.mkdir(parents=True)
    async with doorway(folder, bind=None) as way:
        agent = Agent(OwnMachine(way.door.place.own))
        await agent.is_welcome()
        agent.link.report(REPORT, time.monotonic())
        await agent.until(lambda: way.events)
        assert way.events == [HostHeard("", REPORT)] and way.door.whereabouts() == ("", "")
        assert way.door.place.own.stat().st_mode & 0o777 == 0o600
        assert way.door.place.own.parent.stat().st_mode & 0o777 == 0o700


async def test_who_breaks_the_rules_in_the_breath_of_its_hello_does_not_keep_the_place(tmp_path):
    """Welcome by its first frame, put out by its second: the next agent must find the place free."""
    async with doorway(tmp_path, bind=None) as way:
        rude = sockets.connect(way.door.place.own)
        rude.send(AgentSide(Identity("demo"), b"", bytes(32)).to_send() * 2)
        await until(lambda: way.door.counts["refused"])
        rude.close()
        agent = Agent(OwnMachine(way.door.place.own))
        await agent.is_welcome()
        assert not way.alarms


async def test_several_agents_on_several_addresses_of_this_machine(tmp_path):
    async with doorway(tmp_path, bind="127.0.0.2") as way:
        agents = {name: Agent(way.target("127.0.0.2"), name) for name in ("second", "third")}
        for name, agent in agents.items():
            await agent.is_welcome()
            way.door.tell(name, Wanted(clusters={f"of-{name}": 1}))
        for name, agent in agents.items():
            await agent.until(lambda agent=agent: Wanted in agent.kinds())
            assert agent.heard[-1] == Wanted(clusters={f"of-{name}": 1})
        assert way.door.whereabouts() == (f"127.0.0.2:{way.door.port}", way.certificate.fingerprint.hex())


async def test_a_wrong_key_is_refused_for_good_and_an_alarm_tells_whose_name_was_used(way):
    agent = Agent(way.target(), key=MALLORY)
    await agent.until(lambda: Refused in agent.kinds())
    assert agent.heard == [
        Refused(reason="This is not the key of the host.", advice="Join again.", is_final=True)
    ]
    assert way.events == [] and [key for key, _ in way.alarms] == ["host_refused:second"]
    assert "127.0.0.1" in way.alarms[0][1]


async def test_the_agent_says_nothing_to_a_daemon_with_another_certificate(way):
    target = OtherMachine("127.0.0.1", way.door.port, bytes(32))
    agent = Agent(target)
    await agent.until(lambda: LinkDown in agent.kinds())
    assert "certificate of the join code" in agent.heard[0].cause
    await until(lambda: way.door.counts["broken"] >= 1)
    assert way.door.counts["refused"] == 0, "not even a hello"


async def test_a_database_that_is_away_shuts_nobody_out_for_good(way):
    way.is_database_up = False
    agent = Agent(way.target())
    await agent.until(lambda: Refused in agent.kinds())
    assert agent.heard[0].is_final is False and "database" in agent.heard[0].reason
    way.is_database_up = True
    agent.link._next_at = 0.0
    await agent.is_welcome()


async def test_a_second_agent_of_a_host_is_refused_with_an_alarm_and_the_first_goes_on(way):
    first, second = Agent(way.target()), Agent(way.target())
    await first.is_welcome()
    await second.until(lambda: Refused in second.kinds())
    assert second.heard[0].is_final is False and "Another agent" in second.heard[0].reason
    assert [key for key, _ in way.alarms] == ["host_twice:second"]
    way.door.tell("second", Wanted(clusters={"east": 1}))
    await first.until(lambda: Wanted in first.kinds())


async def test_who_is_revoked_is_put_out_and_told_to_end_its_clusters(way):
    agent, other = Agent(way.target()), Agent(way.target(), "third")
    await agent.is_welcome()
    await other.is_welcome()
    way.door.keep({"second": b"", "third": ALICE.public_bytes}, 0.0)
    agent.step()
    assert Refused not in agent.kinds(), "that was read before it came"
    way.door.keep({"second": b"", "third": ALICE.public_bytes}, time.monotonic() + 1)
    await agent.until(lambda: Refused in agent.kinds())
    assert agent.heard[-1].is_final and way.events == [HostLost("second")]
    other.step()
    assert other.link.state is LinkState.UP


async def test_an_agent_that_falls_silent_is_lost_and_comes_back(way, monkeypatch):
    monkeypatch.setattr(host_door, "SILENT_S", 0.2)
    agent = Agent(way.target())
    await agent.is_welcome()
    await until(lambda: way.events == [HostLost("second")])
    await agent.until(lambda: LinkDown in agent.kinds())
    await agent.until(lambda: agent.kinds().count(Welcome) == 2)


async def test_a_daemon_that_is_away_is_tried_again_until_it_is_there(tmp_path):
    async with doorway(tmp_path) as way:
        target = way.target()
        agent = Agent(target)
        await agent.is_welcome()
    await agent.until(lambda: LinkDown in agent.kinds())
    again = Doorway(tmp_path, "127.0.0.1")
    again.door.place = Place(again.door.place.own, ("127.0.0.1", target.port), again.certificate)
    task = asyncio.create_task(again.door.run())
    await agent.until(lambda: agent.kinds().count(Welcome) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_port_that_is_taken_is_an_alarm_and_the_own_machine_is_served(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = Doorway(tmp_path, "127.0.0.1")
        made.door.place = Place(made.door.place.own, taken.getsockname(), made.certificate)
        task = asyncio.create_task(made.door.run())
        await until(lambda: made.alarms and made.door.place.own.exists())
        assert [key for key, _ in made.alarms] == ["hosts_door"]
        agent = Agent(OwnMachine(made.door.place.own))
        await agent.is_welcome()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---------------------------------------------------------------- strangers


async def open_tls(way: Doorway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", way.door.port, ssl=client_context(), server_hostname="")


async def test_slow_strangers_are_few_and_not_for_long(way, monkeypatch):
    """Of one address four wait at most, in TLS or before their proof; then the next is let in."""
    monkeypatch.setattr(host_door, "HANDSHAKE_S", 1.0)
    slow = [
        socket.create_connection(("127.0.0.1", way.door.port))
        for _ in range(host_door.WAITING_OF_ADDRESS + 5)
    ]
    await until(lambda: way.door.counts["turned_away"] == 5)
    assert way.door._waiting.total() == host_door.WAITING_OF_ADDRESS
    await until(lambda: way.door._waiting.total() == 0)
    agent = Agent(way.target())
    await agent.is_welcome()
    for each in slow:
        each.close()


async def test_a_hello_that_comes_byte_by_byte_does_not_hold_its_place(way, monkeypatch):
    monkeypatch.setattr(host_door, "HANDSHAKE_S", 1.0)
    reader, writer = await open_tls(way)
    hello = AgentSide(Identity("demo", "second", ALICE.private.sign), bytes(32), bytes(32)).to_send()
    with contextlib.suppress(OSError):
        for byte in hello:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
    await until(lambda: way.door._waiting.total() == 0)
    assert way.door.counts["timed_out"] >= 1
    writer.close()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"\0\0\0\0", frame(REPORT), b"\0\0\0\2\x81"], ids=str
)
async def test_rubbish_ends_the_connection_and_nothing_else(way, said):
    agent = Agent(way.target())
    await agent.is_welcome()
    reader, writer = await open_tls(way)
    writer.write(said)
    writer.write_eof() if writer.can_write_eof() else None
    if said != b"\0\0\0\2\x81":
        async with asyncio.timeout(WAIT_S):
            assert len(await reader.read(-1)) < 2000
    writer.close()
    await until(lambda: way.door._waiting.total() == 0)
    agent.step()
    assert agent.link.state is LinkState.UP and way.events == []


async def test_without_tls_nobody_gets_anywhere(way):
    reader, writer = await asyncio.open_connection("127.0.0.1", way.door.port)
    writer.write(AgentSide(Identity("demo", "second", ALICE.private.sign), bytes(32), bytes(32)).to_send())
    async with asyncio.timeout(WAIT_S):
        with contextlib.suppress(ConnectionError):
            assert b"Welcome" not in await reader.read(-1)
    writer.close()
    await until(lambda: way.door.counts["broken"] == 1)


async def test_tls_1_2_is_not_spoken(way):
    old = client_context()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", way.door.port, ssl=old, server_hostname="")


async def test_an_agent_that_floods_is_put_out(way):
    agent = Agent(way.target())
    await agent.is_welcome()
    for _ in range(host_door.REPORTS_PER_S * 3):
        agent.link.report(REPORT, time.monotonic())
    await agent.until(lambda: LinkDown in agent.kinds())
    assert len([event for event in way.events if isinstance(event, HostHeard)]) <= host_door.REPORTS_PER_S * 2
    assert way.events[-1] == HostLost("second")


async def test_an_agent_that_does_not_read_is_cut_off(way, monkeypatch):
    monkeypatch.setattr(host_door, "UNSENT_BYTES", 50_000)
    agent = Agent(way.target())
    await agent.is_welcome()
    crowd = {f"cluster-{number}": number for number in range(200)}
    for _ in range(5000):
        way.door.tell("second", Wanted(clusters=crowd))
        await asyncio.sleep(0)
        if way.events:
            break
    await until(lambda: way.events == [HostLost("second")])
