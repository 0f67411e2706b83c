"""How many bytes strangers get back for what they send, by kind of datagram. Part of `benchmark attack`.

A packet path with NETCODE's core and real sockets on loopback; time is invented, so that also what would be
sent later (keep-alives, repeated challenges) is counted. Nobody who has not proven his address may be
answered with more than he sent, or the server would be a weapon.
"""

import secrets
from collections.abc import Iterator
from typing import Any

from tests.benchmark.swarm import big_socket
from zonecluster.hot_code import Choice
from zonecluster.packets.path import PacketPath, open_path
from zonecluster.protocol.netcode import PROTOCOL_ID, ServerCore, mint_connect_token
from zonecluster.protocol.netcode.requests import write_request
from zonecluster.protocol.netcode.tokens import parse_connect_token
from zonecluster.protocol.netcode.wire import REQUEST_BYTES, VERSION_INFO

UNIX_NOW = 1_000_000.0
LIFE_S = 45
EACH = 40  # datagrams of each kind
WATCHED_S = 35.0  # after the last of a kind: longer than any time-out of a half-open link
STEP_S = 0.05
MOST_BYTES = 65536


class Outpost:
    """A server without players, and a stranger's socket."""

    def __init__(self, choice: Choice) -> None:
        self.now = 100.0
        self.stranger = big_socket("127.0.0.1")
        self._server = big_socket("127.0.0.1")
        self._address = self._server.getsockname()
        self._key = secrets.token_bytes(32)
        core = ServerCore(
            protocol_id=PROTOCOL_ID,
            private_key=self._key,
            public_addresses=[self._address],
            random_bytes=secrets.token_bytes,
            max_clients=EACH,
        )
        self.path: PacketPath = open_path(choice, self._server, core)

    def token(
        self, *, protocol_id: int = PROTOCOL_ID, key: bytes | None = None, life_s: int = LIFE_S
    ) -> bytes:
        """Return a connect token; by itself one of the server's own."""
        return mint_connect_token(
            client_id=secrets.randbits(63),
            server_addresses=[self._address],
            user_data=b"",
            expire_s=life_s,
            timeout_s=10,
            protocol_id=protocol_id,
            private_key=self._key if key is None else key,
            random_bytes=secrets.token_bytes,
            unix_now=UNIX_NOW - (LIFE_S if life_s < LIFE_S else 0),
        )

    def request(self, **how: Any) -> bytes:
        """Return a connection request with such a token."""
        return write_request(parse_connect_token(self.token(**how)))

    def tell(self, datagram: bytes) -> None:
        """Let the stranger send one."""
        self.stranger.sendto(datagram, self._address)

    def pass_time(self, seconds: float) -> int:
        """Let the server work; returns how many bytes the stranger got."""
        received, until = 0, self.now + seconds
        while self.now < until:
            self.now += STEP_S
            self.path.receive(self.now, UNIX_NOW)
            self.path.handle_timeout(self.now)
            self.path.take_arrivals()
            self.path.take_events()
            self.path.flush()
            received += self._heard()
        return received

    def _heard(self) -> int:
        received = 0
        while True:
            try:
                received += len(self.stranger.recv(MOST_BYTES))
            except BlockingIOError:
                return received

    def close(self) -> None:
        """Close both sockets."""
        self._server.close()
        self.stranger.close()


def kinds(outpost: Outpost) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each kind of stranger's datagram by name, and what he sends."""
    noise = secrets.token_bytes
    yield "empty", [b""] * EACH
    yield "noise of 1 to 1,400 bytes", [noise(1 + 35 * number) for number in range(EACH)]
    yield "payload, keep-alive, disconnect", [bytes([kind | 0x10]) + noise(60) for kind in (4, 5, 6)] * EACH
    yield "challenge, denied", [bytes([kind | 0x10]) + noise(324) for kind in (1, 2)] * EACH
    yield "forged response", [b"\x13" + noise(325)] * EACH
    yield (
        "forged request",
        [
            b"\0" + VERSION_INFO + PROTOCOL_ID.to_bytes(8, "little") + noise(REQUEST_BYTES - 22)
            for _ in range(EACH)
        ],
    )
    yield "request of another protocol", [outpost.request(protocol_id=7) for _ in range(EACH)]
    yield "request under another key", [outpost.request(key=noise(32)) for _ in range(EACH)]
    yield "request that has expired", [outpost.request(life_s=1) for _ in range(EACH)]
    yield "request cut short", [outpost.request()[:-1] for _ in range(EACH)]
    yield "good request, never answered", [outpost.request() for _ in range(EACH)]
    yield "one good request, many times", [outpost.request()] * EACH


def byte_ratios(choice: Choice = "auto") -> dict[str, Any]:
    """Send all kinds, each to a fresh server; returns bytes in, bytes out and their ratio for each kind."""
    found: dict[str, Any] = {}
    first = Outpost(choice)
    names = [name for name, _ in kinds(first)]
    first.close()
    for name in names:
        outpost = Outpost(choice)
        try:
            datagrams = dict(kinds(outpost))[name]
            received = 0
            for datagram in datagrams:
                outpost.tell(datagram)
                received += outpost.pass_time(STEP_S)
            received += outpost.pass_time(WATCHED_S)
        finally:
            outpost.close()
        sent = sum(map(len, datagrams))
        found[name] = {"in": sent, "out": received, "ratio": round(received / sent, 4) if sent else 0.0}
    return found
