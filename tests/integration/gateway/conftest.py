"""A hub in the test's own loop, on the real bus, and the world daemon's ear on it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator

from waystone.gateway.application import make_application
from waystone.gateway.hub import Hub
from waystone.gateway.limits import Limits
from worlds.bus import decode_batch, gateway_channel
from zonecluster.protocol import bus

WORLD = "testworld"
DEADLINE_S = 20.0


class World:
    """What the gateway talks to: receives for the daemon and clusters, sends to the gateway."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.layer = get_channel_layer()
        self.application = make_application(hub, ["127.0.0.1"])

    async def connect(self, **headers: str) -> WebsocketCommunicator:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        socket = WebsocketCommunicator(self.application, "/world-link/", headers=pairs)
        is_open, _ = await socket.connect(timeout=DEADLINE_S)
        assert is_open
        return socket

    async def hears(self, channel: str, decoder: Any, kind: type) -> Any:
        """Return the next message of a kind that arrives on a channel."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for message in decode_batch(await self.layer.receive(channel), decoder):
                    if isinstance(message, kind):
                        return message

    async def daemon_hears(self, kind: type) -> Any:
        return await self.hears(f"daemon.{WORLD}", bus.daemon_decoder, kind)

    async def cluster_hears(self, cluster: str, kind: type) -> Any:
        return await self.hears(f"cluster.{WORLD}.{cluster}", bus.cluster_decoder, kind)

    async def listen_as(self, cluster: str) -> None:
        """Subscribe to a cluster's channel: the bus keeps nothing for who listens later."""
        channel = f"cluster.{WORLD}.{cluster}"
        hearing = asyncio.create_task(self.cluster_hears(cluster, bus.Hail))
        async with asyncio.timeout(DEADLINE_S):
            while not hearing.done():
                payload = bus.encoder.encode([bus.Hail(WORLD)])
                await self.layer.send(channel, {"type": "bus.batch", "payload": payload})
                await asyncio.wait([hearing], timeout=0.05)

    async def tell(self, *messages: bus.BusMessage) -> None:
        """Send a batch to the gateway."""
        payload = bus.encoder.encode(list(messages))
        await self.layer.send(gateway_channel(self.hub.name), {"type": "bus.batch", "payload": payload})


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    hub = Hub(world=WORLD, name="gateway-under-test", limits=Limits(max_links=20))
    hub.ensure_started()
    running = World(hub)
    # The bus has no memory: both sides must be listening before anything is said.
    await running.daemon_hears(bus.GatewayAlive)
    yield running
    await hub.stop(grace_s=1.0)
    await get_channel_layer().flush()
