"""`manage.py zonecluster` as a real process: the bus and its outage, SIGTERM, what keeps it from starting."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.embedded_servers import free_port, wait_until
from tests.zone_cluster import HARBOUR, UdpPlayer
from worlds.bus import Inbox, Outbox, cluster_channel, daemon_channel
from worlds.models import World, Zone, ZoneCluster
from zonecluster.daemon.config import CannotStart, load_config
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState
from zonecluster.protocol.figures import Consumer
from zonecluster.protocol.from_client import Look
from zonecluster.rules.character import new_character_state

MANAGE = Path(__file__).resolve().parents[3] / "manage.py"
DEADLINE_S = 30.0
CURSED = CharacterState(attributes={"cursed": 1})


class Daemon:
    """The world daemon's end of the bus: asks, and keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[bus.BusMessage] = []
        self._outbox = Outbox()
        self._inbox = Inbox(daemon_channel("demo"), bus.daemon_decoder)
        self._listening = asyncio.create_task(self._inbox.run(self.heard.extend))

    async def ask(self, message: bus.BusMessage, until: Callable[[bus.BusMessage], bool]) -> Any:
        """Send a message again and again until the answer is there; return it."""
        self.heard.clear()
        end = monotonic() + DEADLINE_S
        while True:
            self._outbox.put(cluster_channel("demo", "east"), message)
            await self._outbox.flush()
            await asyncio.sleep(0.1)  # between two requests, as the real daemon does
            for answer in self.heard:
                if until(answer):
                    return answer
            assert monotonic() < end, f"no answer to {message}; heard {self.heard}"

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    listener = Daemon()
    yield listener
    await listener.close()


class Cable:
    """A TCP connection to the bus that can be cut: forwards a port of its own until then."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = free_port()
        self._target = target
        self._sockets: list[socket.socket] = []
        self.plug()

    def plug(self) -> None:
        """Accept connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close everything; who connects now is refused."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):  # closed by the other end already
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    @staticmethod
    def _forward(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # cut
            while data := source.recv(65536):
                sink.sendall(data)
        source.close()
        sink.close()


@pytest.fixture
def cable() -> Iterator[Cable]:
    address = urlsplit(os.environ["REDIS_URL"])
    cable = Cable((address.hostname or "", address.port or 0))
    yield cable
    cable.cut()


@pytest.fixture
def start(
    world: World, process_environment: dict[str, str]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts the cluster; what still runs at the end is killed."""
    processes = []

    def start_one(name: str = "east", **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "zonecluster", name],
            env={**process_environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> str:
    """Wait for a process that ends by itself, as a failure; return what it said."""
    said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    return said


async def test_from_start_through_play_to_sigterm(
    start: Callable[..., subprocess.Popen[str]], daemon: Daemon, packet_path: str
) -> None:
    process = start(WAYSTONE_PACKET_PATH=packet_path)
    alive = await daemon.ask(bus.Hail("demo"), lambda m: isinstance(m, bus.ClusterAlive))
    assert alive.cluster == "east" and alive.instances == [] and alive.incarnation > 0
    opened = await daemon.ask(
        bus.OpenInstance(HARBOUR, "harbour"), lambda m: isinstance(m, bus.InstanceOpened)
    )
    assert opened == bus.InstanceOpened("east", alive.incarnation, HARBOUR)
    nowhere = await daemon.ask(
        bus.OpenInstance(99, "atlantis"), lambda m: isinstance(m, bus.InstanceOpened) and m.instance == 99
    )
    assert nowhere.error == "World 'demo' has no zone 'atlantis'."
    admit = bus.Admit(uuid4(), uuid4(), HARBOUR, uuid4(), "Alice", new_character_state(), "gate", 1, 1)
    admitted = await daemon.ask(admit, lambda m: isinstance(m, bus.Admitted))
    player = UdpPlayer(admitted.connect_token)
    await asyncio.to_thread(wait_until, lambda: player.pump() > 3, DEADLINE_S, "snapshots come")
    assert player.entities["id"][0] == admitted.entity
    daemon.heard.clear()
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE_S)
    assert process.returncode == 0, said
    await until(lambda: any(isinstance(m, bus.Checkpoint) for m in daemon.heard))
    checkpoint = next(m for m in daemon.heard if isinstance(m, bus.Checkpoint))
    assert checkpoint.session == admit.session and checkpoint.state.quests == {"visited:harbour": "done"}
    wait_until(lambda: player.pump() >= 0 and not player.is_connected, DEADLINE_S, "the client is told")
    player.socket.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition without stopping the event loop."""
    end = monotonic() + DEADLINE_S
    while not condition():
        assert monotonic() < end
        await asyncio.sleep(0.02)


async def test_bus_outage_is_survived_without_a_restart(
    start: Callable[..., subprocess.Popen[str]], daemon: Daemon, cable: Cable
) -> None:
    url = urlsplit(os.environ["REDIS_URL"])
    start(REDIS_URL=url._replace(netloc=f":{url.password}@127.0.0.1:{cable.port}").geturl())
    is_open = {"until": lambda m: isinstance(m, bus.InstanceOpened)}
    await daemon.ask(bus.OpenInstance(HARBOUR, "harbour"), **is_open)
    admit = bus.Admit(uuid4(), uuid4(), HARBOUR, uuid4(), "Alice", new_character_state(), "gate", 1, 1)
    admitted = await daemon.ask(admit, lambda m: isinstance(m, bus.Admitted))
    player = UdpPlayer(admitted.connect_token)

    def sees(ticks: int) -> None:
        seen = len(player.snapshots)
        wait_until(lambda: player.pump() > seen + ticks, DEADLINE_S, "snapshots come")

    await asyncio.to_thread(sees, 3)
    cable.cut()
    await asyncio.to_thread(sees, 60)  # three seconds of zone without bus
    cable.plug()
    alive = await daemon.ask(bus.Hail("demo"), lambda m: isinstance(m, bus.Residents) and bool(m.residents))
    assert alive.incarnation == admitted.incarnation
    assert alive.residents[0].session == admit.session
    player.socket.close()


async def test_a_process_that_was_stopped_goes_on_from_now_and_says_so_at_metrics(
    start: Callable[..., subprocess.Popen[str]], daemon: Daemon
) -> None:
    process = start()
    await daemon.ask(bus.OpenInstance(HARBOUR, "harbour"), lambda m: isinstance(m, bus.InstanceOpened))
    admit = bus.Admit(uuid4(), uuid4(), HARBOUR, uuid4(), "Alice", new_character_state(), "gate", 1, 1)
    admitted = await daemon.ask(admit, lambda m: isinstance(m, bus.Admitted))
    player = UdpPlayer(admitted.connect_token)
    await asyncio.to_thread(wait_until, lambda: player.pump() > 3, DEADLINE_S, "snapshots come")
    alive = await daemon.ask(bus.Hail("demo"), lambda m: isinstance(m, bus.ClusterAlive))
    skipped_before = (await asyncio.to_thread(metrics, alive.metrics))["waystone_zone_ticks_skipped_total"]
    process.send_signal(signal.SIGSTOP)
    until = monotonic() + 2

    def walks() -> bool:
        player.walk(127, 0)
        return player.pump() > 0

    await asyncio.to_thread(wait_until, lambda: walks() and monotonic() > until, DEADLINE_S, "2 s of inputs")
    seen, at = len(player.snapshots), int(player.entities["x"][0])
    process.send_signal(signal.SIGCONT)
    await asyncio.to_thread(
        wait_until,
        lambda: walks() and len(player.snapshots) > seen + 10 and player.entities["x"][0] > at,
        DEADLINE_S,
        "snapshots and steps go on",
    )
    assert player.is_connected
    found = await asyncio.to_thread(metrics, alive.metrics)
    assert found["waystone_zone_ticks_skipped_total"] - skipped_before >= 35
    assert found["waystone_zone_players"] == 1
    player.socket.close()


def metrics(address: str) -> dict[str, float]:
    """Return the samples without labels that a running cluster exports."""
    return {sample.name: sample.value for sample in samples(address) if not sample.labels}


def samples(address: str) -> list[Sample]:
    """Return all samples that a running cluster exports."""
    with urlopen(f"http://{address}/metrics", timeout=DEADLINE_S) as answer:  # noqa: S310  (its own address)
        families = list(text_string_to_metric_families(answer.read().decode()))
    return [sample for each in families for sample in each.samples]


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process by the kernel's account, of all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Bill:
    """What a process has used by now, by the kernel and by its own accounts."""

    def __init__(self, pid: int, address: str) -> None:
        found = samples(address)
        self.used_s = cpu_s(pid)

        def total(name: str) -> float:
            return sum(sample.value for sample in found if sample.name == f"waystone_zone_{name}_total")

        self.in_accounts_s, self.in_instances_s = total("account_cpu_seconds"), total("instance_cpu_seconds")
        self.assigned_s = sum(
            sample.value for sample in found if sample.labels.get("account") in ("players", "creatures")
        )


async def test_the_accounts_are_what_the_process_used_and_name_who_used_most(
    start: Callable[..., subprocess.Popen[str]], daemon: Daemon
) -> None:
    """Ratios of CPU time, over at least half a second of it: what else the machine does is no matter."""
    process = start()
    await daemon.ask(bus.OpenInstance(HARBOUR, "harbour"), lambda m: isinstance(m, bus.InstanceOpened))
    links, mallory = [], uuid4()
    for number, name in enumerate(("Alice", "Bob", "Mallory"), 1):
        session = mallory if name == "Mallory" else uuid4()
        admit = bus.Admit(session, uuid4(), HARBOUR, uuid4(), name, new_character_state(), "gate", number, 1)
        admitted = await daemon.ask(
            admit, lambda m, s=session: isinstance(m, bus.Admitted) and m.session == s
        )
        links.append(UdpPlayer(admitted.connect_token))
    alive = await daemon.ask(bus.Hail("demo"), lambda m: isinstance(m, bus.ClusterAlive))
    outbox = Outbox()
    before = await asyncio.to_thread(Bill, process.pid, alive.metrics)
    end = monotonic() + DEADLINE_S
    while cpu_s(process.pid) - before.used_s < 0.5:
        assert monotonic() < end
        for link in links:
            link.walk(127, 0)
            link.pump()
        for seq in range(10):
            outbox.put(cluster_channel("demo", "east"), bus.SessionCommand(mallory, Look(seq)))
        await outbox.flush()
        await asyncio.sleep(0.05)  # as players do, not a wait for anything
    after = await asyncio.to_thread(Bill, process.pid, alive.metrics)
    used_s = after.used_s - before.used_s
    assert abs(after.in_accounts_s - before.in_accounts_s - used_s) <= 0.05 * used_s
    assert abs(after.in_instances_s - after.assigned_s) <= 0.01 * after.assigned_s
    assert 0 < after.assigned_s - before.assigned_s < used_s
    daemon.heard.clear()
    await until(lambda: any(consumers(m) for m in daemon.heard))
    assert next(filter(None, map(consumers, daemon.heard)))[0].name == "Mallory"
    for link in links:
        link.socket.close()


def consumers(message: bus.BusMessage) -> list[Consumer]:
    """Return who used most, as a cluster's sign of life tells."""
    is_told = isinstance(message, bus.ClusterAlive) and message.figures is not None
    return message.figures.consumers if is_told else []


@pytest.fixture
def fixed_port(world: World) -> int:
    """Return the UDP port that the cluster is told to bind."""
    port = free_port()
    ZoneCluster.objects.filter(name="east").update(udp_port=port)
    return port


async def test_bus_that_is_down_at_the_start_is_waited_for(
    fixed_port: int, start: Callable[..., subprocess.Popen[str]], daemon: Daemon, cable: Cable
) -> None:
    url = urlsplit(os.environ["REDIS_URL"])
    cable.cut()
    start(REDIS_URL=url._replace(netloc=f":{url.password}@127.0.0.1:{cable.port}").geturl())
    await asyncio.to_thread(wait_until, lambda: is_taken(fixed_port), DEADLINE_S, "the cluster listens")
    cable.plug()
    await daemon.ask(bus.Hail("demo"), lambda m: isinstance(m, bus.ClusterAlive))


def is_taken(port: int) -> bool:
    """Whether somebody listens on this UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_taken_port_is_named(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ZoneCluster.objects.filter(name="east").update(udp_port=port)
        said = end(start())
    assert f"UDP port {port} on 127.0.0.1 is taken by another process" in said


def test_missing_row_is_told_with_the_names_there_are(start: Callable[..., subprocess.Popen[str]]) -> None:
    assert "has no cluster 'west'; it has: east." in end(start("west"))


def test_disabled_cluster_empty_world_and_useless_address_are_told_apart(world: World) -> None:
    for changes, says in (
        ({"is_enabled": False}, "is disabled. Enable it in the admin"),
        ({"is_enabled": True, "udp_host": "0.0.0.0"}, "set its public host in the admin"),
        ({"udp_host": "127.0.0.1", "public_host": "no-such-host.invalid"}, "has no address"),
    ):
        ZoneCluster.objects.update(**changes)
        with pytest.raises(CannotStart, match=says):
            load_config("demo", "east")
    Zone.objects.all().delete()
    with pytest.raises(CannotStart, match="has no zones. Import its content pack first"):
        load_config("demo", "east")


# A rule of a later day: Python reads this before manage.py, so it is in place when the rules are imported.
CURSE = """
from zonecluster.rules import character

sound = character.health_fraction

def cursed(state):
    if "cursed" in state.attributes:
        raise ZeroDivisionError("nobody has foreseen that")
    return sound(state)

character.health_fraction = cursed
"""


async def test_a_poisoned_document_costs_its_player_alone(
    start: Callable[..., subprocess.Popen[str]],
    process_environment: dict[str, str],
    daemon: Daemon,
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CURSE)
    paths = os.pathsep.join([str(tmp_path), process_environment["PYTHONPATH"]])
    process = start(WAYSTONE_PACKET_PATH="plain", PYTHONPATH=paths)
    await daemon.ask(bus.OpenInstance(HARBOUR, "harbour"), lambda m: isinstance(m, bus.InstanceOpened))
    alice = bus.Admit(uuid4(), uuid4(), HARBOUR, uuid4(), "Alice", new_character_state(), "gate", 1, 1)
    admitted = await daemon.ask(alice, lambda m: isinstance(m, bus.Admitted))
    player = UdpPlayer(admitted.connect_token)
    await asyncio.to_thread(wait_until, lambda: player.pump() > 3, DEADLINE_S, "snapshots come")
    mallory = bus.Admit(uuid4(), uuid4(), HARBOUR, uuid4(), "Mallory", CURSED, "gate", 2, 2)
    report = await daemon.ask(mallory, lambda m: isinstance(m, bus.Poisoned))
    assert (report.session, report.where, report.name) == (mallory.session, "admit", "Mallory")
    assert "ZeroDivisionError: nobody has foreseen that" in report.error and b"cursed" in report.document
    seen = len(player.snapshots)
    await asyncio.to_thread(wait_until, lambda: player.pump() > seen + 20, DEADLINE_S, "the zone goes on")
    daemon.heard.clear()
    await until(lambda: any(isinstance(m, bus.Poisoned) for m in daemon.heard))  # until it is confirmed
    stored = bus.ReportStored(report.session, report.stay)
    residents = await daemon.ask(stored, lambda m: isinstance(m, bus.Residents) and m.residents != [])
    assert [each.session for each in residents.residents] == [alice.session]
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE_S)
    assert process.returncode == 0, said
    assert "document_poisoned" in said


def test_absent_database_is_named(start: Callable[..., subprocess.Popen[str]]) -> None:
    said = end(start(DATABASE_URL=f"postgresql://waystone:x@127.0.0.1:{free_port()}/waystone"))
    assert "The database cannot be used" in said and "DATABASE_URL names another" in said
