"""Whatever comes in, both packet paths and the protocol's core do the same, byte for byte."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode.setting import UNIX, Peer, mint, request, server
from zonecluster.packets.batch_path import BatchPath
from zonecluster.packets.plain_path import PlainPath
from zonecluster.protocol.netcode import Connected, Disconnected, Payload

PEOPLE = {
    1: ("198.51.100.7", 51001),
    2: ("198.51.100.7", 51002),
    3: ("2001:db8::7", 51003),
    4: ("::ffff:198.51.100.9", 51004),
    5: ("fe80::1%3", 51005),
}
MALLORY = ("192.0.2.66", 6666)
STEP_S = 0.15
TIMEOUT_S = 1000  # longer than any history: links that time out together do so in no certain order


class CoreAlone:
    """The core with the interface of a packet path; only what the comparison needs."""

    def __init__(self, socket, core):
        self.socket, self.core = socket, core
        self.slots, self.arrived, self.links = {}, [], []

    def receive(self, now, unix_now):
        for data, address in self.socket.arriving:
            self.core.receive_datagram(data, address, now, unix_now)
        self.socket.arriving.clear()

    def handle_timeout(self, now):
        self.core.handle_timeout(now)

    def take(self):
        for event in self.core.events():
            if isinstance(event, Payload):
                self.arrived.append((self.slots[event.client_id], event.data))
                continue
            self.links.append(event)
            if isinstance(event, Connected):
                self.slots[event.client_id] = event.slot
            else:
                self.arrived = [each for each in self.arrived if each[0] != event.slot]
        arrived, links = self.arrived, self.links
        self.arrived, self.links = [], []
        return arrived, links

    def send(self, slots, payloads, now, lengths):
        for slot, payload, length in zip(slots.tolist(), payloads, lengths.tolist(), strict=True):
            for client_id, of_client in self.slots.items():
                if of_client == slot and self.core.is_connected(client_id):
                    self.core.send_payload(client_id, payload[:length].tobytes(), now)

    def disconnect(self, client_id, now):
        return self.core.disconnect(client_id, now)

    def flush(self):
        self.socket.sent += self.core.datagrams_to_send()

    def statistics(self):
        return self.core.snapshot()


class OnePath:
    """One of the three under test, with its own socket and the same chance as the others."""

    def __init__(self, kind):
        self.socket = MemorySocket()
        self.path = kind(self.socket, server(seed=7, max_clients=4))

    def state(self):
        """Everything that the shell or the network can see, and forget it."""
        if isinstance(self.path, CoreAlone):
            arrived, links = self.path.take()
        else:
            links, arrivals = self.path.take_events(), self.path.take_arrivals()
            arrived = [(int(slot), arrivals.payload(row)) for row, slot in enumerate(arrivals.slots)]
        self.path.flush()
        sent, self.socket.sent = sorted(self.socket.sent), []
        return arrived, links, sent


def same_counters(statistics):
    """The counters by name. A connected-only packet from a stranger has two names for its drop."""
    counters = Counter({name: count for name, count in statistics.items() if count})
    counters["drop_unknown_address"] += counters.pop("drop_unexpected_type", 0)
    return +counters


class Worlds:
    """The three side by side, and the people who write to them."""

    def __init__(self):
        self.all = [OnePath(kind) for kind in (CoreAlone, PlainPath, BatchPath)]
        self.now = 0.0
        self.people = {}
        self.tokens = 0

    def arrive(self, *datagrams):
        for one in self.all:
            one.socket.arriving += datagrams
            one.path.receive(self.now, UNIX)
        return self.compare()

    def compare(self):
        states = [one.state() for one in self.all]
        assert states[1] == states[0]
        assert states[2] == states[0]
        return states[0]

    def connect(self, number):
        """A person comes with a fresh token; nothing happens if it is connected."""
        address = PEOPLE[number]
        self.tokens += 1
        client_id = self.tokens * 100 + number
        token = mint(client_id, timeout_s=TIMEOUT_S)
        peer = Peer(token, address)
        peer.client_id = client_id
        _, _, sent = self.arrive((request(token), address))
        if not sent:
            return
        challenge = peer.open(sent[0][0])
        assert challenge.kind in (1, 2)
        if challenge.kind == 2:
            self.arrive((peer.packet(3, challenge.body), address))
            self.people[number] = peer

    def pass_time(self, steps):
        self.now += STEP_S * steps
        for one in self.all:
            one.path.handle_timeout(self.now)
        self.compare()

    def send(self, slots, size):
        payloads = np.arange(len(slots) * 1150, dtype=np.int64).astype(np.uint8).reshape(len(slots), 1150)
        lengths = np.full(len(slots), size, np.int64)
        for one in self.all:
            one.path.send(np.array(slots, np.int64), payloads, self.now, lengths)
        self.compare()

    def put_out(self, number):
        peer = self.people.get(number)
        if peer is not None:
            answers = {one.path.disconnect(peer.client_id, self.now) for one in self.all}
            assert len(answers) == 1
            self.compare()


SEQUENCES = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 255, 256, 257, 65535, 2**32, 2**63, 2**63 + 255, 2**64 - 256, 2**64 - 1]),
    st.integers(0, 600),
)
BODIES = {4: st.sampled_from([b"", b"1234567", b"12345678"]), 6: st.sampled_from([b"", b"", b"x"])}
PAYLOAD_BODIES = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"\1" * 1300, b"\2" * 1301, b"\3" * 1307])
)
WHO = st.integers(1, len(PEOPLE))
OPERATIONS = st.one_of(
    st.tuples(st.just("connect"), WHO),
    st.tuples(
        st.just("packet"), WHO, st.sampled_from([5, 5, 5, 4, 6, 3, 1, 0, 9]), SEQUENCES, PAYLOAD_BODIES
    ),
    st.tuples(st.just("again"), WHO),
    st.tuples(st.just("damage"), WHO, st.integers(0, 60), st.integers(1, 255)),
    st.tuples(st.just("cut"), WHO, st.integers(0, 60)),
    st.tuples(st.just("junk"), st.binary(max_size=80)),
    st.tuples(
        st.just("junk"),
        st.builds(
            lambda size, first: bytes([first]) * size,
            st.sampled_from([17, 18, 1078, 1325, 1326, 1500]),
            st.sampled_from([0, 0x13, 0x15, 0x85]),
        ),
    ),
    st.tuples(st.just("time"), st.sampled_from([1, 1, 3])),
    st.tuples(st.just("send"), st.lists(st.integers(-1, 3), max_size=6), st.sampled_from([1, 200, 1150])),
    st.tuples(st.just("put out"), WHO),
)


def play(worlds, operation):
    last = worlds.last
    match operation:
        case "connect", number:
            worlds.connect(number)
        case "packet", number, kind, sequence, body if number in worlds.people:
            peer = worlds.people[number]
            if kind in (4, 6):
                body = body[:8] if kind == 4 else b""
            if kind == 3:
                body = bytes(308)
            last[number] = peer.packet(kind, body, sequence)
            worlds.arrive((last[number], peer.address))
        case "again", number if number in last:
            worlds.arrive((last[number], PEOPLE[number]), (last[number], PEOPLE[number]))
        case "damage", number, at, change if number in last:
            damaged = bytearray(last[number])
            damaged[at % len(damaged)] ^= change
            worlds.arrive((bytes(damaged), PEOPLE[number]))
        case "cut", number, length if number in last:
            worlds.arrive((last[number][:length], PEOPLE[number]))
        case "junk", data:
            worlds.arrive((data, MALLORY))
        case "time", steps:
            worlds.pass_time(steps)
        case "send", slots, size:
            worlds.send(slots, size)
        case "put out", number:
            worlds.put_out(number)


@settings(deadline=None, max_examples=150)
@given(st.lists(OPERATIONS, max_size=40))
def test_core_plain_and_batch_path_do_the_same(operations):
    worlds = Worlds()
    worlds.last = {}
    for number in (1, 2, 3, 4):
        worlds.connect(number)
    for operation in operations:
        play(worlds, operation)
    worlds.now += TIMEOUT_S
    for one in worlds.all:
        one.path.handle_timeout(worlds.now)
    ends = [sorted((event.client_id, event.reason) for event in one.state()[1]) for one in worlds.all]
    assert ends[0] == ends[1] == ends[2]
    counters = [same_counters(one.path.statistics()) for one in worlds.all]
    assert counters[1] == counters[0]
    assert counters[2] == counters[0]


@pytest.mark.parametrize("number", PEOPLE)
def test_an_address_of_each_family_connects_and_hears_its_own_payloads(number):
    worlds = Worlds()
    worlds.last = {}
    worlds.connect(number)
    peer = worlds.people[number]
    arrived, _, _ = worlds.arrive((peer.packet(5, b"hello"), PEOPLE[number]))
    assert arrived == [(0, b"hello")]
    batch = worlds.all[2]
    batch.path.send(np.array([0]), np.full((1, 9), 7, np.uint8), worlds.now)
    ((data, address),) = batch.socket.sent
    assert address == PEOPLE[number]
    assert peer.open(data).body == b"\7" * 9


def test_the_end_of_a_link_is_told_once_and_its_waiting_payloads_are_forgotten():
    for kind in (PlainPath, BatchPath):
        one = OnePath(kind)
        peer = Peer(mint(5), PEOPLE[1])
        one.socket.arriving.append((request(mint(5)), PEOPLE[1]))
        one.path.receive(0.0, UNIX)
        one.path.flush()
        challenge = peer.open(one.socket.sent.pop()[0])
        one.socket.arriving.append((peer.packet(3, challenge.body), PEOPLE[1]))
        one.path.receive(0.0, UNIX)
        (event,) = one.path.take_events()
        assert isinstance(event, Connected)
        one.socket.arriving += [
            (peer.packet(5, b"last words"), PEOPLE[1]),
            (peer.packet(6), PEOPLE[1]),
            (peer.packet(6), PEOPLE[1]),
        ]
        one.path.receive(0.0, UNIX)
        (event,) = one.path.take_events()
        assert isinstance(event, Disconnected)
        assert len(one.path.take_arrivals()) == 0
        assert one.path.send(np.array([0]), np.zeros((1, 5), np.uint8), 0.0) == 0
