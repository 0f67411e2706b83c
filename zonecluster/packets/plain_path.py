"""The packet path without numba: NETCODE's core for every datagram, Python's socket for every call.

The fallback, and the measure of what the batch path must do: same bytes, same answers.
"""

import socket
from collections import Counter

import numpy as np

from zonecluster.packets.arrivals import ARRIVAL_BYTES, MAX_OPENED_A_TICK, Arrivals, no_arrivals
from zonecluster.protocol.netcode import Connected, Disconnected, Drop, Payload, ServerCore

RECEIVE_AT_ONCE = 512  # datagrams read before the loop gets its turn again
MAX_DATAGRAM_BYTES = 2048  # longer ones are cut, and refused for it


class PlainPath:
    """Sends and receives by the core alone. See path.py: PacketPath."""

    name = "plain"

    def __init__(self, bound: socket.socket, core: ServerCore) -> None:
        self.counters: Counter[str] = Counter()
        self._socket = bound
        self._core = core
        self._slots: dict[int, int] = {}  # by client id
        self._client_ids = np.full(core.max_clients, -1, object)  # by slot
        self._opened = np.zeros(core.max_clients, np.int64)  # this tick, by slot
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
        self._core.receive_datagrams(batch, now, unix_now)
        self._sort_events()
        return len(batch)

    def handle_timeout(self, now: float) -> None:
        """Queue due keep-alives, close silent links."""
        self._core.handle_timeout(now)
        self._sort_events()

    def take_events(self) -> list[Connected | Disconnected]:
        """Return and forget which links came and went."""
        events, self._events = self._events, []
        return events

    def take_arrivals(self) -> Arrivals:
        """Return and forget the payloads of this tick."""
        arrived, self._arrived = self._arrived, []
        self._opened[:] = 0
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
        return self._core.send_payloads(
            [
                (client_id, payload[:end].tobytes())
                for client_id, payload, end in zip(client_ids, payloads, ends, strict=True)
            ],
            now,
        )

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

    def statistics(self) -> dict[str, int]:
        """Return all counters by name."""
        return self._core.snapshot() | self.counters

    def _sort_events(self) -> None:
        for event in self._core.events():
            match event:
                case Payload(client_id=client_id, data=data):
                    self._arrive(self._slots[client_id], data)
                case Connected(client_id=client_id, slot=slot):
                    self._slots[client_id] = slot
                    self._client_ids[slot] = client_id
                    self._events.append(event)
                case Disconnected(client_id=client_id, slot=slot):
                    del self._slots[client_id]
                    self._client_ids[slot] = -1
                    # The slot's next holder must not be taken for the sender of these.
                    self._arrived = [arrival for arrival in self._arrived if arrival[0] != slot]
                    self._events.append(event)

    def _arrive(self, slot: int, data: bytes) -> None:
        if self._opened[slot] >= MAX_OPENED_A_TICK:
            self._core.statistics.drops[Drop.FLOODING] += 1
            return
        self._opened[slot] += 1
        self._arrived.append((slot, data))
