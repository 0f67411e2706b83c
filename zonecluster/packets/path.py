"""What both packet paths offer, and the choice between them at the start of a cluster."""

import socket
from collections import Counter
from typing import Protocol, cast

import numpy as np
import structlog

from zonecluster.hot_code import Choice, choose_way
from zonecluster.packets.arrivals import Arrivals
from zonecluster.packets.mmsg import BatchSocket
from zonecluster.packets.plain_path import PlainPath
from zonecluster.packets.stopwatch import Stopwatch
from zonecluster.protocol.netcode import Connected, Disconnected, ServerCore

log = structlog.get_logger(__name__)

BATCH_PATH = "zonecluster.packets.batch_path"


class PacketPath(Protocol):
    """The way between a non-blocking UDP socket and arrays, with NETCODE's core for the handshake.

    A slot is the row of a link in all arrays, 0..max_clients-1, told by its Connected event. `now` is
    monotonic seconds, `unix_now` unix seconds. Nothing raises for what comes from the network.
    """

    name: str
    counters: Counter[str]  # receive_errors, datagrams_lost, links_flooding
    stopwatch: Stopwatch  # told of the phases receive, open, seal, send

    def receive(self, now: float, unix_now: float) -> int:
        """Take what has arrived, a bounded lot of it; returns how many datagrams."""

    def handle_timeout(self, now: float) -> None:
        """Send or queue due keep-alives, close silent links."""

    def take_events(self) -> list[Connected | Disconnected]:
        """Return and forget which links came and went, in order."""

    def take_arrivals(self) -> Arrivals:
        """Return and forget the payloads since the last call; good until the next `receive`."""

    def send(
        self, slots: np.ndarray, payloads: np.ndarray, now: float, lengths: np.ndarray | None = None
    ) -> int:
        """Send or queue one payload for each slot; returns how many of the slots are taken.

        Args: slots: (m,), -1 for nobody; payloads: (m, length) u8; lengths: (m,), where they differ.
        Raises: ValueError: a payload of no or of more than 1150 bytes.
        """

    def disconnect(self, client_id: int, now: float) -> bool:
        """Put a client out; False when it is not connected."""

    def disconnect_all(self, now: float) -> None:
        """Put everybody out."""

    def flush(self) -> None:
        """Send what is queued."""

    def statistics(self) -> dict[str, int]:
        """Return all counters by name."""


def open_path(choice: Choice, bound: socket.socket, core: ServerCore) -> PacketPath:
    """Return the packet path for this machine, and say in the log which one it is.

    Args: choice: "auto" takes the batch path where it can run; the others insist.
    Raises: ImportError, RuntimeError or OSError: "batch" was insisted on and cannot run here.
    """
    path, reason = choose_way(
        choice,
        BATCH_PATH,
        lambda batch: cast(PacketPath, batch.BatchPath(BatchSocket(bound), core)),
        lambda: cast(PacketPath, PlainPath(bound, core)),
    )
    log.info("packet_path_chosen", path=path.name, reason=reason)
    return path
