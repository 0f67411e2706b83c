"""The packet path in batches: sockets by recvmmsg and sendmmsg, links in a table, packets in compiled code.

NETCODE's core keeps the handshake, slots and token history; each client that it connects is handed over to
the table here until it goes. Raises ImportError, NoBatches or NoSodium where this machine cannot run it, and
numba's errors where it does not compile it.
"""

import errno
import secrets
import socket
from collections import Counter

import numpy as np
import structlog

from zonecluster.packets import lookup, mmsg, opening, sealing, upkeep, wall
from zonecluster.packets.arrivals import Arrivals
from zonecluster.packets.counters import COUNTERS, fold
from zonecluster.packets.mmsg import BatchSocket
from zonecluster.packets.sodium import expose_sodium
from zonecluster.packets.stopwatch import NO_STOPWATCH, Stopwatch
from zonecluster.packets.table import clear_slot, fill_slot, make_table
from zonecluster.protocol.netcode import (
    MAX_PAYLOAD_SENT_BYTES,
    Connected,
    Disconnected,
    LinkEvent,
    ServerCore,
)
from zonecluster.protocol.netcode.wire import DISCONNECT, DISCONNECT_PACKETS, KEEP_ALIVE, KEY_BYTES

log = structlog.get_logger(__name__)

mmsg.check_machine()
expose_sodium()

RECEIVE_BATCH = 512  # datagrams by one system call
RECEIVE_AT_ONCE = 8192  # before the loop gets its turn again
RECEIVE_BYTES = 1408  # the longest packet is 1325; a longer one is cut, and refused for its length
SEND_BATCH = 256  # sealed, then sent, while they are still in the processor's cache
SEND_BYTES = 1216  # the longest packet that we send is 1175
ARRIVALS_PER_CLIENT = 4  # room for payloads of one tick
ROOM_WAIT_S = 0.005  # in one tick, for the kernel to take more datagrams, before they are given up
LOOK_OVER_S = 0.02


class BatchPath:
    """Sends and receives for all links by whole batches. See path.py: PacketPath."""

    name = "batch"

    def __init__(self, bound: BatchSocket, core: ServerCore) -> None:
        count = core.max_clients
        room = max(ARRIVALS_PER_CLIENT * count, RECEIVE_BATCH)
        self.counters: Counter[str] = Counter()
        self.stopwatch: Stopwatch = NO_STOPWATCH
        self._socket = bound
        self._core = core
        self.table = make_table(count, (secrets.randbits(64), secrets.randbits(64)))
        self._inbox = mmsg.make_messages(RECEIVE_BATCH, RECEIVE_BYTES)
        self._outbox = mmsg.make_messages(SEND_BATCH, SEND_BYTES)
        self._arrivals = opening.make_room(room)
        self._progress = np.zeros(2, np.int64)
        self._closed = np.zeros(count, np.int64)
        self._due = np.zeros(count, np.int64)
        self._flooding = np.zeros(count, np.int64)
        self._strange = np.zeros(RECEIVE_BATCH, np.int64)
        self._crypto = opening.make_crypto(core.protocol_id)
        self._wall = wall.make_wall(core.limits, core.private_key)
        self._counts = np.zeros(COUNTERS, np.int64)
        self._client_ids: dict[int, int] = {}  # by slot
        self._slots: dict[int, int] = {}  # by client id
        self._events: list[Connected | Disconnected] = []
        self._looked_over_at = float("-inf")
        self._room_wait_s = ROOM_WAIT_S
        self._compile()

    def _compile(self) -> None:
        """Run everything once on nothing: what takes seconds now would stop a tick later."""
        nobody, nothing = np.empty(0, np.int64), np.empty((0, 1), np.uint8)
        crypto, counts = self._crypto, self._counts
        self._take_batch(0, 0.0, 0.0)
        lookup.insert(self.table, 0)
        lookup.remove(self.table, 0)
        upkeep.end_tick(self.table)
        upkeep.look_over(self.table, self._closed, self._due, self._flooding, 0.0, 0.0)
        sealing.seal_control(self._outbox, self.table, nobody, 0, KEEP_ALIVE, crypto, counts, 0.0)
        sealing.seal_batch(self._outbox, self.table, nobody, nothing, nobody, 0, crypto, counts, 0.0)

    # ------------------------------------------------------------ receiving

    def receive(self, now: float, unix_now: float) -> int:
        """Take what has arrived, a bounded lot of it; returns how many datagrams."""
        taken = 0
        while taken < RECEIVE_AT_ONCE:
            count, error = self._socket.receive(self._inbox)
            self.stopwatch.lap("receive")
            if count > 0:
                self._take_batch(count, now, unix_now)
                taken += count
                self.stopwatch.lap("open")
            elif error not in (errno.EAGAIN, errno.EINTR):
                self.counters["receive_errors"] += 1
            if count < RECEIVE_BATCH:
                break
        return taken

    def _take_batch(self, count: int, now: float, unix_now: float) -> None:
        """Open a received batch and do what is to be done in Python for single links."""
        progress = self._progress
        progress[opening.CLOSED] = 0
        strangers = opening.open_batch(
            self._inbox,
            count,
            self.table,
            self._arrivals,
            progress,
            self._closed,
            self._strange,
            self._crypto,
            self._wall,
            self._counts,
            now,
            unix_now,
        )
        for slot in self._closed[: progress[opening.CLOSED]].tolist():
            self._end(slot, LinkEvent.CLOSED_BY_CLIENT)
        if strangers:
            for row in self._strange[:strangers].tolist():
                size = int(self._inbox.headers[row, mmsg.LENGTH])
                data = self._inbox.buffers[row, :size].tobytes()
                self._core.receive_datagram(data, mmsg.address_of(self._inbox.names[row]), now, unix_now)
            self._adopt()
            self.flush()  # a new client's first keep-alive goes before anything that is sent to its slot

    def _adopt(self) -> None:
        """Take over whoever the core has connected."""
        for event in self._core.events():
            if isinstance(event, Connected):
                fill_slot(self.table, self._core.hand_over(event.client_id))
                lookup.insert(self.table, event.slot)
                self._client_ids[event.slot] = event.client_id
                self._slots[event.client_id] = event.slot
                self._events.append(event)

    def _end(self, slot: int, event: LinkEvent) -> None:
        """Take a link out of the table and tell the core, which frees the slot."""
        lookup.remove(self.table, slot)
        clear_slot(self.table, slot)
        waiting = self._arrivals.slots[: self._progress[opening.ARRIVED]]
        waiting[waiting == slot] = -1  # the slot's next holder must not be taken for their sender
        client_id = self._client_ids.pop(slot)
        del self._slots[client_id]
        self._core.close_handed_over(client_id, event)
        self._events += [each for each in self._core.events() if isinstance(each, Disconnected)]

    def take_events(self) -> list[Connected | Disconnected]:
        """Return and forget which links came and went."""
        events, self._events = self._events, []
        return events

    def take_arrivals(self) -> Arrivals:
        """Return and forget the payloads of this tick. Good until the next `receive`."""
        count = int(self._progress[opening.ARRIVED])
        self._progress[opening.ARRIVED] = 0
        self._wall.left[:] = wall.TO_CORE_A_TICK
        upkeep.end_tick(self.table)
        self._room_wait_s = ROOM_WAIT_S
        slots = self._arrivals.slots[:count]
        lengths, data = self._arrivals.lengths[:count], self._arrivals.data[:count]
        if count and slots.min() < 0:
            is_here = slots >= 0
            return Arrivals(slots[is_here], lengths[is_here], data[is_here])
        return Arrivals(slots, lengths, data)

    # ------------------------------------------------------------ sending

    def send(
        self, slots: np.ndarray, payloads: np.ndarray, now: float, lengths: np.ndarray | None = None
    ) -> int:
        """Seal and send one payload for each slot.

        Args: payloads: (m, length) u8; lengths: (m,), where not all of them have the whole length.
        Returns: how many of the slots are taken.
        Raises: ValueError: a payload of no or of more than 1150 bytes.
        """
        if len(slots) == 0:
            return 0
        if lengths is None:
            lengths = np.full(len(slots), payloads.shape[1], np.int64)
        if lengths.min() < 1 or lengths.max() > min(MAX_PAYLOAD_SENT_BYTES, payloads.shape[1]):
            raise ValueError(f"a payload has 1..{MAX_PAYLOAD_SENT_BYTES} bytes")
        # Read-only or strided arrays would be other types to compiled code: seconds of compiling, in a tick.
        slots, lengths = (np.require(each, np.int64, ["C", "W"]) for each in (slots, lengths))
        payloads = np.require(payloads, np.uint8, ["C", "W"])
        start = 0
        while start < len(slots):
            count, start = sealing.seal_batch(
                self._outbox, self.table, slots, payloads, lengths, start, self._crypto, self._counts, now
            )
            self.stopwatch.lap("seal")
            self._transmit(count)
            self.stopwatch.lap("send")
        return int((self.table.state[slots[slots >= 0]] == 1).sum())

    def _send_control(self, kind: int, slots: np.ndarray, now: float) -> None:
        start = 0
        while start < len(slots):
            count, start = sealing.seal_control(
                self._outbox, self.table, slots, start, kind, self._crypto, self._counts, now
            )
            self._transmit(count)

    def _transmit(self, count: int) -> None:
        """Send the outbox. What the kernel does not take is lost, which UDP may be: counted."""
        done = 0
        while done < count:
            sent, error = self._socket.send(self._outbox, done, count)
            if sent > 0:
                done += sent
            elif error in (errno.EAGAIN, errno.ENOBUFS):
                if not self._wait_for_room():
                    self.counters["datagrams_lost"] += count - done
                    return
            elif error != errno.EINTR:  # one player's address must not stop the others
                self.counters["datagrams_lost"] += 1
                done += 1

    def _wait_for_room(self) -> bool:
        """Wait until the kernel takes datagrams again; in each tick not longer than ROOM_WAIT_S in all."""
        if self._room_wait_s <= 0:
            return False
        self._room_wait_s -= 0.001
        self._socket.wait_for_room(0.001)
        return True

    def handle_timeout(self, now: float) -> None:
        """Send due keep-alives, close silent links."""
        self._core.handle_timeout(now)
        passed = now - self._looked_over_at
        if passed < LOOK_OVER_S:
            return
        self._looked_over_at = now
        silent, due, flooding = upkeep.look_over(
            self.table, self._closed, self._due, self._flooding, now, passed
        )
        if due:
            self._send_control(KEEP_ALIVE, self._due[:due], now)
        for slot in self._closed[:silent].tolist():
            self._end(slot, LinkEvent.TIMED_OUT)
        for slot in self._flooding[:flooding].tolist():
            self.counters["links_flooding"] += 1
            log.warning("link_put_out_for_flooding", client_id=self._client_ids[slot])
            self.disconnect(self._client_ids[slot], now)

    def disconnect(self, client_id: int, now: float) -> bool:
        """Put a client out, telling it so ten times; False when it is not connected."""
        slot = self._slots.get(client_id)
        if slot is None:
            return False
        self._send_control(DISCONNECT, np.full(DISCONNECT_PACKETS, slot, np.int64), now)
        self._end(slot, LinkEvent.CLOSED_BY_SERVER)
        return True

    def disconnect_all(self, now: float) -> None:
        """Put everybody out."""
        for client_id in list(self._slots):
            self.disconnect(client_id, now)

    def flush(self) -> None:
        """Send what the core has queued: answers to strangers, and each client's first keep-alive."""
        for data, address in self._core.datagrams_to_send():
            if not self._socket.send_one(data, address):
                self.counters["datagrams_lost"] += 1

    def statistics(self) -> dict[str, int]:
        """Return all counters by name."""
        fold(self._counts, self._core.statistics)
        return self._core.snapshot() | self.counters


def warm_up() -> None:
    """Compile or load everything here, without a cluster. For zonecluster.compiled."""
    core = ServerCore(
        protocol_id=0,
        private_key=bytes(KEY_BYTES),
        public_addresses=[("127.0.0.1", 1)],
        random_bytes=secrets.token_bytes,
        max_clients=1,
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
        BatchPath(BatchSocket(unbound), core)
