"""Batches of the bus: what one bad message may cost."""

from uuid import UUID

from worlds.bus import decode_batch, encode_batch
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
