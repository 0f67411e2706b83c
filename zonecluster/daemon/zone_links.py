"""The zone links: a non-blocking UDP socket around NETCODE's server core.

Nothing here waits. The loop calls `receive` when datagrams are there and `flush` once a tick; between
the two the core only keeps bytes. The private key is made here and never leaves: a token is good for this
process alone (docs/adr/0003-cluster-mints-connect-tokens.md).
"""

import errno
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from time import monotonic, time
from uuid import UUID

from zonecluster.daemon.config import CannotStart, ClusterConfig
from zonecluster.protocol.netcode import PROTOCOL_ID, ServerCore, mint_connect_token
from zonecluster.protocol.netcode.events import ServerEvent

TOKEN_LIFE_S = 45  # to connect in
TIMEOUT_S = 10  # of silence, then the link is lost
RECEIVE_AT_ONCE = 512  # datagrams read before the loop gets its turn again
MAX_DATAGRAM_BYTES = 2048  # longer ones are cut, and refused for it
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024  # several ticks of everybody's datagrams


class ZoneLinks:
    """The UDP side of one cluster. `clock` is monotonic, `unix_clock` judges the life of tokens; seconds."""

    def __init__(
        self,
        config: ClusterConfig,
        clock: Callable[[], float] = monotonic,
        unix_clock: Callable[[], float] = time,
    ) -> None:
        """Bind the socket.

        Raises: CannotStart: the port is taken, or the address is not this machine's.
        """
        self.socket = bound_socket(config.udp_host, config.udp_port)
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._unix_clock = unix_clock
        self._private_key = secrets.token_bytes(32)
        self._addresses = [(config.public_host, self.port)]
        self.core = ServerCore(
            protocol_id=PROTOCOL_ID,
            private_key=self._private_key,
            public_addresses=self._addresses,
            # Somebody who reconnects holds the old slot until the new link has taken over.
            max_clients=config.max_players * 2,
            random_bytes=secrets.token_bytes,
        )

    @property
    def port(self) -> int:
        """The UDP port that is bound."""
        return self.socket.getsockname()[1]

    def mint(self, session: UUID) -> tuple[int, bytes]:
        """Return a fresh connect token for a session, with the client id that will be its link's name."""
        client_id = secrets.randbits(64)
        token = mint_connect_token(
            client_id=client_id,
            server_addresses=self._addresses,
            user_data=session.bytes,
            expire_s=TOKEN_LIFE_S,
            timeout_s=TIMEOUT_S,
            protocol_id=PROTOCOL_ID,
            private_key=self._private_key,
            random_bytes=secrets.token_bytes,
            unix_now=self._unix_clock(),
        )
        return client_id, token

    def receive(self) -> int:
        """Take what has arrived, a bounded lot of it; returns how many datagrams."""
        batch = []
        for _ in range(RECEIVE_AT_ONCE):
            try:
                data, address = self.socket.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer to something sent: somebody's machine is gone
                self.counters["receive_errors"] += 1
                continue
            batch.append((data, address[:2]))
        self.core.receive_datagrams(batch, self._clock(), self._unix_clock())
        return len(batch)

    def take_events(self) -> list[ServerEvent]:
        """Return what happened on the links since the last call, with those that timed out."""
        self.core.handle_timeout(self._clock())
        return self.core.events()

    def send(self, payloads: Iterable[tuple[int, bytes]]) -> int:
        """Queue payloads for clients; returns how many of them are connected."""
        return self.core.send_payloads(payloads, self._clock())

    def drop(self, client_id: int) -> None:
        """Close one link, if it is up."""
        self.core.disconnect(client_id, self._clock())

    def flush(self) -> None:
        """Send what is queued. The kernel's buffer being full loses datagrams, which UDP may: counted."""
        sendto = self.socket.sendto
        for data, address in self.core.datagrams_to_send():
            try:
                sendto(data, address)
            except OSError:  # BlockingIOError among them; one player's address must not stop the others
                self.counters["datagrams_lost"] += 1

    def close(self) -> None:
        """Tell everybody that their link ends, and close the socket."""
        self.core.disconnect_all(self._clock())
        self.flush()
        self.socket.close()


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a non-blocking UDP socket.

    Raises: CannotStart: it cannot be bound there.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4]
        family = socket.AF_INET6 if ip_address(address[0]).version == 6 else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"UDP port {port} on {host} is taken by another process. End it, or give the cluster another "
                f"port in the admin (ss -lunp 'sport = :{port}' shows who has it)."
            ) from error
        raise CannotStart(f"Cannot listen on UDP {host} port {port}: {error.strerror or error}.") from error
    bound.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
    return bound
