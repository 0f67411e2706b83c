"""The server side of NETCODE 1.02 as a core: datagrams and time in, datagrams and events out. No socket, no
clock.

The zone cluster's shell owns the socket and calls, in each turn of its loop:

    core.receive_datagrams(batch, now, unix_now)
    if (due := core.next_timeout()) is not None and now >= due:
        core.handle_timeout(now)
    for event in core.events(): ...
    core.send_payloads(payloads, now)
    for data, address in core.datagrams_to_send(): ...

`now` is monotonic seconds, `unix_now` unix seconds (only a token's expiry is judged by it). Whatever
strangers send is answered or counted in `statistics.drops`; it raises nothing. Source: NETCODE 1.02,
"Server-Side Connection Process".
"""

from collections.abc import Iterable
from typing import Any

from .addresses import Address, canonical
from .admission import RequestLimiter, TokenHistory
from .drops import Drop, Statistics
from .events import Connected, Disconnected, DisconnectReason, Payload, ServerEvent
from .links import Handover, Limits, Link
from .packets import Channel, read_header
from .requests import read_request
from .states import LinkEvent, LinkState
from .tokens import ChallengeTokens, PrivateToken, RandomBytes, check_key
from .wire import (
    CHALLENGE,
    DENIED,
    DISCONNECT,
    DISCONNECT_PACKETS,
    GLOBAL_SEQUENCE_START,
    KEEP_ALIVE,
    KEEP_ALIVE_BODY,
    KEY_BYTES,
    MAX_PAYLOAD_SENT_BYTES,
    PAYLOAD,
    RESPONSE,
    SEND_INTERVAL_S,
)

# Bound once: an attribute of an enum class costs 0.1 µs, and these are asked for several times per datagram.
_CHALLENGED, _UNCONFIRMED = LinkState.CHALLENGED, LinkState.UNCONFIRMED
_ACCEPTED = frozenset((RESPONSE, KEEP_ALIVE, PAYLOAD, DISCONNECT))
# Links are looked over at most this often, however their deadlines fall: a keep-alive may be late by this.
SWEEP_INTERVAL_S = 0.02

_CLOSED_BY = {
    LinkEvent.CLOSED_BY_CLIENT: DisconnectReason.BY_CLIENT,
    LinkEvent.CLOSED_BY_SERVER: DisconnectReason.BY_SERVER,
    LinkEvent.TIMED_OUT: DisconnectReason.TIMED_OUT,
}


class ServerCore:
    """NETCODE server for up to `max_clients` clients, without I/O.

    Args:
        private_key: 32 bytes shared with whoever mints tokens; random per process start, never reused.
        public_addresses: (host, port) by which tokens name this server; one of them must stand in a token.
        random_bytes: n -> n unpredictable bytes; drawn once, for the challenge key.
    Raises: ValueError: a key, an address or a count out of range.
    """

    def __init__(
        self,
        *,
        protocol_id: int,
        private_key: bytes,
        public_addresses: list[Address],
        random_bytes: RandomBytes,
        max_clients: int = 5000,
        limits: Limits | None = None,
    ) -> None:
        if not public_addresses or max_clients < 1:
            raise ValueError("a NETCODE server needs a public address and room for one client")
        limits = limits or Limits()
        self.statistics = Statistics()
        self.max_clients = max_clients
        self.protocol_id = protocol_id
        self.private_key = check_key(private_key)
        self._public_addresses = frozenset(canonical(address) for address in public_addresses)
        self.limits = limits
        self._limiter = RequestLimiter(
            rate=limits.requests_per_s_per_network,
            burst=limits.requests_burst_per_network,
            total_rate=limits.requests_per_s,
            total_burst=limits.requests_burst,
            max_prefixes=limits.networks,
        )
        self._history = TokenHistory(limits.history)
        self._challenges = ChallengeTokens(random_bytes(KEY_BYTES))
        self._global_sequence = GLOBAL_SEQUENCE_START
        self._free_slots = list(range(max_clients - 1, -1, -1))
        self._links: dict[Address, Link] = {}
        self._clients: dict[int, Link] = {}
        self._handed_over: dict[Address, Link] = {}
        self._outgoing: list[tuple[bytes, Address]] = []
        self._events: list[ServerEvent] = []
        self._sweep_at: float | None = None
        # Authentic packets by slot, since the shell last emptied it; above `most_opened` they are not opened.
        self.opened: dict[int, int] = {}
        self.most_opened: int | None = None

    # --- what the shell calls -------------------------------------------------------------------------------

    @property
    def connected_count(self) -> int:
        """Clients that hold a slot."""
        return len(self._clients)

    def is_connected(self, client_id: int) -> bool:
        """Return True while the client holds a slot."""
        return client_id in self._clients

    def receive_datagrams(
        self, datagrams: Iterable[tuple[bytes, Address]], now: float, unix_now: float
    ) -> None:
        """Take a batch of (data, sender's address), in the order received."""
        for data, address in datagrams:
            self.receive_datagram(data, address, now, unix_now)

    def receive_datagram(self, data: bytes, address: Address, now: float, unix_now: float) -> None:
        """Take one datagram. Never raises for what is in it."""
        statistics = self.statistics
        statistics.datagrams_received += 1
        statistics.bytes_received += len(data)
        link = self._links.get(address)
        if link is None or link.state is _CHALLENGED:
            statistics.stranger_bytes_received += len(data)
        if not data:
            drop: Drop | None = Drop.EMPTY
        elif data[0] == 0:
            drop = self._receive_request(bytes(data), address, now, unix_now)
        else:
            header = read_header(data, _ACCEPTED)
            if not isinstance(header, tuple):
                drop = header
            elif link is None:
                drop = Drop.UNKNOWN_ADDRESS
            elif link.state is _CHALLENGED:
                drop = self._receive_response(link, data, header, now)
            else:
                drop = self._receive_from_client(link, data, header, now)
        if drop is not None:
            statistics.drops[drop] += 1

    def send_payloads(self, payloads: Iterable[tuple[int, bytes]], now: float) -> int:
        """Queue a batch of (client id, data); return how many of the clients are connected."""
        return sum(self.send_payload(client_id, data, now) for client_id, data in payloads)

    def send_payload(self, client_id: int, data: bytes, now: float) -> bool:
        """Queue 1..1150 bytes for a client.

        Returns: False when the client is not connected (any more): its Disconnected event may be still to be
        taken.
        Raises: ValueError: no data, or more than fits.
        """
        if not 0 < len(data) <= MAX_PAYLOAD_SENT_BYTES:
            raise ValueError(f"a payload has 1..{MAX_PAYLOAD_SENT_BYTES} bytes, not {len(data)}")
        link = self._own_client(client_id)
        if link is None:
            return False
        if link.state is _UNCONFIRMED:
            self._send(link, KEEP_ALIVE, link.keep_alive, now)
        self._send(link, PAYLOAD, data, now)
        self.statistics.payloads_sent += 1
        return True

    def disconnect(self, client_id: int, now: float) -> bool:
        """Put a client out, telling it so ten times; False when it is not connected."""
        link = self._own_client(client_id)
        if link is None:
            return False
        for _ in range(DISCONNECT_PACKETS):
            self._send(link, DISCONNECT, b"", now)
        self._close(link, LinkEvent.CLOSED_BY_SERVER)
        return True

    def disconnect_all(self, now: float) -> None:
        """Put every client out, as at the end of the process."""
        for link in list(self._links.values()):
            if link.slot >= 0:
                self.disconnect(link.client_id, now)

    def hand_over(self, client_id: int) -> Handover:
        """Leave a connected client's packets to somebody else; the core keeps its slot, id and address taken.

        Called right after the client's Connected event, by whoever then calls `close_handed_over` at its end.
        Raises: KeyError: not connected. ValueError: handed over already.
        """
        link = self._clients[client_id]
        if link.address in self._handed_over:
            raise ValueError(f"client {client_id} was handed over before")
        del self._links[link.address]
        self._handed_over[link.address] = link
        return Handover(
            client_id=client_id,
            slot=link.slot,
            address=link.address,
            send_key=link.send_key,
            receive_key=link.receive_key,
            next_sequence=link.channel.sequence,
            received=link.channel.replay.received(),
            timeout_s=link.timeout,
            is_confirmed=link.state is LinkState.CONFIRMED,
            heard_at=link.heard_at,
            sent_at=link.sent_at,
        )

    def close_handed_over(self, client_id: int, event: LinkEvent) -> None:
        """Free the slot of a client that was handed over; its Disconnected event follows.

        Raises: KeyError: no such client was handed over.
        """
        link = self._clients[client_id]
        del self._handed_over[link.address]
        self._links[link.address] = link
        self._close(link, event)

    def _own_client(self, client_id: int) -> Link | None:
        """Return the link of a client whose packets are the core's to send.

        Raises: ValueError: it was handed over.
        """
        link = self._clients.get(client_id)
        if link is not None and link.address in self._handed_over:
            raise ValueError(f"client {client_id} was handed over: it is not the core's to send to")
        return link

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return and forget what is to be sent, in order: (data, address as it was given at receiving)."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[ServerEvent]:
        """Return and forget what has happened, in order."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do at the earliest; None: nothing is pending."""
        return self._sweep_at

    def handle_timeout(self, now: float) -> None:
        """Send the keep-alives that are due and close links that were silent too long. Calling early is
        harmless.
        """
        if self._sweep_at is None or now < self._sweep_at:
            return
        silent = []
        earliest = float("inf")
        for link in self._links.values():
            is_challenged = link.state is _CHALLENGED
            deadline = link.challenge_deadline if is_challenged else link.heard_at + link.timeout
            if now >= deadline:
                silent.append(link)
                continue
            if not is_challenged:
                if now >= link.sent_at + SEND_INTERVAL_S:
                    self._send(link, KEEP_ALIVE, link.keep_alive, now)
                deadline = min(deadline, link.sent_at + SEND_INTERVAL_S)
            earliest = min(earliest, deadline)
        for link in silent:
            self._close(link, LinkEvent.TIMED_OUT)
        self._sweep_at = max(earliest, now + SWEEP_INTERVAL_S) if self._links else None

    # --- strangers ------------------------------------------------------------------------------------------

    def _receive_request(self, data: bytes, address: Address, now: float, unix_now: float) -> Drop | None:
        request = read_request(
            data,
            protocol_id=self.protocol_id,
            private_key=self.private_key,
            unix_now=unix_now,
            may_open=lambda: self._limiter.allow(address, now),
        )
        if isinstance(request, Drop):
            return request
        token = request.token
        if self._public_addresses.isdisjoint(token.server_addresses):
            return Drop.TOKEN_FOR_ANOTHER_SERVER
        link = self._links.get(address)
        if address in self._handed_over or (link is not None and link.state is not _CHALLENGED):
            return Drop.ADDRESS_CONNECTED
        if token.client_id in self._clients:
            return Drop.CLIENT_CONNECTED
        refused = self._history.admit(request.tag, address, request.expire_at, unix_now)
        if refused is not None:
            return refused
        if not self._free_slots:
            self._send_global(self._channel(token), DENIED, b"", address)
            return Drop.SERVER_FULL
        if link is None or link.tag != request.tag:
            if link is None and self._challenged_count() >= self.limits.challenged:
                return Drop.TOO_MANY_CHALLENGED
            link = self._links[address] = Link(address, self._channel(token), request, now)
        self._challenge(link, token, now)
        return None

    def _channel(self, token: PrivateToken) -> Channel:
        return Channel(
            self.protocol_id, send_key=token.server_to_client_key, receive_key=token.client_to_server_key
        )

    def _challenge(self, link: Link, token: PrivateToken, now: float) -> None:
        """Keep (or renew) the encryption mapping for the token's time-out and send a challenge."""
        link.advance(LinkEvent.REQUEST_ACCEPTED)
        link.challenge_deadline = now + min(link.timeout, self.limits.challenge_timeout_s)
        self._look_again_by(link.challenge_deadline)
        body = self._challenges.seal(token.client_id, token.user_data)
        self._send_global(link.channel, CHALLENGE, body, link.address)

    def _receive_response(
        self, link: Link, data: bytes, header: tuple[int, int, int], now: float
    ) -> Drop | None:
        if header[0] != RESPONSE:
            return Drop.UNEXPECTED_TYPE
        body = link.channel.open(data, header)
        if isinstance(body, Drop):
            return body
        challenge = self._challenges.open(body)
        if challenge is None:
            return Drop.CHALLENGE_FORGED
        client_id, user_data = challenge
        if client_id != link.client_id:
            return Drop.CHALLENGE_OF_ANOTHER
        if client_id in self._clients:
            return Drop.CLIENT_CONNECTED
        if not self._free_slots:
            self._send_global(link.channel, DENIED, b"", link.address)
            return Drop.SERVER_FULL
        self._connect(link, user_data, now)
        return None

    def _connect(self, link: Link, user_data: bytes, now: float) -> None:
        link.advance(LinkEvent.RESPONSE_ACCEPTED)
        self._history.spend(link.tag)
        link.slot = self._free_slots.pop()
        link.keep_alive = KEEP_ALIVE_BODY.pack(link.slot, self.max_clients)
        link.heard_at = now
        self._clients[link.client_id] = link
        self.statistics.connections += 1
        self._events.append(Connected(link.client_id, link.slot, user_data, link.address))
        self._send(link, KEEP_ALIVE, link.keep_alive, now)
        self._look_again_by(now + min(SEND_INTERVAL_S, link.timeout))

    # --- clients --------------------------------------------------------------------------------------------

    def _receive_from_client(
        self, link: Link, data: bytes, header: tuple[int, int, int], now: float
    ) -> Drop | None:
        packet_type = header[0]
        if packet_type == RESPONSE:  # a late repetition; the keep-alives tell the client it is in
            return Drop.ADDRESS_CONNECTED
        opened = self.opened.get(link.slot, 0)
        if self.most_opened is not None and opened >= self.most_opened and packet_type != DISCONNECT:
            return Drop.FLOODING
        body = link.channel.open(data, header)
        if isinstance(body, bytes) or body is Drop.BAD_BODY_SIZE:  # the client's own, whatever it is
            self.opened[link.slot] = opened + 1
        if not isinstance(body, bytes):
            return body
        if packet_type == DISCONNECT:
            self._close(link, LinkEvent.CLOSED_BY_CLIENT)
            return None
        link.heard_at = now
        if link.state is _UNCONFIRMED:
            link.advance(LinkEvent.FIRST_PACKET)
        if packet_type == PAYLOAD:
            if len(self._events) >= self.limits.events:
                return Drop.EVENTS_FULL
            self.statistics.payloads_received += 1
            self._events.append(Payload(link.client_id, body))
        return None

    def _close(self, link: Link, event: LinkEvent) -> None:
        link.advance(event)
        del self._links[link.address]
        if link.slot >= 0:
            del self._clients[link.client_id]
            self._free_slots.append(link.slot)
            self.opened.pop(link.slot, None)
            self._events.append(Disconnected(link.client_id, link.slot, _CLOSED_BY[event]))

    # --- sending --------------------------------------------------------------------------------------------

    def _send(self, link: Link, packet_type: int, body: bytes, now: float) -> None:
        link.sent_at = now
        self._queue(link.channel.seal(packet_type, body), link.address)

    def _send_global(self, channel: Channel, packet_type: int, body: bytes, address: Address) -> None:
        """Send to somebody without a slot, under the server's own sequence."""
        packet = channel.seal_at(packet_type, self._global_sequence, body)
        self._global_sequence += 1
        self.statistics.stranger_bytes_sent += len(packet)
        self._queue(packet, address)

    def _queue(self, packet: bytes, address: Address) -> None:
        self.statistics.datagrams_sent += 1
        self.statistics.bytes_sent += len(packet)
        self._outgoing.append((packet, address))

    def _challenged_count(self) -> int:
        return len(self._links) + len(self._handed_over) - len(self._clients)

    def _look_again_by(self, instant: float) -> None:
        if self._sweep_at is None or instant < self._sweep_at:
            self._sweep_at = instant

    def __repr__(self) -> str:
        return f"ServerCore({self.connected_count} of {self.max_clients} clients)"

    def snapshot(self) -> dict[str, Any]:
        """Return the counters and the fill of the bounded tables, for metrics and logs."""
        return self.statistics.as_dict() | {
            "connected": len(self._clients),
            "challenged": self._challenged_count(),
            "history": len(self._history),
        }
