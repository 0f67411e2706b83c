"""The client side of NETCODE 1.02 as a core: one connect token, one try. Reconnecting means a fresh token and
a new core.

    core = ClientCore(connect_token, now)
    loop: core.receive_datagram(data, address, now)
          if (due := core.next_timeout()) is not None and now >= due: core.handle_timeout(now)
          send core.datagrams_to_send(); take core.events()

Source: NETCODE 1.02, section "Client State Machine".
"""

from .addresses import Address
from .drops import Drop
from .events import ClientCoreEvent, PayloadReceived, StateChanged
from .packets import Channel, read_header
from .replay import ReplayWindow
from .requests import write_request
from .states import CLIENT_TRANSITIONS, ClientEvent, ClientState, following
from .tokens import BadToken, ConnectToken, parse_connect_token
from .wire import (
    CHALLENGE,
    DENIED,
    DISCONNECT,
    DISCONNECT_PACKETS,
    KEEP_ALIVE,
    KEEP_ALIVE_BODY,
    MAX_PAYLOAD_SENT_BYTES,
    PAYLOAD,
    RESPONSE,
    SEND_INTERVAL_S,
    PacketType,
)

_ACCEPTED = frozenset((DENIED, CHALLENGE, KEEP_ALIVE, PAYLOAD, DISCONNECT))
_CONNECTING = (ClientState.SENDING_CONNECTION_REQUEST, ClientState.SENDING_CONNECTION_RESPONSE)
_ACTIVE = (*_CONNECTING, ClientState.CONNECTED)
_NEVER = float("inf")


class ClientCore:
    """NETCODE client for one connect token, without I/O. A token that cannot be read ends in
    INVALID_CONNECT_TOKEN.
    """

    def __init__(self, connect_token: bytes, now: float) -> None:
        self.state = ClientState.DISCONNECTED
        self.client_index: int | None = None  # the slot, once connected
        self.max_clients: int | None = None
        self.refusal: str | None = None  # what is wrong with the token, where it is refused
        self.drops: dict[Drop, int] = dict.fromkeys(Drop, 0)
        self._outgoing: list[tuple[bytes, Address]] = []
        self._events: list[ClientCoreEvent] = []
        self._server = 0
        self._heard_at = self._started_at = self._send_at = now
        self._response = b""
        self._keep_alive = KEEP_ALIVE_BODY.pack(0, 0)
        self._token: ConnectToken | None = None
        try:
            token = parse_connect_token(connect_token)
        except BadToken as bad:
            self.refusal = str(bad)
            self._advance(ClientEvent.TOKEN_REFUSED, now)
            return
        self._token = token
        self._timeout = float(token.timeout_s) if token.timeout_s >= 0 else _NEVER
        self._lifetime = token.expire_at - token.create_at
        self._request = write_request(token)
        self._channel = Channel(
            token.protocol_id, send_key=token.client_to_server_key, receive_key=token.server_to_client_key
        )
        self._advance(ClientEvent.TOKEN_ACCEPTED, now)

    @property
    def server_address(self) -> Address | None:
        """The server being tried or connected to; None with an invalid token."""
        return self._token.server_addresses[self._server] if self._token else None

    @property
    def server_addresses(self) -> tuple[Address, ...]:
        """All that the token names; none with an invalid token."""
        return self._token.server_addresses if self._token else ()

    def try_next_server(self, now: float) -> bool:
        """Give up on the server being tried, as where the shell knows it to be out of reach.

        Returns: whether there is another to try; without effect where there is none, or once connected.
        """
        if self.state not in _CONNECTING or self._server + 1 >= len(self.server_addresses):
            return False
        self._fail(ClientEvent.TIMED_OUT, now)
        return True

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram. Never raises for what is in it; what is thrown away is counted in `drops`."""
        drop = self._receive(data, address, now)
        if drop is not None:
            self.drops[drop] += 1

    def send_payload(self, data: bytes, now: float) -> bool:
        """Queue 1..1150 bytes for the server; False when not connected.

        Raises: ValueError: no data, or more than fits.
        """
        if not 0 < len(data) <= MAX_PAYLOAD_SENT_BYTES:
            raise ValueError(f"a payload has 1..{MAX_PAYLOAD_SENT_BYTES} bytes, not {len(data)}")
        if self.state is not ClientState.CONNECTED:
            return False
        self._send(self._channel.seal(PAYLOAD, data), now)
        return True

    def disconnect(self, now: float) -> None:
        """Leave, telling the server so ten times where it may hold a slot for us. Without effect when not
        active.
        """
        if self.state not in _ACTIVE:
            return
        if self.state is not ClientState.SENDING_CONNECTION_REQUEST:
            for _ in range(DISCONNECT_PACKETS):
                self._send(self._channel.seal(DISCONNECT, b""), now)
        self._advance(ClientEvent.CLOSED_BY_US, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return and forget what is to be sent, in order."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[ClientCoreEvent]:
        """Return and forget what has happened, in order."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` is to be called; None when the core is done."""
        if self.state not in _ACTIVE:
            return None
        return min(self._send_at, self._heard_at + self._timeout, self._expires_at())

    def handle_timeout(self, now: float) -> None:
        """Give up on what was silent too long; send the request, response or keep-alive that is due."""
        if self.state not in _ACTIVE:
            return
        if now >= self._expires_at():
            self._advance(ClientEvent.TOKEN_EXPIRED, now)
            return
        if now >= self._heard_at + self._timeout:
            self._fail(ClientEvent.TIMED_OUT, now)
        if self.state in _ACTIVE and now >= self._send_at:
            self._send(self._regular_packet(), now)

    # --- receiving ------------------------------------------------------------------------------------------

    def _receive(self, data: bytes, address: Address, now: float) -> Drop | None:
        if address != self.server_address or self.state not in _ACTIVE:
            return Drop.UNKNOWN_ADDRESS
        if not data:
            return Drop.EMPTY
        header = read_header(data, _ACCEPTED)
        if isinstance(header, Drop):
            return header
        body = self._channel.open(data, header)
        if isinstance(body, Drop):
            return body
        return self._take(header[0], body, now)

    def _take(self, packet_type: int, body: bytes, now: float) -> Drop | None:
        """Act on an authentic packet according to the state."""
        match self.state, packet_type:
            case ClientState.CONNECTED, PacketType.PAYLOAD:
                self._heard_at = now
                self._events.append(PayloadReceived(body))
            case ClientState.CONNECTED, PacketType.KEEP_ALIVE:
                self._heard_at = now
            case ClientState.CONNECTED, PacketType.DISCONNECT:
                self._advance(ClientEvent.CLOSED_BY_SERVER, now)
            case ClientState.SENDING_CONNECTION_RESPONSE, PacketType.KEEP_ALIVE:
                self._keep_alive = body
                self.client_index, self.max_clients = KEEP_ALIVE_BODY.unpack(body)
                self._advance(ClientEvent.ADMITTED, now)
                self._send(self._regular_packet(), now)  # at once: it confirms us to the server
            case ClientState.SENDING_CONNECTION_REQUEST, PacketType.CHALLENGE:
                self._response = body
                self._advance(ClientEvent.CHALLENGED, now)
                self._send(self._regular_packet(), now)
            case ((ClientState.SENDING_CONNECTION_REQUEST | ClientState.SENDING_CONNECTION_RESPONSE), 1):
                self._fail(ClientEvent.DENIED, now)
            case _:
                return Drop.UNEXPECTED_TYPE
        return None

    # --- states and sending ---------------------------------------------------------------------------------

    def _expires_at(self) -> float:
        return self._started_at + self._lifetime if self.state in _CONNECTING else _NEVER

    def _fail(self, event: ClientEvent, now: float) -> None:
        """Try the token's next address, or end in the error state that belongs to `event`."""
        assert self._token is not None
        if self.state in _CONNECTING and self._server + 1 < len(self._token.server_addresses):
            self._server += 1
            # Its packets are counted anew; ours go on, since the key stays the same and nonces must not
            # repeat.
            self._channel.replay = ReplayWindow()
            event = ClientEvent.NEXT_SERVER
        self._advance(event, now)

    def _advance(self, event: ClientEvent, now: float) -> None:
        before = self.state
        self.state = following(CLIENT_TRANSITIONS, before, event)
        self._heard_at = self._send_at = now
        if self.state is not before:
            self._events.append(StateChanged(self.state))

    def _regular_packet(self) -> bytes:
        """Return what the present state sends ten times a second."""
        if self.state is ClientState.SENDING_CONNECTION_REQUEST:
            return self._request
        if self.state is ClientState.SENDING_CONNECTION_RESPONSE:
            return self._channel.seal(RESPONSE, self._response)
        return self._channel.seal(KEEP_ALIVE, self._keep_alive)

    def _send(self, packet: bytes, now: float) -> None:
        address = self.server_address
        assert address is not None
        self._send_at = now + SEND_INTERVAL_S
        self._outgoing.append((packet, address))
