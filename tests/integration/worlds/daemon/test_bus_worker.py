"""The daemon's ear on a real Valkey, which is stopped and started under it."""

import asyncio
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.conf import settings as django_settings

from tests.embedded_servers import free_port, wait_until
from waystone.embedded.unprivileged import place_servers
from waystone.embedded.valkey import Valkey
from worlds.bus import BUS_ERRORS, Outbox, daemon_channel
from worlds.daemon.bus_worker import BusWorker
from zonecluster.protocol import bus

WORLD = "bus-test"
DEADLINE_S = 60.0


class OwnValkey:
    """A Valkey of this test's own, to be killed at will."""

    def __init__(self, folder: Path) -> None:
        self.server = Valkey(place_servers(folder), free_port())
        self.server.prepare()
        self.log = folder / "valkey-of-test.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.process = self.server.start(self.log)
        wait_until(self.server.is_ready, DEADLINE_S, "Valkey answers")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def valkey(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    # beside the tests' own servers: a folder that their unprivileged user may enter
    folder = django_settings.CONFIG.state_dir / tmp_path_factory.mktemp("bus").name
    folder.mkdir()
    own = OwnValkey(folder)
    settings.CHANNEL_LAYERS = {
        "default": {
            **django_settings.CHANNEL_LAYERS["default"],
            "CONFIG": {"hosts": [own.server.url()], "prefix": "bus-test"},
        }
    }
    yield own
    own.kill()


@dataclass
class Heard:
    """What the worker was given."""

    messages: list[Any] = field(default_factory=list)
    ups: list[bool] = field(default_factory=list)


async def comes_true(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


async def tell(heard: Heard, incarnation: int) -> None:
    """Send until it arrives: the bus may lose what is sent while it comes back."""
    outbox = Outbox()
    message = bus.GatewayAlive("g", incarnation)
    async with asyncio.timeout(DEADLINE_S):
        while message not in heard.messages:
            outbox.put(daemon_channel(WORLD), message)
            await outbox.flush()
            await asyncio.sleep(0.05)


async def run_worker(scenario: Callable[[Heard], Any]) -> Heard:
    heard = Heard()
    worker = BusWorker(WORLD, heard.messages.extend, heard.ups.append)
    task = asyncio.create_task(worker.handle())
    try:
        await scenario(heard)
        assert not task.done(), "the worker goes on"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(*BUS_ERRORS):
            await get_channel_layer().flush()
    return heard


async def test_batches_arrive_and_rubbish_does_no_harm(valkey: OwnValkey) -> None:
    valkey.start()

    async def scenario(heard: Heard) -> None:
        await comes_true(lambda: heard.ups == [True], "the worker hears itself")
        layer = get_channel_layer()
        for rubbish in (
            {"type": "bus.batch", "payload": b"\xff\xff"},
            {"type": "bus.batch"},
            {"type": "bus.batch", "payload": bus.encoder.encode([{"t": "Unheard"}])},
            {"type": "something.else"},
            {"no": "type"},
        ):
            await layer.send(daemon_channel(WORLD), rubbish)
        await tell(heard, 5)

    heard = await run_worker(scenario)
    assert set(heard.messages) == {bus.GatewayAlive("g", 5)}


async def test_worker_started_before_its_bus_hears_it_later(valkey: OwnValkey) -> None:
    async def scenario(heard: Heard) -> None:
        await comes_true(lambda: heard.ups == [False], "the worker notices that there is no bus")
        await asyncio.to_thread(valkey.start)
        await comes_true(lambda: heard.ups == [False, True], "the worker hears itself")
        await tell(heard, 6)

    await run_worker(scenario)


async def test_bus_killed_and_started_again(valkey: OwnValkey) -> None:
    valkey.start()

    async def scenario(heard: Heard) -> None:
        await tell(heard, 7)
        for round_number in (1, 2):
            valkey.kill()
            await comes_true(lambda: heard.ups[-1:] == [False], "the outage is noticed")
            await asyncio.to_thread(valkey.start)
            await comes_true(lambda: heard.ups[-1:] == [True], "the end of the outage is noticed")
            await tell(heard, 7 + round_number)

    await run_worker(scenario)


async def test_bus_that_hangs_counts_as_down(valkey: OwnValkey) -> None:
    """A stopped process keeps its sockets open: nothing raises, only the echo tells."""
    valkey.start()

    async def scenario(heard: Heard) -> None:
        await tell(heard, 8)
        valkey.process.send_signal(signal.SIGSTOP)
        try:
            await comes_true(lambda: heard.ups[-1:] == [False], "the outage is noticed")
        finally:
            valkey.process.send_signal(signal.SIGCONT)
        await comes_true(lambda: heard.ups[-1:] == [True], "the end of the outage is noticed")
        await tell(heard, 9)

    await run_worker(scenario)
