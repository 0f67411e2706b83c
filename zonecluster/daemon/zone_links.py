"""The zone links: a non-blocking UDP socket, the packet path on it, and which entity each link is for.

Nothing here waits. The loop calls `receive` every few milliseconds and `flush` at least once a tick. The
private key is made here and never leaves: a token is good for this process alone
(docs/adr/0003-cluster-mints-connect-tokens.md). Payloads come and go as arrays (docs/packets.md).
"""

import errno
import secrets
import socket
from collections.abc import Callable
from ipaddress import ip_address
from time import monotonic, time
from uuid import UUID

import numpy as np
import structlog

from zonecluster.daemon.config import CannotStart, ClusterConfig
from zonecluster.packets.arrivals import Arrivals
from zonecluster.packets.path import open_path
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    Connected,
    Disconnected,
    ServerCore,
    mint_connect_token,
)

log = structlog.get_logger(__name__)

TOKEN_LIFE_S = 45  # to connect in
TIMEOUT_S = 10  # of silence, then the link is lost
SOCKET_BUFFER_BYTES = 8 * 1024 * 1024  # several ticks of everybody's datagrams
SMALL_BUFFER_BYTES = 1024 * 1024  # less than this loses inputs of a thousand players in a long tick
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # of Linux: beyond net.core.*mem_max, for the privileged
NOBODY = -1


class ZoneLinks:
    """The UDP side of one cluster. `clock` is monotonic, `unix_clock` judges the life of tokens; seconds."""

    def __init__(
        self,
        config: ClusterConfig,
        clock: Callable[[], float] = monotonic,
        unix_clock: Callable[[], float] = time,
    ) -> None:
        """Bind the socket.

        Raises: CannotStart: the port is taken, the address is not this machine's, or the packet path that was
            insisted on cannot run here.
        """
        self.socket = bound_socket(config.udp_host, config.udp_port)
        self._clock = clock
        self._unix_clock = unix_clock
        self._private_key = secrets.token_bytes(32)
        self._addresses = [(config.public_host, self.port)]
        # Somebody who reconnects holds the old slot until the new link has taken over.
        slots = config.max_players * 2
        core = ServerCore(
            protocol_id=PROTOCOL_ID,
            private_key=self._private_key,
            public_addresses=self._addresses,
            max_clients=slots,
            random_bytes=secrets.token_bytes,
        )
        try:
            self.path = open_path(config.packet_path, self.socket, core)
        except (ImportError, RuntimeError, OSError) as error:
            self.socket.close()
            raise CannotStart(
                f"The packet path {config.packet_path!r} cannot run here: {error}. "
                "Set WAYSTONE_PACKET_PATH=auto to use what can."
            ) from error
        self._slots: dict[int, int] = {}  # by client id
        self.rows = np.full(slots, NOBODY, np.int64)  # by slot: row of the tables whose link it is
        self._slot_of_row: dict[int, int] = {}  # where a new link replaces an older one, the new one's

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
        return self.path.receive(self._clock(), self._unix_clock())

    def take_events(self) -> list[Connected | Disconnected]:
        """Return which links came and went since the last call, with those that timed out."""
        self.path.handle_timeout(self._clock())
        events = self.path.take_events()
        for event in events:
            if isinstance(event, Connected):
                self._slots[event.client_id] = event.slot
            else:
                self._release(event.client_id)
        return events

    def take_arrivals(self) -> Arrivals:
        """Return the payloads since the last call, after `take_events`; good until the next `receive`."""
        return self.path.take_arrivals()

    def assign(self, client_id: int, row: int) -> int:
        """From now on this link's payloads go to a row of the tables, and its snapshots to the link.

        Returns: the slot; the row's former link, if it is up, is nobody's.
        Raises: KeyError: the link is not up.
        """
        slot = self._slots[client_id]
        former = self._slot_of_row.get(row)
        if former is not None:
            self.rows[former] = NOBODY
        self.rows[slot], self._slot_of_row[row] = row, slot
        return slot

    def viewers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (m,) that have a link, and its slot (m,)."""
        slots = np.flatnonzero(self.rows != NOBODY)
        return self.rows[slots], slots

    def send(self, slots: np.ndarray, payloads: np.ndarray, lengths: np.ndarray) -> int:
        """Send each slot's payload (m, length); returns how many of the links are up."""
        return self.path.send(slots, payloads, self._clock(), lengths)

    def drop(self, client_id: int) -> None:
        """Close one link, if it is up."""
        self._release(client_id)
        self.path.disconnect(client_id, self._clock())

    def _release(self, client_id: int) -> None:
        """The link is nobody's any more. Its row may have another by now: that one stays."""
        slot = self._slots.pop(client_id, NOBODY)
        if slot == NOBODY or self.rows[slot] == NOBODY:
            return
        del self._slot_of_row[int(self.rows[slot])]
        self.rows[slot] = NOBODY

    def flush(self) -> None:
        """Send what is queued."""
        self.path.flush()

    def statistics(self) -> dict[str, int]:
        """Return all counters by name: datagrams, bytes, drops by reason, links."""
        return self.path.statistics()

    def close(self) -> None:
        """Tell everybody that their link ends, and close the socket."""
        self.path.disconnect_all(self._clock())
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
    widen_buffers(bound)
    return bound


def widen_buffers(bound: socket.socket) -> None:
    """Ask for room for a long tick's datagrams, and say what to do where the system gives little."""
    for forced, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            bound.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER_BYTES)
        except OSError:  # not privileged, or another system
            bound.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER_BYTES)
    given = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if given < SMALL_BUFFER_BYTES:
        log.warning(
            "udp_buffer_small",
            bytes=given,
            advice=f"sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES}, and wmem_max likewise",
        )
