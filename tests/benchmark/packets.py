"""The packet path against a plain C loop doing the same, in one run. For `manage.py benchmark packets`.

Receive: recvmmsg, find the link, check header and replay, open. Send: seal, sendmmsg. Real sockets on
loopback, inputs of 38 bytes in and snapshots of 1,072 bytes out, one of each per client and round. Measured
is the CPU time of the thread, so that what else the machine does matters little; the ways take turns.
"""

import ctypes
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, thread_time_ns, time
from types import TracebackType
from typing import Any

import numpy as np

from tests.benchmark.c_code import add_links, compile_c, make_loop
from tests.benchmark.machine import CannotMeasure
from tests.benchmark.swarm import Swarm, big_socket
from zonecluster.packets.path import PacketPath, open_path
from zonecluster.protocol.netcode import (
    PROTOCOL_ID,
    Connected,
    Limits,
    ServerCore,
    mint_connect_token,
)

INPUT_BYTES, SNAPSHOT_BYTES = 38, 1072
WARM_UP_ROUNDS = 3
SOURCE = Path(__file__).with_name("packets_loop.c")
FAST = Limits(
    requests_per_s=1e6, requests_burst=1e6, requests_per_s_per_network=1e6, requests_burst_per_network=1e6
)


@dataclass
class Way:
    """One way to do the work, with clients of its own. Times are µs of CPU per packet, one for each round."""

    name: str
    swarm: Swarm
    path: PacketPath
    slots: np.ndarray  # by client number
    close: Callable[[], None]
    opening: list[float] = field(default_factory=list)
    sealing: list[float] = field(default_factory=list)

    def receive(self) -> int:
        """Take all inputs; returns how many."""
        count = 0
        while self.path.receive(monotonic(), time()):
            pass
        count = len(self.path.take_arrivals())
        return count

    def send(self, payloads: np.ndarray) -> None:
        """Send a snapshot to each client."""
        self.path.send(self.slots, payloads, monotonic())
        self.path.flush()


class CWay(Way):
    """The C loop, with links that were connected by the batch path."""

    loop: Any
    library: ctypes.CDLL
    file: int
    lengths: np.ndarray

    def receive(self) -> int:
        return self.library.receive(self.loop, self.file, ctypes.c_double(monotonic()))

    def send(self, payloads: np.ndarray) -> None:
        self.library.send_all(
            self.loop,
            self.file,
            ctypes.c_void_p(self.slots.ctypes.data),
            len(self.slots),
            ctypes.c_void_p(payloads.ctypes.data),
            payloads.shape[1],
            ctypes.c_void_p(self.lengths.ctypes.data),
            ctypes.c_double(monotonic()),
        )


def connected_way(name: str, choice: Any, clients: int) -> Way:
    """Return a path with all its clients connected by real handshakes."""
    server = big_socket("127.0.0.1")
    address = server.getsockname()
    key = secrets.token_bytes(32)
    core = ServerCore(
        protocol_id=PROTOCOL_ID,
        private_key=key,
        public_addresses=[address],
        random_bytes=secrets.token_bytes,
        max_clients=clients,
        limits=FAST,
    )
    path = open_path(choice, server, core)
    swarm = Swarm(clients, address)
    slots = np.full(clients, -1, np.int64)
    for number in range(clients):
        token = mint_connect_token(
            client_id=number,
            server_addresses=[address],
            user_data=b"",
            expire_s=600,
            timeout_s=-1,
            protocol_id=PROTOCOL_ID,
            private_key=key,
            random_bytes=secrets.token_bytes,
            unix_now=time(),
        )
        swarm.join(number, token)
    give_up_at = monotonic() + 60
    while swarm.joining or (slots < 0).any():
        if monotonic() > give_up_at:
            raise CannotMeasure(f"Only {clients - len(swarm.joining)} of {clients} clients got in.")
        swarm.send_handshakes(monotonic())
        path.receive(monotonic(), time())
        for event in path.take_events():
            if isinstance(event, Connected):
                slots[event.client_id] = event.slot
        path.take_arrivals()
        path.flush()
        while swarm.receive() is not None:
            pass

    def close() -> None:
        server.close()
        swarm.socket.close()

    way = Way(name, swarm, path, slots, close)
    way.server_file = server.fileno()  # type: ignore[attr-defined]
    return way


def c_way(clients: int, library: ctypes.CDLL) -> CWay:
    """Return the C loop with the links of a batch path that has connected them."""
    batch = connected_way("C", "batch", clients)
    way = CWay("C", batch.swarm, batch.path, batch.slots, batch.close)
    way.library = library
    way.file = batch.server_file  # type: ignore[attr-defined]
    way.loop = make_loop(library, clients)
    way.lengths = np.full(clients, SNAPSHOT_BYTES, np.int64)
    add_links(library, way.loop, batch.path.table, batch.slots)  # type: ignore[attr-defined]
    return way


def measure_round(way: Way, payloads: np.ndarray) -> None:
    """One input from each client, one snapshot to each. What the clients do is not timed."""
    clients = len(way.slots)
    way.swarm.send(np.arange(clients), np.full((clients, INPUT_BYTES), 2, np.uint8))
    before = thread_time_ns()
    count = way.receive()
    between = thread_time_ns()
    way.send(payloads)
    after = thread_time_ns()
    if count != clients:
        raise CannotMeasure(
            f"{way.name} received {count} of {clients}: raise net.core.rmem_max, or try fewer clients."
        )
    received = way.swarm.discard()
    if received != clients:
        raise CannotMeasure(f"{way.name}: {received} of {clients} snapshots came: try fewer clients.")
    way.opening.append((between - before) / clients / 1000)
    way.sealing.append((after - between) / clients / 1000)


class Comparison(AbstractContextManager):
    """All ways, side by side."""

    def __init__(self, clients: int, with_plain: bool = True) -> None:
        self.clients = clients
        self._folder = TemporaryDirectory()
        library = compile_c(Path(self._folder.name), SOURCE)
        self.ways = [c_way(clients, library), connected_way("batch", "batch", clients)]
        if with_plain:
            self.ways.append(connected_way("plain", "plain", clients))
        self._payloads = np.frombuffer(secrets.token_bytes(clients * SNAPSHOT_BYTES), np.uint8)
        self._payloads = self._payloads.reshape(clients, SNAPSHOT_BYTES).copy()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for way in self.ways:
            way.close()
        self._folder.cleanup()

    def round(self) -> None:
        """Let each way do one round."""
        for way in self.ways:
            measure_round(way, self._payloads)

    def run(self, rounds: int, tell: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
        """Return medians in µs per packet, and ratios to the C loop."""
        for number in range(WARM_UP_ROUNDS + rounds):
            self.round()
            tell(number + 1)
        result: dict[str, Any] = {"test": "packets", "n": self.clients, "rounds": rounds}
        for way in self.ways:
            opening, sealing = (median(times[WARM_UP_ROUNDS:]) for times in (way.opening, way.sealing))
            result[way.name] = {
                "receive_open_us": round(opening, 3),
                "seal_send_us": round(sealing, 3),
                "both_us": round(opening + sealing, 3),
            }
        for way in self.ways[1:]:
            ratio = result[way.name]["both_us"] / result["C"]["both_us"]
            result[way.name]["ratio_to_c"] = round(ratio, 3)
        return result
