"""Alice, Bob and Mallory with a server and tokens, under invented time."""

from random import Random

from tests.unit.zonecluster.protocol.netcode import layout
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    ClientCore,
    Connected,
    ServerCore,
    mint_connect_token,
)

KEY = bytes(range(32))
SERVER = ("203.0.113.5", 40000)
ALICE = ("198.51.100.7", 51001)
BOB = ("198.51.100.8", 51002)
MALLORY = ("192.0.2.66", 6666)
UNIX = 1_800_000_000
ALICE_ID, BOB_ID = 0xA11CE, 0xB0B


def server(seed=1, **changes):
    settings = {
        "protocol_id": PROTOCOL_ID,
        "private_key": KEY,
        "public_addresses": [SERVER],
        "max_clients": 4,
        "random_bytes": Random(seed).randbytes,
    }
    return ServerCore(**settings | changes)


def mint(client_id=ALICE_ID, **changes):
    settings = {
        "client_id": client_id,
        "server_addresses": [SERVER],
        "user_data": b"session of %d" % client_id,
        "expire_s": 30,
        "timeout_s": 5,
        "protocol_id": PROTOCOL_ID,
        "private_key": KEY,
        "random_bytes": Random(client_id).randbytes,
        "unix_now": UNIX,
    }
    return mint_connect_token(**settings | changes)


def request(token):
    """The connection request for a token, built by the tests' own writer."""
    return layout.write_request(layout.read_connect_token(token))


def dropped(core):
    """What a core has dropped so far, as {reason: count}, without zeros."""
    drops = core.statistics.drops if isinstance(core, ServerCore) else core.drops
    return {str(reason): count for reason, count in drops.items() if count}


class Peer:
    """A hand-driven client: seals by the tests' own writer, so that it can also do what no client would."""

    def __init__(self, token, address):
        self.token = layout.read_connect_token(token)
        self.address = address
        self.sequence = 0

    def packet(self, kind, body=b"", sequence=None):
        if sequence is None:
            sequence = self.sequence
            self.sequence += 1
        return layout.write_packet(kind, sequence, body, self.token.protocol_id, self.token.client_to_server)

    def open(self, data):
        return layout.read_packet(data, self.token.protocol_id, self.token.server_to_client)

    def take(self, core):
        """Return this peer's share of what the server sends, opened; others' are lost."""
        return [self.open(data) for data, address in core.datagrams_to_send() if address == self.address]

    def challenge(self, core, now=0.0, unix_now=UNIX):
        """Send the request; return the challenge's body."""
        core.receive_datagram(layout.write_request(self.token), self.address, now, unix_now)
        (packet,) = self.take(core)
        assert packet.kind == 2
        return packet.body

    def connect(self, core, now=0.0, unix_now=UNIX):
        """Go through the handshake; return the first keep-alive and forget the server's event."""
        core.receive_datagram(
            self.packet(3, self.challenge(core, now, unix_now)), self.address, now, unix_now
        )
        (packet,) = self.take(core)
        assert packet.kind == 4
        (event,) = core.events()
        assert isinstance(event, Connected)
        return packet


def connected_peer(core, client_id=ALICE_ID, address=ALICE, now=0.0, **changes):
    peer = Peer(mint(client_id, **changes), address)
    peer.connect(core, now)
    return peer


class Wire:
    """An in-memory network between cores: loses, doubles and delays by a seeded generator, under invented
    time.
    """

    def __init__(self, seed=0, loss=0.0, doubled=0.0, delay_s=(0.0, 0.0)):
        self.random = Random(seed)
        self.loss, self.doubled, self.delay_s = loss, doubled, delay_s
        self.servers, self.clients, self.under_way = {}, {}, []
        self.now = 0.0

    def add_client(self, address, token) -> ClientCore:
        self.clients[address] = ClientCore(token, self.now)
        return self.clients[address]

    def run(self, seconds, step=0.01):
        """Move time on; return nothing: the cores keep their events."""
        end = self.now + seconds
        while self.now < end:
            self.step()
            self.now += step

    def step(self):
        arrived = [packet for packet in self.under_way if packet[0] <= self.now]
        self.under_way = [packet for packet in self.under_way if packet[0] > self.now]
        for _, data, source, target in sorted(arrived, key=lambda packet: packet[0]):
            if target in self.servers:
                self.servers[target].receive_datagram(data, source, self.now, UNIX + self.now)
            elif target in self.clients:
                self.clients[target].receive_datagram(data, source, self.now)
        for address, core in [*self.servers.items(), *self.clients.items()]:
            core.handle_timeout(self.now)
            for data, target in core.datagrams_to_send():
                self._send(data, address, target)

    def _send(self, data, source, target):
        copies = 2 if self.random.random() < self.doubled else 1
        for _ in range(copies):
            if self.random.random() >= self.loss:
                self.under_way.append((self.now + self.random.uniform(*self.delay_s), data, source, target))
