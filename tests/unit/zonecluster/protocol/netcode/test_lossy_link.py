"""Both cores over an in-memory network that loses, doubles, delays and reorders, under invented time."""

import pytest

from tests.unit.zonecluster.protocol.netcode.setting import SERVER, Wire, mint, server
from zonecluster.protocol.netcode import (
    ClientState,
    Connected,
    Disconnected,
    DisconnectReason,
    Payload,
    PayloadReceived,
    ServerCore,
)

BAD = {"loss": 0.3, "doubled": 0.2, "delay_s": (0.01, 0.25)}
SECOND = ("203.0.113.6", 40000)
IPV6_SERVER = ("2001:db8::5", 40000)


def address(number):
    return (f"10.0.0.{number}", 9000 + number)


def network(seed, clients, where=SERVER, **kind):
    wire = Wire(seed, **kind)
    wire.servers[where] = server(public_addresses=[where], max_clients=clients)
    for number in range(1, clients + 1):
        wire.add_client(address(number), mint(number, server_addresses=[where]))
    return wire, wire.servers[where]


@pytest.mark.parametrize("seed", range(5))
def test_everybody_gets_in_and_every_payload_comes_at_most_once(seed):
    wire, core = network(seed, clients=8, **BAD)
    wire.run(4.0)
    assert [client.state for client in wire.clients.values()] == [ClientState.CONNECTED] * 8
    admitted = [event for event in core.events() if isinstance(event, Connected)]
    assert sorted(event.client_id for event in admitted) == list(range(1, 9))
    assert sorted(event.slot for event in admitted) == list(range(8))

    for turn in range(60):
        for number in range(1, 9):
            wire.clients[address(number)].send_payload(b"up %d %d" % (number, turn), wire.now)
            core.send_payload(number, b"down %d %d" % (number, turn), wire.now)
        wire.run(0.05)
    wire.run(0.5)
    ups = [event for event in core.events() if isinstance(event, Payload)]
    assert len({event.data for event in ups}) == len(ups)
    assert all(event.data.startswith(b"up %d " % event.client_id) for event in ups)
    for number in range(1, 9):
        events = wire.clients[address(number)].events()
        downs = [event.data for event in events if isinstance(event, PayloadReceived)]
        assert len(set(downs)) == len(downs)
        assert all(data.startswith(b"down %d " % number) for data in downs)
        assert 25 <= len(downs) <= 60
        mine = [event for event in ups if event.client_id == number]
        assert 25 <= len(mine) <= 60
    assert core.statistics.drops["replayed"] > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_goodbye_gets_through(seed):
    wire, core = network(seed, clients=2, **BAD)
    wire.run(3.0)
    core.events()
    wire.clients[address(1)].disconnect(wire.now)
    core.disconnect(2, wire.now)
    wire.run(1.0)
    reasons = {event.client_id: event.reason for event in core.events() if isinstance(event, Disconnected)}
    assert reasons == {1: DisconnectReason.BY_CLIENT, 2: DisconnectReason.BY_SERVER}
    assert wire.clients[address(2)].state is ClientState.DISCONNECTED


def test_the_same_seed_gives_the_same_traffic():
    totals = []
    for _ in range(2):
        wire, core = network(3, clients=4, **BAD)
        wire.run(2.0)
        totals.append(core.snapshot())
    assert totals[0] == totals[1]
    assert totals[0]["connected"] == 4


def test_a_cut_cable_is_noticed_at_both_ends():
    wire, core = network(0, clients=1)
    wire.run(1.0)
    core.events()
    wire.loss = 1.0
    wire.run(5.2)
    (event,) = core.events()
    assert (event.client_id, event.reason) == (1, DisconnectReason.TIMED_OUT)
    assert wire.clients[address(1)].state is ClientState.CONNECTION_TIMED_OUT


def test_an_idle_link_stays_up_by_keep_alives():
    wire, core = network(0, clients=1, loss=0.2)
    wire.run(20.0)
    assert core.connected_count == 1
    assert wire.clients[address(1)].state is ClientState.CONNECTED
    seen = core.statistics.datagrams_sent
    assert 150 <= seen <= 210  # ten a second, no more


def test_ipv6():
    wire, core = network(0, clients=1, where=IPV6_SERVER)
    wire.clients.clear()
    client = wire.add_client(("2001:db8:5::9", 1234), mint(1, server_addresses=[IPV6_SERVER]))
    wire.run(1.0)
    assert client.state is ClientState.CONNECTED
    assert core.events()[0].address == ("2001:db8:5::9", 1234)


@pytest.mark.parametrize("first_is", ["silent", "full"])
def test_a_client_falls_over_to_the_second_server(first_is):
    wire = Wire()
    if first_is == "full":
        wire.servers[SERVER] = server(max_clients=1)
        wire.add_client(address(9), mint(9))
        wire.run(0.5)
    second: ServerCore = server(seed=2, public_addresses=[SECOND])
    wire.servers[SECOND] = second
    client = wire.add_client(address(1), mint(1, server_addresses=[SERVER, SECOND], timeout_s=2))
    wire.run(3.0)
    assert client.state is ClientState.CONNECTED
    assert client.server_address == SECOND
    assert second.is_connected(1)


def test_a_restarted_server_with_a_new_key_takes_no_old_token():
    wire, _ = network(0, clients=1)
    wire.run(1.0)
    wire.servers[SERVER] = server(private_key=bytes(32))
    wire.run(5.2)
    assert wire.clients[address(1)].state is ClientState.CONNECTION_TIMED_OUT
    late = wire.add_client(address(2), mint(2))
    wire.run(5.2)
    assert late.state is ClientState.CONNECTION_REQUEST_TIMED_OUT
    assert wire.servers[SERVER].connected_count == 0
