"""The zone links: a non-blocking UDP socket, the packet path on it, and which entity each link is for.

Nothing here waits. The loop calls `receive` every few milliseconds and `flush` at least once a tick. The
private key is made here and never leaves: a token is good for this process alone
(docs/adr/0003-cluster-mints-connect-tokens.md). Payloads come and go as arrays (docs/packets.md).
"""

import secrets
from collections.abc import Callable
from time import monotonic, time
from uuid import UUID

import numpy as np
import structlog

from zonecluster.daemon.config import CannotStart, ClusterConfig
from zonecluster.daemon.link_rows import LinkRows
from zonecluster.packets.arrivals import Arrivals
from zonecluster.packets.path import open_path
from zonecluster.packets.udp_socket import CannotBind, bound_socket
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
DOOR_S = 10.0  # between connect tokens for the reachability check: 200 bytes a second on the bus
NOBODY = UUID(int=0)


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
        try:
            self.socket = bound_socket(config.udp_host, config.udp_port)
        except CannotBind as error:
            raise CannotStart(str(error)) from error
        self._clock = clock
        self._unix_clock = unix_clock
        self._private_key = secrets.token_bytes(32)
        self._door_at = float("-inf")
        self._addresses = [(host, self.port) for host in config.public_hosts]
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
        self.of_rows = LinkRows(slots)

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

    def door_when_due(self) -> bytes:
        """Return a fresh connect token for nobody, every DOOR_S seconds, else nothing.

        The master knocks with it to see whether UDP comes through; whoever went on to connect by it is
        nobody's player, and put out at once.
        """
        now = self._clock()
        if now < self._door_at:
            return b""
        self._door_at = now + DOOR_S
        return self.mint(NOBODY)[1]

    def receive(self) -> int:
        """Take what has arrived, a bounded lot of it; returns how many datagrams."""
        return self.path.receive(self._clock(), self._unix_clock())

    def take_events(self) -> list[Connected | Disconnected]:
        """Return which links came and went since the last call."""
        events = self.path.take_events()
        for event in events:
            if isinstance(event, Connected):
                self.of_rows.add(event.client_id, event.slot)
            else:
                self.of_rows.release(event.client_id)
        return events

    def take_arrivals(self) -> Arrivals:
        """Return the payloads since the last call, after `take_events`; good until the next `receive`."""
        return self.path.take_arrivals()

    def send(self, slots: np.ndarray, payloads: np.ndarray, lengths: np.ndarray) -> int:
        """Send each slot's payload (m, length); returns how many of the links are up."""
        return self.path.send(slots, payloads, self._clock(), lengths)

    def drop(self, client_id: int) -> None:
        """Close one link, if it is up."""
        self.of_rows.release(client_id)
        self.path.disconnect(client_id, self._clock())

    def keep_alive(self) -> None:
        """Close silent links, and send keep-alives to those that were sent nothing for a while.

        After the tick's snapshots: where ticks are far apart, everybody would get both.
        """
        self.path.handle_timeout(self._clock())

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
