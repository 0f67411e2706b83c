"""Many NETCODE clients in one process, over one socket and whole batches: a load that costs little itself.

Each client has an address of its own, 127.x.y.z, all of which Linux takes for its loopback: one socket sends
from and receives for all of them by IP_PKTINFO. Every packet is sealed and opened by the client's own keys,
with the compiled code of zonecluster/packets. Linux only.
"""

import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from time import monotonic

import numpy as np

from zonecluster.compiled import warm_up
from zonecluster.packets import lookup, mmsg, opening, sealing, wall
from zonecluster.packets.counters import COUNTERS
from zonecluster.packets.sodium import expose_sodium
from zonecluster.packets.table import fill_slot, make_table
from zonecluster.protocol.netcode import PROTOCOL_ID, Address, Drop, Handover, Limits
from zonecluster.protocol.netcode.packets import Channel, read_header
from zonecluster.protocol.netcode.requests import write_request
from zonecluster.protocol.netcode.tokens import parse_connect_token
from zonecluster.protocol.netcode.wire import (
    CHALLENGE,
    KEEP_ALIVE,
    KEY_BYTES,
    PAYLOAD,
    RESPONSE,
)

expose_sodium()
IP_PKTINFO = 8  # of Linux; Python does not name it
BATCH = 512
BUFFER_BYTES = 32 * 1024 * 1024
FIRST_HOST = int(IPv4Address("127.16.0.1"))
PKTINFO_BYTES = 28  # cmsghdr and in_pktinfo
CONTROL_BYTES = 64
ACCEPTED = frozenset((CHALLENGE, KEEP_ALIVE, PAYLOAD))
RETRY_S = 0.2


def big_socket(host: str, port: int = 0) -> socket.socket:
    """Return a non-blocking UDP socket with room for a tick of everybody's datagrams."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for forced, option in ((33, socket.SO_RCVBUF), (32, socket.SO_SNDBUF)):  # SO_RCVBUFFORCE, SO_SNDBUFFORCE
        try:
            bound.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
        except PermissionError:
            bound.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    bound.bind((host, port))
    bound.setblocking(False)
    return bound


@dataclass
class Joining:
    """One client during its handshake."""

    number: int
    token: bytes
    send_key: bytes
    receive_key: bytes
    channel: Channel
    packet: bytes
    sent_at: float = float("-inf")
    is_challenged: bool = False


class Swarm:
    """Up to `count` clients of one server. Clients are known by number, 0..count-1."""

    def __init__(self, count: int, server: Address) -> None:
        warm_up("zonecluster.packets.batch_path")  # not while somebody joins
        self.count = count
        self.socket = big_socket("0.0.0.0")
        self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._io = mmsg.BatchSocket(self.socket)
        self.port = self.socket.getsockname()[1]
        self._server, self._server_length = mmsg.address_words(server)
        hosts = np.array([FIRST_HOST + number for number in range(count)], np.uint32)
        self._hosts = hosts.byteswap()  # as they stand in packets
        self._table = make_table(count, (1, 2))
        self._sending = self._table._replace(addresses=np.tile(self._server, (count, 1)))
        self._inbox = mmsg.make_messages(BATCH, 1408)
        self._controls = np.zeros((BATCH, CONTROL_BYTES), np.uint8)
        rows = np.arange(BATCH, dtype=np.uint64)
        self._inbox.headers[:, mmsg.CONTROL] = self._controls.ctypes.data + rows * np.uint64(CONTROL_BYTES)
        self._outbox = mmsg.make_messages(BATCH, 1216)
        self._sources = self._source_controls()
        self._room = opening.make_room(BATCH)
        self._progress = np.zeros(2, np.int64)
        self._closed = np.zeros(count + BATCH, np.int64)
        self._strange = np.zeros(BATCH, np.int64)
        self._crypto = opening.make_crypto(PROTOCOL_ID)
        self._wall = wall.make_wall(Limits(), bytes(KEY_BYTES))
        self.counts = np.zeros(COUNTERS, np.int64)
        self.lost = 0
        self.bytes_received = 0
        self.joining: dict[int, Joining] = {}
        self.is_connected = np.zeros(count, bool)

    def address(self, number: int) -> Address:
        """Return the address that a client sends from."""
        return str(IPv4Address(FIRST_HOST + number)), self.port

    def _source_controls(self) -> np.ndarray:
        """Return (count, 32) u8: for each client the control message that makes its address the source."""
        controls = np.zeros((self.count, 32), np.uint8)
        head = np.zeros(1, np.dtype([("length", "<u8"), ("level", "<i4"), ("kind", "<i4")]))
        head["length"], head["level"], head["kind"] = PKTINFO_BYTES, socket.IPPROTO_IP, IP_PKTINFO
        controls[:, :16] = head.view(np.uint8)
        controls[:, 20:24] = self._hosts.view(np.uint8).reshape(-1, 4)  # ipi_spec_dst
        return controls

    # ------------------------------------------------------------ joining

    def join(self, number: int, connect_token: bytes) -> None:
        """Begin a client's handshake; `pump_joining` carries it on."""
        token = parse_connect_token(connect_token)
        channel = Channel(PROTOCOL_ID, token.client_to_server_key, token.server_to_client_key)
        self.joining[number] = Joining(
            number,
            connect_token,
            token.client_to_server_key,
            token.server_to_client_key,
            channel,
            write_request(token),
        )

    def send_handshakes(self, now: float) -> None:
        """Send what is due of those who join."""
        for client in self.joining.values():
            if now - client.sent_at >= RETRY_S:
                client.sent_at = now
                self._send_from(client.number, client.packet)

    def _send_from(self, number: int, packet: bytes) -> None:
        control = [(socket.IPPROTO_IP, IP_PKTINFO, self._sources[number, 16:28].tobytes())]
        words = self._server.tobytes()
        server = (socket.inet_ntop(socket.AF_INET, words[4:8]), int.from_bytes(words[2:4], "big"))
        self.socket.sendmsg([packet], control, 0, server)

    def _handshake(self, number: int, data: bytes, now: float) -> None:
        client = self.joining[number]
        header = read_header(data, ACCEPTED)
        if isinstance(header, Drop):
            return
        body = client.channel.open(data, header)
        if isinstance(body, Drop):
            return
        if header[0] == CHALLENGE:
            if not client.is_challenged:
                client.is_challenged = True
                client.packet = client.channel.seal(RESPONSE, body)
            client.sent_at = now
            self._send_from(number, client.packet)
        elif client.is_challenged:
            self._connected(client, now)

    def _connected(self, client: Joining, now: float) -> None:
        number = client.number
        link = Handover(
            client_id=number,
            slot=number,
            address=self.address(number),
            send_key=client.send_key,
            receive_key=client.receive_key,
            next_sequence=client.channel.sequence,
            received=client.channel.replay.received(),
            timeout_s=float("inf"),
            is_confirmed=True,
            heard_at=now,
            sent_at=now,
        )
        fill_slot(self._table, link)
        self._table.name_lengths[number] = self._server_length
        lookup.insert(self._table, number)
        self.is_connected[number] = True
        del self.joining[number]

    # ------------------------------------------------------------ playing

    def send(self, numbers: np.ndarray, payloads: np.ndarray) -> None:
        """Seal and send one payload (m, length) u8 for each of the numbers (m,), which are connected."""
        numbers = np.require(numbers, np.int64, ["C", "W"])
        lengths = np.full(len(numbers), payloads.shape[1], np.int64)
        start, now = 0, monotonic()
        while start < len(numbers):
            first = start
            count, start = sealing.seal_batch(
                self._outbox, self._sending, numbers, payloads, lengths, start, self._crypto, self.counts, now
            )
            senders = numbers[first:start].astype(np.uint64)
            self._outbox.headers[:count, mmsg.CONTROL] = self._sources.ctypes.data + senders * np.uint64(32)
            self._outbox.headers[:count, mmsg.CONTROL_LENGTH] = PKTINFO_BYTES
            done = 0
            while done < count:
                sent, error = self._io.send(self._outbox, done, count)
                if sent < 0 and error != errno.EINTR:
                    self.lost += 1
                done += max(sent, 1 if sent < 0 else 0)

    def receive(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Take one batch of what came.

        Returns: numbers (m,), lengths (m,), payloads (m, ARRIVAL_BYTES); None: nothing came.
        """
        self._inbox.headers[:, mmsg.CONTROL_LENGTH] = CONTROL_BYTES
        count, _ = self._io.receive(self._inbox)
        if count <= 0:
            return None
        now = monotonic()
        self.bytes_received += int(self._inbox.headers[:count, mmsg.LENGTH].sum())
        # The kernel tells who it was for; the table knows clients by that address.
        hosts = np.ascontiguousarray(self._controls[:count, 24:28]).view(np.uint32)[:, 0]  # ipi_addr
        port = int.from_bytes(self.port.to_bytes(2, "big"), "little")
        words = hosts.astype(np.uint64) << np.uint64(32) | np.uint64(port << 16 | socket.AF_INET)
        self._inbox.names[:count, 0] = words
        self._inbox.names[:count, 1:] = 0
        if self.joining:
            self._take_handshakes(count, hosts, now)
        self._progress[:] = 0
        self._table.opened[:] = 0
        opening.open_batch(
            self._inbox,
            count,
            self._table,
            self._room,
            self._progress,
            self._closed,
            self._strange,
            self._crypto,
            self._wall,
            self.counts,
            now,
            0.0,
        )
        for slot in self._closed[: self._progress[opening.CLOSED]].tolist():
            self.is_connected[slot] = False
        arrived = int(self._progress[opening.ARRIVED])
        return self._room.slots[:arrived], self._room.lengths[:arrived], self._room.data[:arrived]

    def _take_handshakes(self, count: int, hosts: np.ndarray, now: float) -> None:
        numbers = (hosts.byteswap().astype(np.int64) - FIRST_HOST).tolist()
        for row, number in enumerate(numbers):
            if number in self.joining:
                size = int(self._inbox.headers[row, mmsg.LENGTH])
                self._handshake(number, self._inbox.buffers[row, :size].tobytes(), now)
                self._inbox.headers[row, mmsg.LENGTH] = 0  # taken

    def discard(self) -> int:
        """Take everything that came and open none of it; returns how many datagrams."""
        taken = 0
        while True:
            self._inbox.headers[:, mmsg.CONTROL_LENGTH] = CONTROL_BYTES
            count, _ = self._io.receive(self._inbox)
            if count <= 0:
                return taken
            taken += count
