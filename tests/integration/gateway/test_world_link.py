"""The world link's consumer and hub on the real bus."""

import asyncio
import json
from uuid import UUID

import msgspec
import pytest
from channels.layers import get_channel_layer

from tests.integration.gateway.conftest import DEADLINE_S, WORLD, World
from waystone.gateway.hub import Hub
from waystone.gateway.limits import Limits
from waystone.gateway.link import CLOSE_FULL, CLOSE_RESTART
from worlds.bus import Inbox, gateways_group
from zonecluster.protocol import bus, to_client
from zonecluster.protocol.from_client import Hello, Say

SESSION = UUID(int=7)
WELCOME = to_client.Welcome(WORLD, [], "free", "Be kind.", "resume-token-of-alice")
HELLO = json.dumps({"type": "hello", "protocol_version": 1, "ticket": "t" * 40})
SAY = json.dumps({"type": "say", "seq": 4, "text": "hi"})


async def greeted(world: World) -> tuple:
    """Return an open, welcomed socket and its link's id."""
    socket = await world.connect()
    await socket.send_to(text_data=HELLO)
    asked = await world.daemon_hears(bus.LinkMessage)
    await world.tell(bus.ToLinks([asked.link], WELCOME))
    assert json.loads(await socket.receive_from(DEADLINE_S))["type"] == "welcome"
    return socket, asked.link


async def test_hello_reaches_the_daemon_and_its_answer_the_client(world: World) -> None:
    socket = await world.connect()
    await socket.send_to(text_data=HELLO)
    asked = await world.daemon_hears(bus.LinkMessage)
    assert asked.message == Hello(1, ticket="t" * 40)
    assert (asked.gateway, asked.incarnation) == (world.hub.name, world.hub.incarnation)
    await world.tell(bus.ToLinks([asked.link], WELCOME))
    assert json.loads(await socket.receive_from(DEADLINE_S))["motd"] == "Be kind."
    await socket.disconnect()
    assert (await world.daemon_hears(bus.LinkClosed)).link == asked.link


async def test_no_socket_is_taken_before_its_answers_can_be_heard() -> None:
    """Found by restarts: a Welcome went to a gateway that had not subscribed to the bus yet."""
    hub = Hub(world=WORLD, name="gateway-that-starts", limits=Limits())
    inbox, listens = Inbox.run, asyncio.Event()

    async def late(self: Inbox, handle: object) -> None:
        await listens.wait()
        await inbox(self, handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inbox, "run", late)
        hub.ensure_started()
        opening = asyncio.create_task(World(hub).connect())
        await asyncio.wait([opening], timeout=0.5)
        assert not opening.done() and hub.why_not_ready() and not hub.links
        listens.set()
        socket = await opening
        assert hub.links and not hub.why_not_ready()
        await socket.disconnect()
    await hub.stop(grace_s=1.0)
    await get_channel_layer().flush()


async def test_a_binary_client_gets_binary_answers(world: World) -> None:
    socket = await world.connect()
    await socket.send_to(bytes_data=msgspec.msgpack.encode(json.loads(HELLO)))
    asked = await world.daemon_hears(bus.LinkMessage)
    await world.tell(bus.ToLinks([asked.link], WELCOME))
    assert to_client.msgpack_decoder.decode(await socket.receive_from(DEADLINE_S)) == WELCOME
    await socket.disconnect()


async def test_commands_go_to_the_routed_cluster_and_follow_the_route(world: World) -> None:
    socket, link = await greeted(world)
    await world.tell(bus.Route(link, SESSION, "east"), bus.ToLinks([link], to_client.Notice("routed")))
    await socket.receive_from(DEADLINE_S)
    await world.listen_as("east")
    await socket.send_to(text_data=SAY)
    assert await world.cluster_hears("east", bus.SessionCommand) == bus.SessionCommand(SESSION, Say(4, "hi"))
    await world.tell(bus.Route(link, SESSION, ""), bus.ToLinks([link], to_client.Notice("unrouted")))
    await socket.receive_from(DEADLINE_S)
    await socket.send_to(text_data=SAY)
    refused = json.loads(await socket.receive_from(DEADLINE_S))
    assert (refused["code"], refused["seq"]) == ("not_now", 4)
    await socket.disconnect()


async def test_one_message_for_many_links(world: World) -> None:
    links = [await greeted(world) for _ in range(3)]
    heard = to_client.Heard("Bob", 5, "Good morning.")
    await world.tell(bus.ToLinks([link for _, link in links] + [12345], heard))
    for socket, _ in links:
        assert json.loads(await socket.receive_from(DEADLINE_S))["text"] == "Good morning."
        await socket.disconnect()
    assert world.hub.statistics.undeliverable == 1, "the link that is not here"


async def test_close_link_comes_after_what_was_sent_before(world: World) -> None:
    socket, link = await greeted(world)
    await world.tell(bus.ToLinks([link], to_client.Goodbye("Until next time.", True)), bus.CloseLink(link))
    assert json.loads(await socket.receive_from(DEADLINE_S))["is_saved"] is True
    assert await socket.receive_output(DEADLINE_S) == {"type": "websocket.close", "code": 1000}
    await socket.disconnect()


async def test_hail_is_answered_with_life_and_links(world: World) -> None:
    socket, link = await greeted(world)
    await world.tell(bus.Route(link, SESSION, "east"))
    payload = bus.encoder.encode([bus.Hail(WORLD)])
    await world.layer.group_send(gateways_group(WORLD), {"type": "bus.batch", "payload": payload})
    while True:
        told = await world.daemon_hears(bus.LinksOpen)
        if told.links and told.links[0].session:
            break
    assert told.links == [bus.OpenLink(link, SESSION)]
    await socket.disconnect()


async def test_a_full_gateway_closes_newcomers_with_1013(world: World) -> None:
    sockets = [await world.connect() for _ in range(world.hub.limits.max_links)]
    newcomer = await world.connect()
    assert await newcomer.receive_output(DEADLINE_S) == {"type": "websocket.close", "code": CLOSE_FULL}
    for socket in sockets:
        await socket.disconnect()


async def test_stopping_closes_links_with_1012(world: World) -> None:
    socket, _ = await greeted(world)
    await world.hub.stop()
    assert await socket.receive_output(DEADLINE_S) == {"type": "websocket.close", "code": CLOSE_RESTART}
    await socket.disconnect()


async def test_a_reader_that_does_not_read_is_dropped(world: World) -> None:
    socket, link_id = await greeted(world)
    link = world.hub.links[link_id]
    link.outgoing.flow.pause()
    flood = [bus.ToLinks([link_id], to_client.Notice("x" * 1000)) for _ in range(600)]
    await world.tell(*flood)
    while world.hub.statistics.dropped_slow == 0:
        await world.daemon_hears(bus.GatewayAlive)
    assert link_id not in world.hub.links
    assert link.outgoing.waiting_bytes == 0, "its memory is free"
    await socket.disconnect()


async def test_a_foreign_page_is_refused(world: World) -> None:
    with pytest.raises(AssertionError):
        await world.connect(origin="https://mallory.example")
    assert not world.hub.links


async def test_a_damaged_batch_is_ignored(world: World) -> None:
    socket, link = await greeted(world)
    channel = f"gateway.{world.hub.name}"
    for payload in (b"", b"\xc1", bus.encoder.encode([{"t": "Surprise"}])):
        await world.layer.send(channel, {"type": "bus.batch", "payload": payload})
    await world.tell(bus.ToLinks([link], to_client.Notice("still here")))
    assert json.loads(await socket.receive_from(DEADLINE_S))["text"] == "still here"
    await socket.disconnect()


async def test_a_gateway_whose_task_breaks_ends_instead_of_staying_deaf(world: World) -> None:
    failed = asyncio.Event()
    world.hub.on_failure = failed.set
    world.hub.links[1] = None  # type: ignore[assignment]  # the next tick breaks on it
    async with asyncio.timeout(DEADLINE_S):
        await failed.wait()
    del world.hub.links[1]


async def test_a_frame_that_the_bus_cannot_carry_is_a_bad_frame(world: World) -> None:
    socket = await world.connect()
    await socket.send_to(text_data=HELLO.replace('"protocol_version": 1', '"protocol_version": 1' + "0" * 30))
    assert json.loads(await socket.receive_from(DEADLINE_S))["code"] == "bad_frame"
    await socket.send_to(text_data=HELLO)
    assert (await world.daemon_hears(bus.LinkMessage)).message == Hello(1, ticket="t" * 40)
    await socket.disconnect()
