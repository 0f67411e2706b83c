"""What only the batch path has to do right: batches that are mixed, full, or refused by the kernel."""

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode.setting import UNIX, Peer, mint, request, server
from zonecluster.packets.arrivals import MAX_OPENED_A_TICK
from zonecluster.packets.batch_path import RECEIVE_BATCH, SEND_BATCH, BatchPath
from zonecluster.packets.wall import TAGS_BURST, TO_CORE_A_TICK
from zonecluster.protocol.netcode import Connected, Disconnected


class Crowd:
    """A batch path with that many connected peers, each with an address of its own."""

    def __init__(self, count):
        self.socket = MemorySocket()
        self.path = BatchPath(self.socket, server(max_clients=max(count, 4)))
        tokens = {self.address(number): mint(number) for number in range(count)}
        self.peers = {address: Peer(token, address) for address, token in tokens.items()}
        self.in_ticks([(request(token), address) for address, token in tokens.items()])
        challenges = [(self.peers[address], data) for data, address in self.take_sent()]
        self.in_ticks([(peer.packet(3, peer.open(data).body), peer.address) for peer, data in challenges])
        self.slots = {}
        for event in self.path.take_events():
            assert isinstance(event, Connected)
            self.slots[event.address] = event.slot
        self.take_sent()
        self.path.take_arrivals()

    def in_ticks(self, datagrams):
        """Let strangers' datagrams arrive, in each tick as many as are looked at."""
        for start in range(0, len(datagrams), TO_CORE_A_TICK):
            self.socket.arriving += datagrams[start : start + TO_CORE_A_TICK]
            self.receive()
            self.path.take_arrivals()

    def address(self, number):
        return f"10.0.{number >> 8}.{number & 255}", 5000

    def receive(self):
        while self.path.receive(0.0, UNIX):
            pass

    def take_sent(self):
        sent, self.socket.sent = self.socket.sent, []
        return sent


def test_a_batch_of_many_keeps_who_sent_what_and_reaches_everybody():
    crowd = Crowd(SEND_BATCH * 2 + 3)
    expected = {}
    for number, (address, peer) in enumerate(crowd.peers.items()):
        crowd.socket.arriving.append((peer.packet(5, b"input %d" % number), address))
        expected[crowd.slots[address]] = b"input %d" % number
    crowd.path.receive(0.0, UNIX)
    arrivals = crowd.path.take_arrivals()
    assert {int(slot): arrivals.payload(row) for row, slot in enumerate(arrivals.slots)} == expected
    slots = np.array(list(crowd.slots.values()))
    payloads = np.repeat(slots.astype(np.uint8)[:, None], 40, axis=1)
    assert crowd.path.send(slots, payloads, 1.0) == len(slots)
    for data, address in crowd.take_sent():
        assert crowd.peers[address].open(data).body == bytes([crowd.slots[address] & 255]) * 40


def test_disconnect_and_junk_in_one_batch_hurt_nobody_else():
    crowd = Crowd(3)
    (alice, at_alice), (bob, at_bob), (mallory, at_mallory) = (
        (peer, address) for address, peer in crowd.peers.items()
    )
    crowd.socket.arriving += [
        (mallory.packet(5, b"mine"), at_mallory),
        (alice.packet(5, b"one"), at_alice),
        (alice.packet(6), at_alice),
        (alice.packet(5, b"from the grave"), at_alice),
        (mallory.packet(5, b"forged as Bob"), at_bob),
        (bob.packet(5, b"two"), at_bob),
        (b"", at_mallory),
    ]
    crowd.path.receive(0.0, UNIX)
    arrivals = crowd.path.take_arrivals()
    assert [arrivals.payload(row) for row in range(len(arrivals))] == [b"mine", b"two"]
    (event,) = crowd.path.take_events()
    assert isinstance(event, Disconnected)
    assert event.slot == crowd.slots[at_alice]


def test_a_flood_of_one_client_is_dropped_unopened_and_a_tick_later_it_is_heard_again():
    crowd = Crowd(2)
    (mallory, at_mallory), (bob, at_bob) = ((peer, address) for address, peer in crowd.peers.items())
    crowd.socket.arriving += [(mallory.packet(5, b"!"), at_mallory) for _ in range(1000)]
    crowd.socket.arriving += [(bob.packet(5, b"hello"), at_bob)]
    crowd.receive()
    arrivals = crowd.path.take_arrivals()
    assert np.count_nonzero(arrivals.slots == crowd.slots[at_mallory]) == MAX_OPENED_A_TICK
    assert np.count_nonzero(arrivals.slots == crowd.slots[at_bob]) == 1
    assert crowd.path.statistics()["drop_flooding"] == 1000 - MAX_OPENED_A_TICK
    crowd.socket.arriving.append((mallory.packet(5, b"sorry"), at_mallory))
    crowd.receive()
    assert len(crowd.path.take_arrivals()) == 1


def address_of_network(number):
    return f"{number >> 8 & 127}.{number & 255}.0.1", 99


def forged_request():
    return request(mint())[:-5] + b"12345"


def test_forged_requests_never_reach_the_core_and_a_few_thousand_tags_are_compared_at_once():
    socket = MemorySocket()
    path = BatchPath(socket, server())
    socket.arriving = [(forged_request(), address_of_network(number)) for number in range(TAGS_BURST + 500)]
    while path.receive(0.0, UNIX):
        pass
    statistics = path.statistics()
    assert statistics["drop_token_forged"] == TAGS_BURST
    assert statistics["drop_rate_limited"] == 500
    assert statistics["datagrams_received"] == TAGS_BURST + 500
    assert statistics["history"] == 0
    assert socket.sent == []


def test_a_stranger_in_a_flood_of_forged_requests_gets_in():
    socket = MemorySocket()
    path = BatchPath(socket, server())
    token = mint(7)
    alice = Peer(token, ("198.51.100.7", 51001))
    socket.arriving = [(forged_request(), address_of_network(number)) for number in range(1000)]
    socket.arriving.append((request(token), alice.address))
    while path.receive(0.0, UNIX):
        pass
    ((challenge, _),) = socket.sent
    junk = [(b"\x23" + bytes(340), address_of_network(number)) for number in range(1000)]
    socket.arriving = [*junk, (alice.packet(3, alice.open(challenge).body), alice.address)]
    while path.receive(0.0, UNIX):
        pass
    assert [event.client_id for event in path.take_events()] == [7]
    assert path.statistics()["drop_unknown_address"] == 1000


def test_a_token_presented_from_everywhere_costs_the_core_a_ticks_worth():
    socket = MemorySocket()
    path = BatchPath(socket, server())
    stolen = request(mint(7))
    socket.arriving = [(stolen, address_of_network(number)) for number in range(TO_CORE_A_TICK * 2)]
    while path.receive(0.0, UNIX):
        pass
    statistics = path.statistics()
    assert statistics["drop_token_used_elsewhere"] == TO_CORE_A_TICK - 1
    assert statistics["drop_rate_limited"] == TO_CORE_A_TICK
    assert len(socket.sent) == 1


def test_one_network_cannot_use_up_what_others_may_ask():
    socket = MemorySocket()
    path = BatchPath(socket, server())
    forged = request(mint())[:-5] + b"12345"
    for _ in range(5):
        socket.arriving += [(forged, ("192.0.2.66", port)) for port in range(1, RECEIVE_BATCH)]
        while path.receive(0.0, UNIX):
            pass
        path.take_arrivals()
    assert path.statistics()["drop_token_forged"] <= 2000  # the burst of one network
    socket.arriving.append((request(mint()), ("198.51.100.7", 51001)))
    path.receive(0.0, UNIX)
    assert len(socket.sent) == 1


def test_a_full_kernel_loses_the_rest_and_a_refused_address_loses_one():
    crowd = Crowd(3)
    slots = np.array(list(crowd.slots.values()))
    payloads = np.zeros((3, 10), np.uint8)
    crowd.socket.most_at_once = 1
    crowd.socket.errors = [None, errno.EPERM, errno.EINTR]
    crowd.path.send(slots, payloads, 1.0)  # a keep-alive before each payload, as nobody has confirmed
    assert len(crowd.take_sent()) == 2 * 3 - 1
    assert crowd.path.statistics()["datagrams_lost"] == 1
    crowd.socket.errors = [None] + [errno.EAGAIN] * 100
    crowd.path.send(slots, payloads, 1.0)
    assert len(crowd.take_sent()) == 1
    assert crowd.path.statistics()["datagrams_lost"] == 1 + 5
    crowd.path.take_arrivals()  # the next tick
    crowd.socket.errors = [errno.EAGAIN, errno.ENOBUFS]
    crowd.path.send(slots, payloads, 1.0)
    assert len(crowd.take_sent()) == 6


def test_read_only_and_strided_arrays_are_sent_as_they_are():
    crowd = Crowd(2)
    slots = np.array(list(crowd.slots.values()))
    wide = np.arange(80, dtype=np.uint8).reshape(2, 40)
    wide.flags.writeable = False
    crowd.path.send(slots, wide[:, ::2], 1.0)
    bodies = [crowd.peers[address].open(data) for data, address in crowd.take_sent()]
    assert [packet.body for packet in bodies if packet.kind == 5] == [bytes(row) for row in wide[:, ::2]]


@pytest.mark.parametrize("length", [0, 1151])
def test_our_own_payloads_of_a_wrong_size_are_an_error(length):
    crowd = Crowd(1)
    with pytest.raises(ValueError, match="1150"):
        crowd.path.send(np.array([0]), np.zeros((1, length), np.uint8), 0.0)


FIRST_BYTES = st.sampled_from([0, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x85, 0x95, 0xF5, 0xFF])
HOSTILE = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda first, rest: bytes([first]) + rest, FIRST_BYTES, st.binary(max_size=100)),
    st.builds(lambda first, size: bytes([first]) * size, FIRST_BYTES, st.integers(1, 1500)),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(HOSTILE, st.booleans()), max_size=30))
def test_no_datagram_raises_or_is_taken_for_a_payload(datagrams):
    crowd = hostile_crowd
    address = crowd.address(0)
    crowd.socket.arriving += [(data, address if known else ("192.0.2.66", 6)) for data, known in datagrams]
    crowd.receive()
    assert len(crowd.path.take_arrivals()) == 0
    assert crowd.path.take_events() == []


hostile_crowd = Crowd(1)
