"""The bus between gateways, world daemon and zone clusters: batches of messages over the Channels layer.

It may lose, double or reorder messages, and drops rather than waits: whoever needs an answer asks again.
"""

from collections import defaultdict
from typing import Any

import msgspec
import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from zonecluster.protocol import bus

log = structlog.get_logger(__name__)

MAX_QUEUED = 20_000  # messages waiting for one destination; more are dropped and counted


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

    def put(self, channel: str, message: bus.BusMessage) -> None:
        """Queue a message for a channel; dropped and counted when MAX_QUEUED wait there."""
        queue = self._waiting[channel]
        if len(queue) >= MAX_QUEUED:
            self.dropped += 1
            return
        queue.append(message)

    async def flush(self) -> None:
        """Send what waits. A bus that is down loses this batch: logged once per outage, counted always."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, defaultdict(list)
        layer = get_channel_layer()
        try:
            for channel, messages in waiting.items():
                await layer.send(channel, {"type": "bus.batch", "payload": bus.encoder.encode(messages)})
        except (OSError, RedisError) as error:  # redis' ConnectionError and TimeoutError are not the built-in ones
            self.failed_flushes += 1
            if self.failed_flushes == 1:
                log.warning("bus_unreachable", error=str(error))
        else:
            if self.failed_flushes:
                log.info("bus_back", lost_batches=self.failed_flushes)
            self.failed_flushes = 0


def decode_batch(message: dict[str, Any], decoder: msgspec.msgpack.Decoder) -> list[Any]:
    """Return the messages of a batch; a batch that does not decode is logged and empty."""
    try:
        return decoder.decode(message["payload"])
    except (KeyError, msgspec.DecodeError) as error:
        log.error("bus_batch_refused", error=str(error))
        return []
