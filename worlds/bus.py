"""The bus between gateways, world daemon and zone clusters: batches of messages over the Channels layer.

It may lose, double or reorder messages, and drops rather than waits: whoever needs an answer asks again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from zonecluster.protocol import bus
from zonecluster.protocol.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

MAX_QUEUED = 20_000  # messages waiting for one destination; more are dropped and counted
SEND_TIMEOUT_S = 2.0  # a bus that does not answer for this long counts as down
RETRY_S = (0.2, 0.5, 1.0, 2.0)  # waits between attempts to subscribe; the last one repeats
CANCEL_AGAIN_S = 0.2
NOT_ENCODABLE = (OverflowError, TypeError, ValueError)  # an integer over 64 bits, a lone surrogate, …
BUS_ERRORS = (OSError, TimeoutError, RedisError)  # what a bus that is down raises


def daemon_channel(world: str) -> str:
    """Return the inbox of a world's daemon."""
    return f"daemon.{world}"


def cluster_channel(world: str, cluster: str) -> str:
    """Return the inbox of a zone cluster."""
    return f"cluster.{world}.{cluster}"


def gateway_channel(gateway: str) -> str:
    """Return the inbox of a gateway process."""
    return f"gateway.{gateway}"


def gateways_group(world: str) -> str:
    """Return the group of all gateways that serve a world (for Hail)."""
    return f"gateways.{world}"


class Outbox:
    """Messages waiting to be sent; `flush` sends one batch to each destination. Used from one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[bus.BusMessage]] = defaultdict(list)
        self.dropped = 0
        self.failed_flushes = 0
        self.messages = self.batches = 0  # sent since the start
        self._flushing = asyncio.Lock()

    def put(self, channel: str, message: bus.BusMessage) -> None:
        """Queue a message for a channel; dropped and counted when MAX_QUEUED wait there."""
        queue = self._waiting[channel]
        if len(queue) >= MAX_QUEUED:
            self.dropped += 1
            return
        queue.append(message)

    async def flush(self) -> None:
        """Send what waits. A bus that is down loses this batch: logged once per outage, counted always."""
        async with self._flushing:  # whoever waits for this knows that all before it is on the bus, too
            await self._send()

    async def _send(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, defaultdict(list)
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                for channel, messages in waiting.items():
                    await layer.send(channel, {"type": "bus.batch", "payload": encode_batch(messages)})
                    self.messages += len(messages)
                    self.batches += 1
        except BUS_ERRORS as error:
            self.failed_flushes += 1
            if self.failed_flushes == 1:
                log.warning("bus_unreachable", error=str(error) or type(error).__name__)
        else:
            if self.failed_flushes:
                log.info("bus_back", lost_batches=self.failed_flushes)
            self.failed_flushes = 0


class Inbox:
    """What arrives on a process's channel, and on a group it belongs to; subscribes again after every outage.

    One Inbox in a process: when a subscription fails it resets the process's channel layer, since the layer
    would otherwise take a subscription that never reached the bus for a good one. A bus that goes down later
    is the layer's own affair: it connects and subscribes again within about a second of its return.
    """

    def __init__(self, channel: str, decoder: msgspec.msgpack.Decoder, group: str | None = None) -> None:
        self._channel = channel
        self._decoder = decoder
        self._group = group

    async def run(self, handle: Callable[[list[Any]], None]) -> None:
        """Give every batch to `handle`, for ever; waits for a bus that is down. Only cancelling ends this."""
        attempt = 0
        while True:
            try:
                await self._listen(handle)
            except BUS_ERRORS as error:
                if attempt == 0:
                    log.warning("bus_subscription_failed", channel=self._channel, error=str(error))
                await self._reset_layer()
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    async def _listen(self, handle: Callable[[list[Any]], None]) -> None:
        """Subscribe, then pump batches until a subscription fails; raises what it failed with."""
        pumps = [asyncio.create_task(self._pump(self._channel, handle))]
        if self._group:
            pumps.append(asyncio.create_task(self._pump_group(self._group, handle)))
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            await _cancel(pumps)

    async def _pump(self, channel: str, handle: Callable[[list[Any]], None]) -> None:
        layer = get_channel_layer()
        while True:
            messages = decode_batch(await layer.receive(channel), self._decoder)
            if messages:
                handle(messages)

    async def _pump_group(self, group: str, handle: Callable[[list[Any]], None]) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        await self._pump(channel, handle)

    async def _reset_layer(self) -> None:
        try:
            await get_channel_layer().flush()
        except BUS_ERRORS as error:
            log.debug("bus_reset_failed", error=str(error))


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are: the Redis client swallows a cancellation that comes while it connects."""
    waiting: set[asyncio.Task[None]] = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def encode_batch(messages: list[bus.BusMessage]) -> bytes:
    """Return a batch as bytes. A message that cannot be encoded is logged and left out: a fault of ours,
    which must not cost everybody else's messages, nor the loop that sends them.
    """
    try:
        return bus.encoder.encode(messages)
    except NOT_ENCODABLE:
        return bus.encoder.encode([message for message in messages if _can_be_encoded(message)])


def _can_be_encoded(message: bus.BusMessage) -> bool:
    try:
        bus.encoder.encode(message)
    except NOT_ENCODABLE as error:
        log.error("bus_message_not_encodable", kind=type(message).__name__, error=str(error))
        return False
    return True


def decode_batch(message: dict[str, Any], decoder: msgspec.msgpack.Decoder) -> list[Any]:
    """Return the messages of a batch; a batch that does not decode is logged and empty."""
    try:
        return decoder.decode(message["payload"])
    except (KeyError, *UNREADABLE) as error:
        log.error("bus_batch_refused", error=str(error))
        return []
