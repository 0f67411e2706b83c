"""Mallory at the doors: tickets, frames and datagrams that must not get in, nor harm Alice's play."""

import json
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator

import jwt
import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.conftest import Introduce
from tests.end_to_end.stack import Stack
from waystone_client import Player, Refusal, WorldLink
from worlds.bus import daemon_channel, decode_batch, gateway_channel
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

pytestmark = pytest.mark.end_to_end

HEADER = {"typ": "waystone-ticket+jwt"}


def claims_of(ticket: str) -> tuple[dict, dict]:
    return jwt.get_unverified_header(ticket), jwt.decode(ticket, options={"verify_signature": False})


def masters_key(stack: Stack, kid: str) -> Ed25519PrivateKey:
    key = load_pem_private_key((stack.state_dir / "keys" / "signing" / f"{kid}.pem").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


async def refusal_of(stack: Stack, ticket: str) -> str:
    """Say Hello with a ticket; return the code of the refusal."""
    link = WorldLink(stack.gateway_url)
    with pytest.raises(Refusal) as caught:
        await link.open(ticket=ticket)
    assert caught.value.reason and caught.value.advice
    return caught.value.code


async def test_a_ticket_opens_one_link_once(stack: Stack, introduce: Introduce) -> None:
    mallory = await introduce("Mallory")
    ticket = await mallory.master.ticket("demo")
    link = WorldLink(ticket.gateway_url)
    await link.open(ticket=ticket.ticket)
    assert await refusal_of(stack, ticket.ticket) == "ticket_used"
    await link.close()


async def test_tickets_that_the_master_did_not_sign_so(stack: Stack, introduce: Introduce) -> None:
    mallory = await introduce("Mallory")
    ticket = (await mallory.master.ticket("demo")).ticket
    header, claims = claims_of(ticket)
    key = masters_key(stack, header["kid"])

    def signed(signer: Ed25519PrivateKey, **changes: object) -> str:
        fresh = {"jti": str(uuid.uuid4())} | changes
        return jwt.encode(claims | fresh, signer, "EdDSA", headers=header)

    foreign = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=header)
    assert await refusal_of(stack, foreign) == "bad_ticket"
    assert await refusal_of(stack, ticket[:-8] + "AAAAAAAA") == "bad_ticket"
    assert await refusal_of(stack, jwt.encode(claims, None, "none", headers=HEADER)) == "bad_ticket"
    assert await refusal_of(stack, signed(key, aud="another-world")) == "bad_ticket"
    old = int(time.time()) - 3600
    assert await refusal_of(stack, signed(key, iat=old, nbf=old, exp=old + 60)) == "ticket_expired"
    assert await refusal_of(stack, signed(key)) == "bad_ticket", "one that was never issued"
    # Mallory's failures cost her nothing but time: the good ticket still works.
    link = WorldLink(stack.gateway_url)
    assert (await link.open(ticket=ticket)).world == "demo"
    await link.close()


@pytest.fixture
async def raw(stack: Stack) -> AsyncIterator[ClientConnection]:
    async with connect(stack.gateway_url, max_size=2**20) as socket:
        yield socket


async def answer(socket: ClientConnection) -> dict:
    return json.loads(await socket.recv())


async def test_an_unknown_protocol_version_is_refused(raw: ClientConnection) -> None:
    await raw.send(json.dumps({"type": "hello", "protocol_version": 99, "ticket": "t" * 40}))
    refused = await answer(raw)
    assert refused["code"] == "bad_protocol_version" and refused["advice"]


async def test_an_unknown_resume_token_is_refused(raw: ClientConnection) -> None:
    await raw.send(json.dumps({"type": "hello", "protocol_version": 1, "resume": secrets.token_urlsafe(32)}))
    refused = await answer(raw)
    assert refused["code"] == "bad_resume_token" and refused["advice"]


async def test_frames_that_are_no_messages(raw: ClientConnection) -> None:
    for frame in ("nonsense", "{}", '{"type":"enter","character":"x"}', b"\xc1\xff"):
        await raw.send(frame)
        data = await raw.recv()
        assert b"bad_frame" in (data if isinstance(data, bytes) else data.encode())
    await raw.send("[" * 9000)
    assert (await answer(raw))["code"] == "bad_frame"
    with pytest.raises(ConnectionClosed) as caught:
        await raw.recv()
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


async def test_a_frame_far_over_the_limit_drops_the_connection(raw: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed):
        await raw.send("x" * 500_000)
        await raw.recv()


async def test_a_flood_is_slowed_then_closed(raw: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed) as caught:
        for number in range(1000):
            await raw.send(json.dumps({"type": "ping", "seq": number}))
        while True:
            await raw.recv()
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008


async def test_a_page_of_another_site_is_refused(stack: Stack) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(stack.gateway_url, origin="https://mallory.example")
    assert caught.value.response.status_code == 403
    async with connect(stack.gateway_url, origin=stack.url) as own:
        await own.send('{"type":"ping","seq":1}')
        assert (await answer(own))["type"] == "pong"


async def test_floods_of_datagrams_and_sockets_do_not_reach_alice(stack: Stack, introduce: Introduce) -> None:
    alice: Player = await (await introduce("Alice")).enter()
    address = alice.zone_address
    assert address is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mallory:
        for size in (0, 1, 2, 17, 18, 333, 1077, 1078, 1079, 1300, 9000):
            for first in (0, 1, 0x15, 0x55, 0xFF):
                mallory.sendto(bytes([first])[:size] + secrets.token_bytes(max(0, size - 1)), address)
    links = [await connect(stack.gateway_url) for _ in range(50)]
    seen = alice.snapshots
    await alice.wait_until(lambda: alice.snapshots > seen + 20, 20.0, "snapshots to go on")
    assert (await alice.say("Nothing happened.")).ok
    for link in links:
        await link.close()
    assert alice.link.resumed == 0 and alice.zones_entered == 1
    assert (await alice.log_out()).is_saved


async def test_mallory_cannot_play_alices_character(stack: Stack, introduce: Introduce) -> None:
    alice = await introduce("Alice")
    mallory = await introduce("Mallory")
    hers = (await alice.master.characters()).characters[0].id
    ticket = await mallory.master.ticket("demo")
    link = WorldLink(ticket.gateway_url)
    welcome = await link.open(ticket=ticket.ticket)
    assert hers not in [character.id for character in welcome.characters]
    with pytest.raises(Refusal) as caught:
        await link.enter(hers)
    assert caught.value.code == "unknown_character"
    await link.close()


async def test_a_client_that_does_not_read_is_dropped(stack: Stack, introduce: Introduce) -> None:
    """Mallory opens a link, reads nothing, and is sent megabytes; Alice plays on."""
    alice = await (await introduce("Alice")).enter()
    layer = RedisPubSubChannelLayer(hosts=[stack.redis_url], prefix="waystone")
    channel = daemon_channel("demo")
    async with connect(stack.gateway_url, max_size=None, max_queue=1) as mallory:
        await mallory.send('{"type":"ping","seq":1}')
        await mallory.recv()
        hello = {"type": "hello", "protocol_version": 1, "client": "mallory", "ticket": "t" * 40}
        link = None
        while link is None:  # the bus is heard only by who listens already
            heard = await layer.receive(channel)
            for message in decode_batch(heard, bus.daemon_decoder):
                if (
                    isinstance(message, bus.LinkMessage)
                    and getattr(message.message, "client", "") == "mallory"
                ):
                    link = message
            if link is None:
                await mallory.send(json.dumps(hello))
        flood = bus.encoder.encode([bus.ToLinks([link.link], Notice("x" * 60_000))] * 10)
        for _ in range(30):
            await layer.send(gateway_channel(link.gateway), {"type": "bus.batch", "payload": flood})
        while "slow_link_dropped" not in (stack.state_dir / "log" / "gateway.log").read_text():
            assert (await alice.say("Is somebody shouting?")).ok
    await layer.flush()
    assert alice.link.resumed == 0
    assert (await alice.log_out()).is_saved
