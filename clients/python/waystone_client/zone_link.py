"""The zone link: NETCODE over UDP, snapshots down and inputs up. A shell around the protocol's ClientCore.

One connect token, one ZoneLink; the next zone is the next link.
"""

import asyncio
import time
from collections.abc import Callable

from waystone_client.errors import ZoneLinkFailed
from waystone_client.input_log import STILL, InputLog, wish_of
from waystone_client.interpolation import Interpolation, ServerClock, Shown
from waystone_client.prediction import OwnState, Prediction
from waystone_client.steering import Steering
from waystone_client.udp_sockets import UNREACHABLE, UdpSockets
from zonecluster.protocol.netcode import ClientCore, ClientState, PayloadReceived, StateChanged
from zonecluster.protocol.snapshot_view import Refused, Snapshot, SnapshotReader

CONNECT_S = 5.0
MAX_LAG_S = 0.25  # client ticks that come later than this are not made up for
ACTIVE = (
    ClientState.SENDING_CONNECTION_REQUEST,
    ClientState.SENDING_CONNECTION_RESPONSE,
    ClientState.CONNECTED,
)


class ZoneLink(asyncio.DatagramProtocol):
    """A player's link to the zone instance that its connect token is for.

    Args: size: of the zone, metres. on_snapshot: called with every snapshot newer than the last. on_closed:
        called once when it ends.
    """

    def __init__(
        self,
        connect_token: bytes,
        size: float = 0.0,
        on_snapshot: Callable[[Snapshot], None] = lambda _: None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.snapshots = 0
        self._size = size
        self.closed = asyncio.Event()  # no longer usable, whoever ended it
        self._seen = asyncio.Event()
        self._core = ClientCore(connect_token, time.monotonic())
        self._reader = SnapshotReader()
        self._on_snapshot = on_snapshot
        self._on_closed = on_closed
        self.prediction = Prediction(size)
        self._steering = Steering()
        self._inputs = InputLog()
        self._wish = STILL
        self._others = Interpolation(size)
        self._clock = ServerClock()
        self._sockets = UdpSockets()
        self._ticker: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Shake hands with the zone cluster and wait for the first snapshot.

        Raises: ZoneLinkFailed: bad token, denied, or no answer within 5 s at any of the zone's addresses.
        """
        address = self._core.server_address
        if address is None:
            raise ZoneLinkFailed(
                "bad_connect_token", f"The connect token is not valid: {self._core.refusal}."
            )
        try:
            await self._sockets.open(self._core.server_addresses, self)
        except OSError as error:
            reason = f"There is no way to {address[0]} from here: {error}."
            raise ZoneLinkFailed("zone_unreachable", reason) from error
        self._ticker = asyncio.create_task(self._tick_often(), name="zone-link")
        waits = [asyncio.create_task(event.wait()) for event in (self._seen, self.closed)]
        try:
            await asyncio.wait(waits, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
            while not self._seen.is_set() and self._core.try_next_server(time.monotonic()):
                await asyncio.wait(waits, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.snapshot is None or not self.is_connected:
            state = self._core.state.name.lower()
            await self.close()
            raise ZoneLinkFailed("zone_unreachable", f"The zone at {address[0]}:{address[1]}: {state}.")

    async def close(self) -> None:
        """Tell the zone that we leave, and close the socket."""
        self._core.disconnect(time.monotonic())
        self._flush()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        self._sockets.close()
        self._end()

    def abort(self) -> None:
        """Fall silent, as a crash or a pulled cable would."""
        if self._ticker is not None:
            self._ticker.cancel()
        self._sockets.abort()
        self._end()

    @property
    def address(self) -> tuple[str, int] | None:
        """The zone cluster's UDP address, as the connect token says; None with an invalid token."""
        return self._core.server_address

    @property
    def is_connected(self) -> bool:
        """Whether inputs reach the zone and snapshots come."""
        return self._core.state is ClientState.CONNECTED and not self.closed.is_set()

    def wish(self, x: float, y: float) -> None:
        """Wish to move with this velocity, as a fraction of the zone's top speed, until told otherwise.

        Args: x: east, y: north; a vector longer than 1 is shortened to 1.
        """
        self._wish = wish_of(x, y)

    def others(self) -> Shown:
        """Return the others as they are to be shown now: about 100 ms in the past."""
        return self._others.at(self._clock.at(time.monotonic()))

    def _end(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self._on_closed()

    # ------------------------------------------------------------ asyncio's side

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram; the core drops those of strangers."""
        self._core.receive_datagram(data, (addr[0], addr[1]), time.monotonic())
        self._take_events()
        self._flush()

    def error_received(self, exc: Exception) -> None:
        """Turn to the zone's next address where this one is out of reach; else the time-outs decide."""
        if isinstance(exc, OSError) and exc.errno in UNREACHABLE:
            self._core.try_next_server(time.monotonic())

    async def _tick_often(self) -> None:
        due = time.monotonic()
        while not self.closed.is_set():
            now = time.monotonic()
            timeout = self._core.next_timeout()
            if timeout is not None and now >= timeout:
                self._core.handle_timeout(now)
            if self.is_connected:
                self._play_tick(now)
            self._take_events()
            self._flush()
            due = max(due + self._steering.interval_s, now - MAX_LAG_S)
            await asyncio.sleep(max(due - now, 0.0))

    def _play_tick(self, now: float) -> None:
        """Play one client tick with the present wish, and tell the zone of it when that is due."""
        tick = self.prediction.step(self._wish)
        payload = self._inputs.note(tick, self._wish, self._reader.newest_tick)
        if payload is not None:
            self._core.send_payload(payload, now)

    def _take_events(self) -> None:
        for event in self._core.events():
            match event:
                case PayloadReceived(data=data):
                    self._take_snapshot(data)
                case StateChanged(state=state) if state not in ACTIVE:
                    self._end()

    def _take_snapshot(self, payload: bytes) -> None:
        snapshot = self._reader.read(payload)
        if isinstance(snapshot, Refused):
            return
        self.snapshot = snapshot
        self.snapshots += 1
        self._steering.take(snapshot.tick, snapshot.input_ack, snapshot.input_lead, snapshot.dilation)
        self.prediction.reconcile(OwnState.of(snapshot, self._size))
        self._clock.take(time.monotonic(), snapshot.time_ms)
        self._others.take(snapshot)
        self._seen.set()
        self._on_snapshot(snapshot)

    def _flush(self) -> None:
        for data, address in self._core.datagrams_to_send():
            if not self._sockets.send(data, address):
                self._core.try_next_server(time.monotonic())
