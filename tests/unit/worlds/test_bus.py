"""Batches of the bus: what one bad message may cost."""

import asyncio
from uuid import UUID

import pytest

from worlds import bus as worlds_bus
from worlds.bus import Outbox, decode_batch, encode_batch
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Hello


def test_a_message_that_cannot_be_encoded_costs_no_other_message() -> None:
    alive = bus.GatewayAlive("gateway", 1)
    over_64_bits = bus.LinkMessage("gateway", 1, 2, Hello(10**30, ticket="t" * 40))
    surrogate = bus.LinkMessage("gateway", 1, 3, Hello(1, ticket="\ud800" * 40))
    closed = bus.LinkClosed("gateway", 1, 4)
    payload = encode_batch([alive, over_64_bits, surrogate, closed])
    assert decode_batch({"payload": payload}, bus.daemon_decoder) == [alive, closed]


def test_a_batch_is_encoded_as_it_is() -> None:
    messages = [bus.Route(5, UUID(int=7), "east"), bus.CloseLink(5)]
    assert decode_batch({"payload": encode_batch(messages)}, bus.gateway_decoder) == messages


async def test_who_flushes_waits_for_the_flush_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends flushes last; what another flush has taken must be on the bus by then."""
    sent, may_send = [], asyncio.Event()

    class SlowLayer:
        async def send(self, channel: str, message: object) -> None:
            await may_send.wait()
            sent.append(channel)

    monkeypatch.setattr(worlds_bus, "get_channel_layer", SlowLayer)
    outbox = Outbox()
    outbox.put("gateway.a", bus.CloseLink(5))
    under_way = asyncio.create_task(outbox.flush())
    await asyncio.sleep(0)
    last = asyncio.create_task(outbox.flush())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not last.done() and not sent
    may_send.set()
    await last
    assert sent == ["gateway.a"] and under_way.done()
