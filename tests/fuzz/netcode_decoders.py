"""The zone link under fuzz: both ends of NETCODE, and the tokens. Keys and nonces are from fixed seeds."""

from collections.abc import Callable
from functools import partial
from random import Random

from tests.fuzz.decoder import Decoder
from tests.unit.zonecluster.packets.memory_socket import MemorySocket
from tests.unit.zonecluster.protocol.netcode import layout
from tests.unit.zonecluster.protocol.netcode.setting import ALICE, BOB, KEY, MALLORY, SERVER, UNIX, Peer
from zonecluster.packets.batch_path import BatchPath
from zonecluster.packets.plain_path import PlainPath
from zonecluster.protocol.netcode import ClientCore, ClientState, ServerCore, mint_connect_token
from zonecluster.protocol.netcode.tokens import (
    BadToken,
    ChallengeTokens,
    parse_connect_token,
    parse_private_token,
)
from zonecluster.protocol.netcode.wire import CHALLENGE_BODY_BYTES

PROTOCOL = 0xF022  # the corpus is to outlive versions of the zone link's payloads
SENDERS = (MALLORY, ALICE, BOB)  # by the first byte of a case: a stranger, a client, one who was challenged
MOST_TO_STRANGERS = 0.31
CLIENT_STATES = ("requesting", "responding", "connected")  # by the first byte of a case


def token(client_id: int, **changes) -> bytes:
    """Return a connect token, the same at each call."""
    fields = {
        "client_id": client_id,
        "server_addresses": [SERVER],
        "user_data": b"",
        "expire_s": 30,
        "timeout_s": 5,
        "protocol_id": PROTOCOL,
        "private_key": KEY,
        "random_bytes": Random(client_id).randbytes,
        "unix_now": UNIX,
    }
    return mint_connect_token(**fields | changes)


class Server:
    """A packet path with Alice connected and Bob challenged, on a socket in memory."""

    def __init__(self, kind: type) -> None:
        self.socket = MemorySocket()
        core = ServerCore(
            protocol_id=PROTOCOL,
            private_key=KEY,
            public_addresses=[SERVER],
            max_clients=4,
            random_bytes=Random(1).randbytes,
        )
        self.path = kind(self.socket, core)
        self.alice, self.bob = Peer(token(1), ALICE), Peer(token(2), BOB)
        challenge = self.answers(layout.write_request(self.alice.token), ALICE)
        self.answers(self.alice.packet(3, self.alice.open(challenge[0]).body), ALICE)
        self.challenge_of_bob = self.answers(layout.write_request(self.bob.token), BOB)[0]
        self.path.take_events()
        self.now = 0.0

    def answers(self, data: bytes, sender) -> list[bytes]:
        """Let a datagram arrive; return what is sent for it."""
        self.socket.arriving.append((data, sender))
        self.path.receive(0.0, UNIX)
        self.path.flush()
        sent, self.socket.sent = self.socket.sent, []
        return [data for data, _ in sent]


def sealed(plain: bytes, key: bytes) -> bytes:
    """Return a packet as its holder of the key makes it: type, sequence of 8 bytes, body."""
    plain = plain.ljust(9, b"\0")
    return layout.write_packet(plain[0] & 15, int.from_bytes(plain[1:9], "little"), plain[9:], PROTOCOL, key)


def server(*kinds: type, is_sealed: bool = False) -> Callable[[], Callable[[bytes], bool]]:
    """Return what makes a case for servers of these kinds, which must all do the same.

    Args: is_sealed: cases are packets before they are sealed, so that mutations get behind the seal.
    """

    def make() -> Callable[[bytes], bool]:
        servers = [Server(kind) for kind in kinds]

        def take(case: bytes) -> bool:
            nonlocal servers
            sender, data = SENDERS[case[0] % 3] if case else MALLORY, case[1:]
            if is_sealed:
                data = sealed(
                    data, layout.read_connect_token(token(2 if sender is BOB else 1)).client_to_server
                )
            seen = []
            for each in servers:
                sent = each.answers(data, sender)
                events, arrivals = each.path.take_events(), each.path.take_arrivals()
                payloads = [arrivals.payload(row) for row in range(len(arrivals))]
                if sender is not ALICE:
                    assert sum(map(len, sent)) <= MOST_TO_STRANGERS * max(len(data), 1), "amplified"
                    assert payloads == []
                seen.append((sent, events, payloads))
            assert all(each == seen[0] for each in seen), "the paths differ"
            is_taken = any(seen[0])
            if is_taken:
                servers = [Server(kind) for kind in kinds]
            return is_taken

        return take

    return make


def server_seeds() -> dict[str, bytes]:
    """Return one sound datagram of each kind that a server takes, behind the byte that says who sends it."""
    there = Server(PlainPath)
    response = there.bob.packet(3, there.bob.open(there.challenge_of_bob).body)
    return {
        "request-of-a-stranger": b"\0" + layout.write_request(layout.read_connect_token(token(3))),
        "request-repeated": b"\2" + layout.write_request(there.bob.token),
        "response": b"\2" + response,
        "payload": b"\1" + there.alice.packet(5, b"twelve bytes", 7),
        "payload-of-1300-bytes": b"\1" + there.alice.packet(5, bytes(1300), 8),
        "payload-with-the-last-sequence": b"\1" + there.alice.packet(5, b"end", 2**64 - 1),
        "disconnect": b"\1" + there.alice.packet(6, b"", 9),
    }


def sealed_seeds() -> dict[str, bytes]:
    """Return packets before they are sealed, behind the byte that says who sends them."""
    bob = Server(PlainPath)
    challenge = bob.bob.open(bob.challenge_of_bob).body
    first, last = (1).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little")
    return {
        "response": b"\2\3" + first + challenge,
        "payload": b"\1\5" + first + b"twelve bytes",
        "payload-with-the-last-sequence": b"\1\5" + last + b"end",
        "disconnect": b"\1\6" + first,
    }


class Client:
    """A client in one of its states, and the server it talks to."""

    def __init__(self, state: str) -> None:
        self.core = ClientCore(token(1), 0.0)
        self.core.handle_timeout(0.0)
        self.server = ServerCore(
            protocol_id=PROTOCOL,
            private_key=KEY,
            public_addresses=[SERVER],
            max_clients=4,
            random_bytes=Random(1).randbytes,
        )
        if state != "requesting":
            self.to_client(self.to_server())
        if state == "connected":
            self.to_client(self.to_server())
        self.core.events()
        self.core.datagrams_to_send()

    def to_server(self) -> list[bytes]:
        """Bring what the client sends to the server; return the server's answers."""
        for data, _ in self.core.datagrams_to_send():
            self.server.receive_datagram(data, ALICE, 0.0, UNIX)
        return [data for data, _ in self.server.datagrams_to_send()]

    def to_client(self, datagrams: list[bytes]) -> None:
        """Bring datagrams to the client."""
        for data in datagrams:
            self.core.receive_datagram(data, SERVER, 0.0)


def client(is_sealed: bool = False) -> Callable[[bytes], bool]:
    """Return what feeds a client; it is made anew when something was taken.

    Args: is_sealed: as for servers.
    """
    key = layout.read_connect_token(token(1)).server_to_client
    clients = {state: Client(state) for state in CLIENT_STATES}

    def take(case: bytes) -> bool:
        state = CLIENT_STATES[case[0] % 3] if case else CLIENT_STATES[0]
        core = clients[state].core
        before = sum(core.drops.values())
        core.receive_datagram(sealed(case[1:], key) if is_sealed else case[1:], SERVER, 0.1)
        if sum(core.drops.values()) != before:
            return False
        core.handle_timeout(0.2)
        assert isinstance(core.state, ClientState)
        clients[state] = Client(state)
        return True

    return take


def client_seeds() -> dict[str, bytes]:
    """Return one sound datagram of each kind that a client takes, behind the byte of its state."""
    asked = Client("requesting")
    asked.core.handle_timeout(1.0)
    challenge = asked.to_server()[0]
    responding = Client("responding")
    responding.core.handle_timeout(1.0)
    keep_alive = responding.to_server()[0]
    connected = Client("connected")
    connected.server.send_payload(1, b"a snapshot", 1.0)
    payload = connected.server.datagrams_to_send()[-1][0]
    connected.server.disconnect(1, 1.0)
    disconnect = connected.server.datagrams_to_send()[0][0]
    return {
        "challenge": b"\0" + challenge,
        "first-keep-alive": b"\1" + keep_alive,
        "payload": b"\2" + payload,
        "disconnect": b"\2" + disconnect,
    }


def sealed_client_seeds() -> dict[str, bytes]:
    """Return packets of a server before they are sealed, behind the byte of the client's state."""
    later = (2**63 + 9).to_bytes(8, "little")
    return {
        "denied": b"\0\1" + later,
        "challenge": b"\0\2" + later + bytes(308),
        "first-keep-alive": b"\1\4" + later + b"\3\0\0\0\4\0\0\0",
        "payload": b"\2\5" + later + b"a snapshot",
        "disconnect": b"\2\6" + later,
    }


def connect_token() -> Callable[[bytes], bool]:
    """Return what reads a connect token as a client does."""

    def take(case: bytes) -> bool:
        core = ClientCore(case, 0.0)
        core.handle_timeout(0.1)
        core.datagrams_to_send()
        try:
            parse_connect_token(case)
        except BadToken:
            assert core.state is ClientState.INVALID_CONNECT_TOKEN
            return False
        return True

    return take


def token_seeds() -> dict[str, bytes]:
    """Return connect tokens with addresses of both kinds, one and many."""
    many = [("203.0.113.5", port) for port in range(1, 17)] + [("2001:db8::5", port) for port in range(1, 17)]
    return {
        "one-address": token(1),
        "ipv6-address": token(1, server_addresses=[("2001:db8::5", 1)]),
        "32-addresses": token(1, server_addresses=many),
        "never-times-out": token(1, timeout_s=-1),
    }


def private_token() -> Callable[[bytes], bool]:
    """Return what reads the opened private part, which only a holder of the key can have sealed."""

    def take(case: bytes) -> bool:
        try:
            parse_private_token(case)
        except BadToken:
            return False
        return True

    return take


def private_seeds() -> dict[str, bytes]:
    """Return the plain private parts of the connect tokens."""
    return {
        name: layout.open_private(layout.read_connect_token(data), KEY)
        for name, data in token_seeds().items()
    }


def challenge_token() -> Callable[[bytes], bool]:
    """Return what opens a challenge body, which any client may send. Its size has been checked by then."""
    tokens = ChallengeTokens(KEY)
    return lambda case: len(case) == CHALLENGE_BODY_BYTES and tokens.open(case) is not None


def challenge_seeds() -> dict[str, bytes]:
    """Return a challenge body."""
    return {"first": ChallengeTokens(KEY).seal(1, bytes(256))}


NETCODE = "zonecluster.protocol.netcode"
SERVER_MODULES = (NETCODE, "zonecluster.packets")
NETCODE_DECODERS = (
    Decoder("netcode-server", server(PlainPath), server_seeds, SERVER_MODULES),
    Decoder("netcode-server-batch", server(PlainPath, BatchPath), server_seeds, SERVER_MODULES),
    Decoder("netcode-client", client, client_seeds, (NETCODE,)),
    Decoder(
        "netcode-server-sealed",
        server(PlainPath, BatchPath, is_sealed=True),
        sealed_seeds,
        SERVER_MODULES,
    ),
    Decoder("netcode-client-sealed", partial(client, is_sealed=True), sealed_client_seeds, (NETCODE,)),
    Decoder("connect-token", connect_token, token_seeds, (NETCODE,)),
    Decoder("private-token", private_token, private_seeds, (NETCODE,)),
    Decoder("challenge-token", challenge_token, challenge_seeds, (NETCODE,)),
)
