"""The packet path without numba: NETCODE's core for every datagram, Python's socket for every call.

The fallback, and the measure of what the batch path must do: same bytes, same answers.
"""

import socket
from collections import Counter

import numpy as np
import structlog

from zonecluster.packets.arrivals import (
    ALLOWED_BURST,
    ALLOWED_PER_S,
    ARRIVAL_BYTES,
    MAX_OPENED_A_TICK,
    Arrivals,
    no_arrivals,
)
from zonecluster.packets.stopwatch import NO_STOPWATCH, Stopwatch
from zonecluster.protocol.netcode import Connected, Disconnected, Payload, ServerCore

log = structlog.get_logger(__name__)

RECEIVE_AT_ONCE = 512  # datagrams read before the loop gets its turn again
MAX_DATAGRAM_BYTES = 2048  # longer ones are cut, and refused for it


class PlainPath:
    """Sends and receives by the core alone. See path.py: PacketPath."""

    name = "plain"

    def __init__(self, bound: socket.socket, core: ServerCore) -> None:
        self.counters: Counter[str] = Counter()
        self.stopwatch: Stopwatch = NO_STOPWATCH
        self._socket = bound
        self._core = core
        self._slots: dict[int, int] = {}  # by client id
        self._client_ids = np.full(core.max_clients, -1, object)  # by slot
        core.most_opened = MAX_OPENED_A_TICK
        self._allowance = np.full(core.max_clients, ALLOWED_BURST)  # see upkeep.py
        self._looked_over_at: float | None = None
        self._arrived: list[tuple[int, bytes]] = []
        self._events: list[Connected | Disconnected] = []

    def receive(self, now: float, unix_now: float) -> int:
        """Take what has arrived, a bounded lot of it; returns how many datagrams."""
        batch = []
        for _ in range(RECEIVE_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:  # an ICMP answer to something sent: somebody's machine is gone
                self.counters["receive_errors"] += 1
                continue
            batch.append((data, address[:2]))
        self.stopwatch.lap("receive")
        self._core.receive_datagrams(batch, now, unix_now)
        self._sort_events()
        self.stopwatch.lap("open")
        return len(batch)

    def handle_timeout(self, now: float) -> None:
        """Queue due keep-alives, close silent links, put out who floods."""
        self._core.handle_timeout(now)
        self._sort_events()
        passed = 0.0 if self._looked_over_at is None else now - self._looked_over_at
        self._looked_over_at = now
        for slot in np.flatnonzero(self._allowance < 0).tolist():
            client_id = self._client_ids[slot]
            self.counters["links_flooding"] += 1
            log.warning("link_put_out_for_flooding", client_id=client_id)
            self.disconnect(client_id, now)
        self._allowance = np.minimum(ALLOWED_BURST, self._allowance + passed * ALLOWED_PER_S)

    def take_events(self) -> list[Connected | Disconnected]:
        """Return and forget which links came and went."""
        events, self._events = self._events, []
        return events

    def take_arrivals(self) -> Arrivals:
        """Return and forget the payloads of this tick."""
        arrived, self._arrived = self._arrived, []
        for slot, opened in self._core.opened.items():
            self._allowance[slot] -= opened
        self._core.opened.clear()
        if not arrived:
            return no_arrivals()
        data = b"".join([payload.ljust(ARRIVAL_BYTES, b"\0") for _, payload in arrived])
        return Arrivals(
            np.array([slot for slot, _ in arrived], np.int64),
            np.array([len(payload) for _, payload in arrived], np.int64),
            np.frombuffer(data, np.uint8).reshape(-1, ARRIVAL_BYTES),
        )

    def send(
        self, slots: np.ndarray, payloads: np.ndarray, now: float, lengths: np.ndarray | None = None
    ) -> int:
        """Queue one payload for each slot; returns how many of the slots are taken."""
        ends = [payloads.shape[1]] * len(slots) if lengths is None else lengths.tolist()
        client_ids = np.where(slots >= 0, self._client_ids[slots], -1).tolist()
        sent = self._core.send_payloads(
            [
                (client_id, payload[:end].tobytes())
                for client_id, payload, end in zip(client_ids, payloads, ends, strict=True)
            ],
            now,
        )
        self.stopwatch.lap("seal")
        return sent

    def disconnect(self, client_id: int, now: float) -> bool:
        """Put a client out; False when it is not connected."""
        is_connected = self._core.disconnect(client_id, now)
        self._sort_events()
        return is_connected

    def disconnect_all(self, now: float) -> None:
        """Put everybody out."""
        self._core.disconnect_all(now)
        self._sort_events()

    def flush(self) -> None:
        """Send what is queued. The kernel's buffer being full loses datagrams, which UDP may: counted."""
        sendto = self._socket.sendto
        for data, address in self._core.datagrams_to_send():
            try:
                sendto(data, address)
            except OSError:  # BlockingIOError among them; one player's address must not stop the others
                self.counters["datagrams_lost"] += 1
        self.stopwatch.lap("send")

    def statistics(self) -> dict[str, int]:
        """Return all counters by name."""
        return self._core.snapshot() | self.counters

    def _sort_events(self) -> None:
        for event in self._core.events():
            match event:
                case Payload(client_id=client_id, data=data):
                    self._arrived.append((self._slots[client_id], data))
                case Connected(client_id=client_id, slot=slot):
                    self._slots[client_id] = slot
                    self._client_ids[slot] = client_id
                    self._allowance[slot] = ALLOWED_BURST
                    self._events.append(event)
                case Disconnected(client_id=client_id, slot=slot):
                    del self._slots[client_id]
                    self._client_ids[slot] = -1
                    self._allowance[slot] = ALLOWED_BURST
                    # The slot's next holder must not be taken for the sender of these.
                    self._arrived = [arrival for arrival in self._arrived if arrival[0] != slot]
                    self._events.append(event)
