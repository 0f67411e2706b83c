"""The daemon as a Channels worker: `daemon.<world>` is a channel name, routed to one application.

A plain channels.worker.Worker ends with the first error of its bus. This one goes on: it listens again after
an outage, and it sends itself an echo twice a second, so that the daemon knows whether the silence of others
means anything.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from channels.layers import get_channel_layer
from channels.routing import ChannelNameRouter
from channels.worker import Worker

from worlds.bus import BUS_ERRORS, RETRY_S, SEND_TIMEOUT_S, daemon_channel, decode_batch
from zonecluster.protocol import bus

log = structlog.get_logger(__name__)

ECHO_S = 0.5
SILENCE_S = 1.7  # three echoes lost: less than the 2.5 s after which a cluster counts as dead
RESUBSCRIBE_S = 5.0  # an outage longer than this: the layer is made new


class BusWorker(Worker):
    """Hands every batch of the daemon's channel to `on_batch`, and `on_up(bool)` when the bus comes or goes.

    Both are called on the event loop, in order, and must not block.
    """

    def __init__(
        self, world: str, on_batch: Callable[[list[Any]], None], on_up: Callable[[bool], None]
    ) -> None:
        self._channel = daemon_channel(world)
        self._on_batch = on_batch
        self._on_up = on_up
        self._is_up: bool | None = None
        self._heard_at = 0.0
        self._attempts = 0
        self._listening: asyncio.Task | None = None
        router = ChannelNameRouter({self._channel: self._application})
        super().__init__(router, [self._channel], get_channel_layer())

    async def _application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Take the channel's messages: batches of the bus, and our own echo."""
        loop = asyncio.get_running_loop()
        while True:
            message = await receive()
            if message["type"] == "bus.echo":
                self._heard_at = loop.time()
                self._say(True)
            elif message["type"] == "bus.batch":
                messages = decode_batch(message, bus.daemon_decoder)
                if messages:
                    self._on_batch(messages)
            else:
                log.warning("bus_message_of_unknown_type", type=str(message["type"])[:40])

    async def handle(self) -> None:
        """Listen and watch, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._watch())

    async def _listen(self) -> None:
        """Listen; again after every failure and every reset."""
        while True:
            self._listening = asyncio.create_task(self.listener(self._channel))
            try:
                await asyncio.wait({self._listening})
            finally:
                self._listening.cancel()
            error = None if self._listening.cancelled() else self._listening.exception()
            if error is not None and not isinstance(error, (*BUS_ERRORS, ValueError)):
                raise error  # not the bus: our own fault
            if error is not None:
                if self._attempts == 0:
                    log.warning("bus_subscription_failed", channel=self._channel, cause=str(error))
                await asyncio.sleep(RETRY_S[min(self._attempts, len(RETRY_S) - 1)])
                self._attempts += 1
                await self._flush_layer()

    async def _watch(self) -> None:
        """Send the echo, and judge by it."""
        loop = asyncio.get_running_loop()
        self._heard_at = reset_at = loop.time()
        while True:
            await self._echo()
            await asyncio.sleep(ECHO_S)
            silence = loop.time() - self._heard_at
            if silence > SILENCE_S:
                self._say(False)
            if silence > RESUBSCRIBE_S and loop.time() - reset_at > RESUBSCRIBE_S:
                reset_at = loop.time()
                await self._flush_layer()
                if self._listening is not None:
                    self._listening.cancel()  # it waits on a queue that the layer has forgotten

    async def _echo(self) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.channel_layer.send(self._channel, {"type": "bus.echo"})
        except BUS_ERRORS as error:
            log.debug("bus_echo_failed", cause=str(error))

    async def _flush_layer(self) -> None:
        """Make the layer forget its connections and subscriptions."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.channel_layer.flush()
        except BUS_ERRORS as error:
            log.debug("bus_reset_failed", cause=str(error))

    def _say(self, is_up: bool) -> None:
        if is_up:
            self._attempts = 0
        if is_up != self._is_up:
            self._is_up = is_up
            self._on_up(is_up)
