"""The hostile process of `manage.py benchmark attack`. Sends to 127.0.0.1 only, for a bounded time.

forge: connection requests of the right form whose tokens nobody minted, each from another loopback address.
flood: one player's valid, sealed inputs, as many as a core gives. Prints one JSON line when it begins and one
when it ends, with what it sent.
"""

import json
import os
import socket
import sys
from ipaddress import IPv4Address
from time import monotonic, sleep, time

import numpy as np

from tests.benchmark.swarm import IP_PKTINFO, PKTINFO_BYTES, Swarm, big_socket
from zonecluster.packets import mmsg
from zonecluster.protocol.netcode import CONNECT_TOKEN_BYTES, PROTOCOL_ID
from zonecluster.protocol.netcode.wire import REQUEST, REQUEST_BYTES, REQUEST_LAYOUT, VERSION_INFO
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD

BATCH = 256
BURST_S = 0.002
MOST_SECONDS = 60.0
FIRST_STRANGER = int(IPv4Address("127.64.0.0"))
STRANGERS = 1 << 22  # addresses, in 16,384 networks
JOIN_S = 10.0


class Forger:
    """Requests with random tokens, from random addresses."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._socket = mmsg.BatchSocket(big_socket("0.0.0.0"))
        self._rng = np.random.default_rng(4)
        self._messages = mmsg.make_messages(BATCH, REQUEST_BYTES)
        server, length = mmsg.address_words(("127.0.0.1", port))
        self._messages.names[:] = server
        self._messages.headers[:, mmsg.NAME_LENGTH] = length
        self._controls = np.zeros((BATCH, 32), np.uint8)
        head = np.zeros(1, np.dtype([("length", "<u8"), ("level", "<i4"), ("kind", "<i4")]))
        head["length"], head["level"], head["kind"] = PKTINFO_BYTES, socket.IPPROTO_IP, IP_PKTINFO
        self._controls[:, :16] = head.view(np.uint8)
        rows = np.arange(BATCH, dtype=np.uint64)
        self._messages.headers[:, mmsg.CONTROL] = self._controls.ctypes.data + rows * np.uint64(32)
        self._messages.headers[:, mmsg.CONTROL_LENGTH] = PKTINFO_BYTES
        noise = bytes(24), os.urandom(1024)
        request = REQUEST_LAYOUT.pack(REQUEST, VERSION_INFO, PROTOCOL_ID, int(time()) + 60, *noise)
        self._messages.buffers[:] = np.frombuffer(request, np.uint8)
        self._nonces = slice(REQUEST_BYTES - 1024 - 24, REQUEST_BYTES - 1024)

    def burst(self, count: int) -> None:
        """Send up to BATCH requests, each with another token from another address."""
        count = min(count, BATCH)
        self._messages.buffers[:count, self._nonces] = self._rng.integers(0, 256, (count, 24), np.uint8)
        hosts = FIRST_STRANGER + self._rng.integers(0, STRANGERS, count)
        self._controls[:count, 20:24] = hosts.astype(">u4").view(np.uint8).reshape(count, 4)
        went, _ = self._socket.send(self._messages, 0, count)
        self.sent += max(went, 0)


class Flooder:
    """One player who got in honestly, and sends its inputs as fast as it can."""

    def __init__(self, port: int, token: bytes) -> None:
        """Raises: SystemExit: it did not get in."""
        self.sent = 0
        self._swarm = Swarm(1, ("127.0.0.1", port))
        self._swarm.join(0, token)
        give_up_at = monotonic() + JOIN_S
        while self._swarm.joining:
            if monotonic() > give_up_at:
                sys.exit("the flooding player did not get in")
            self._swarm.send_handshakes(monotonic())
            self._swarm.receive()
            sleep(0.001)
        packet = np.zeros((), np.dtype([("header", INPUT_HEADER), ("record", INPUT_RECORD)]))
        packet["header"]["kind"], packet["header"]["count"], packet["record"]["move_x"] = INPUT, 1, 127
        self._payloads = np.tile(np.frombuffer(packet.tobytes(), np.uint8), (BATCH, 1))
        self._seqs = self._payloads[:, INPUT_HEADER.itemsize : INPUT_HEADER.itemsize + 4]

    def burst(self, count: int) -> None:
        """Send up to BATCH inputs, each newer than the last."""
        count = min(count, BATCH)
        seqs = np.arange(self.sent + 1, self.sent + 1 + count, dtype="<u4")
        self._seqs[:count] = seqs.view(np.uint8).reshape(count, 4)
        self._swarm.send(np.zeros(count, np.int64), self._payloads[:count])
        self._swarm.discard()
        self.sent += count


def attack(attacker: Forger | Flooder, per_s: float, seconds: float) -> None:
    """Send at a rate, in bursts of BURST_S; a burst that comes late is not made up for."""
    began = next_at = monotonic()
    while (now := monotonic()) < began + min(seconds, MOST_SECONDS):
        if now < next_at:
            sleep(next_at - now)
            continue
        next_at = max(next_at + BURST_S, now - BURST_S)
        left = round(per_s * BURST_S)
        while left > 0:
            attacker.burst(left)
            left -= BATCH


def tell(message: dict) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    arguments = json.loads(sys.argv[1])
    if arguments["core"] is not None:
        os.sched_setaffinity(0, {arguments["core"]})
    attacker: Forger | Flooder
    if arguments["kind"] == "forge":
        attacker = Forger(arguments["port"])
    else:
        attacker = Flooder(arguments["port"], bytes.fromhex(arguments["token"])[:CONNECT_TOKEN_BYTES])
    tell({"begins": True})
    began = monotonic()
    attack(attacker, arguments["per_s"], arguments["seconds"])
    tell({"sent": attacker.sent, "seconds": monotonic() - began})


if __name__ == "__main__":
    main()
