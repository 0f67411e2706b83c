"""Snapshots encoded by compiled code. Importing this raises ImportError where numba is missing."""

import sys
from typing import NamedTuple

import numpy as np

from zonecluster.interest.scene import MAX_SEEN
from zonecluster.protocol.zone_payloads import ENTITY, LEAST_SNAPSHOT_BYTES, MAX_NEAREST, MAX_PAYLOAD_BYTES
from zonecluster.snapshots import kernels
from zonecluster.snapshots.baselines import Baselines, Links
from zonecluster.snapshots.parts import Focus, Outbox, Viewers

if sys.byteorder != "little":
    raise ImportError("the compiled encoder reads records as words: little-endian machines only")

NAME = "batch"


class Room(NamedTuple):
    """Scratch of compiled code."""

    stamps: np.ndarray  # (rows,) u4: who sees a row now, and as which of its nearest
    occupants: np.ndarray  # (64,) i8: who stands in each place of the view
    ends: np.ndarray  # (64,) i8: where the change of each place ends
    costs: np.ndarray  # (64,) i8: its bytes
    order: np.ndarray  # (64,) i8: changes by urgency
    notes: np.ndarray  # (64,) u1


class CompiledWriter:
    """Writes snapshots; see parts.py: Write."""

    def __init__(self) -> None:
        """Make scratch for 64 places; it grows with the tables."""
        self._room = make_room(0)

    def __call__(
        self, links: Links, history: np.ndarray, tick: int, viewers: Viewers, focus: Focus, outbox: Outbox
    ) -> None:
        """Write the snapshots of a tick and keep the views they make."""
        if len(self._room.stamps) != history.shape[1]:
            self._room = make_room(history.shape[1])
        words = history.view(np.uint64).reshape(*history.shape, 2)
        # Other types would be compiled anew, for seconds, in the middle of a tick.
        focus = Focus(*(np.require(column, np.uint32, ["C", "W"]) for column in focus))
        kernels.write_snapshots(links, words, tick, viewers, focus, outbox, self._room)


def make_room(rows: int) -> Room:
    """Return scratch for a table of so many rows."""
    occupants, ends, costs, order = np.zeros((4, MAX_NEAREST), np.int64)
    return Room(np.zeros(rows, np.uint32), occupants, ends, costs, order, np.zeros(MAX_NEAREST, np.uint8))


def warm_up() -> None:
    """Compile everything, or load what an earlier process compiled, by one viewer who sees one other."""
    baselines = Baselines(1, 0)
    baselines.remember(1, np.ones(2, ENTITY))
    nearest = np.ones((1, MAX_SEEN), np.int32)
    one = np.ones(1, np.int64)
    CompiledWriter()(
        baselines.links,
        baselines.history,
        1,
        Viewers(one * 0, one * 0, nearest, np.ones(1, np.int32), one * 0, one, one),
        Focus(np.zeros(2, np.uint32), np.zeros(2, np.uint32)),
        Outbox(
            np.zeros((1, LEAST_SNAPSHOT_BYTES), np.uint8), np.zeros((1, MAX_PAYLOAD_BYTES), np.uint8), one * 0
        ),
    )
