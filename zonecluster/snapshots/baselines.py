"""What each zone link was sent: the views that the next snapshots build on, and the records that they show.

A view holds no records, merely for each place which row stands there, and of which tick its record is: the
records of a tick are the same for all viewers, and the history keeps those of the last 32 ticks once. A link
costs 8 KB, and what the next tick needs of it is 256 bytes.
"""

from typing import NamedTuple

import numpy as np

from zonecluster.protocol.zone_payloads import ENTITY, MAX_BASELINE_TICKS, MAX_NEAREST

WHOLE_RECORD = np.dtype("V16")  # an ENTITY in one piece: copied many times faster than field by field
EMPTY_PLACE = 0xFFFF_FFFF
TICK_SHIFT = 24  # a word of a view: row, and the low 8 bits of its record's tick above it
ROW_BITS = (1 << TICK_SHIFT) - 1
TICK_BITS = 0xFF
MAX_ROWS = ROW_BITS  # so that no word is EMPTY_PLACE


class Links(NamedTuple):
    """Columns by link slot; compiled code takes them as they are. Memory is used by links that were up."""

    words: np.ndarray  # (n, 32, 64) u4: of the view of a tick, at tick modulo 32: what stands in each place
    places: np.ndarray  # (n, 32) u1: how many places the view has
    ticks: np.ndarray  # (n, 32) u4: of which tick it is; 0: none
    latest: np.ndarray  # (n,) u4: tick of the newest view; 0: none
    acknowledged: np.ndarray  # (n,) u4: newest tick that the client says it has; 0: none
    bucket: np.ndarray  # (n,) i8: bytes that may be sent now


class Baselines:
    """State of all link slots."""

    def __init__(self, slots: int, full_bucket: int) -> None:
        """Make `slots` links that were sent nothing; each may be sent `full_bucket` bytes at once."""
        self.links = Links(
            words=np.zeros((slots, MAX_BASELINE_TICKS, MAX_NEAREST), np.uint32),
            places=np.zeros((slots, MAX_BASELINE_TICKS), np.uint8),
            ticks=np.zeros((slots, MAX_BASELINE_TICKS), np.uint32),
            latest=np.zeros(slots, np.uint32),
            acknowledged=np.zeros(slots, np.uint32),
            bucket=np.full(slots, full_bucket, np.int64),
        )
        self.history = np.zeros((MAX_BASELINE_TICKS, 0), ENTITY)
        self.tick = 0  # of the newest records
        self._full_bucket = full_bucket

    def forget(self, slot: int) -> None:
        """Another link has this slot: it was sent nothing."""
        self.links.ticks[slot] = 0
        self.links.latest[slot] = self.links.acknowledged[slot] = 0
        self.links.bucket[slot] = self._full_bucket

    def acknowledge(self, slots: np.ndarray, ticks: np.ndarray) -> None:
        """Note what clients say they have. Never sent to that link, or older than known: ignored.

        Args: slots: (k,), some may come several times; those that are none are ignored. ticks: (k,) u4.
        """
        is_slot = (slots >= 0) & (slots < len(self.links.ticks))
        slots, ticks = slots[is_slot], ticks[is_slot].astype(np.uint32)
        is_sent = (self.links.ticks[slots, ticks % MAX_BASELINE_TICKS] == ticks) & (ticks != 0)
        np.maximum.at(self.links.acknowledged, slots[is_sent], ticks[is_sent])

    def remember(self, tick: int, records: np.ndarray) -> None:
        """Keep everybody's records of a tick.

        Args: records: (n,) ENTITY of all rows. n may grow from tick to tick.
        Raises: ValueError: the tick is not after the last one, or there are more rows than a view can name.
        """
        if not self.tick < tick < 1 << 32:
            raise ValueError(f"tick {tick} is not after {self.tick}")
        rows = self.history.shape[1]
        if not rows <= len(records) <= MAX_ROWS:
            raise ValueError(
                f"{len(records)} rows after {rows}; at most {MAX_ROWS}, and never less than before"
            )
        if len(records) > rows:
            grown = np.zeros((MAX_BASELINE_TICKS, len(records)), ENTITY)
            grown[:, :rows] = self.history
            self.history = grown
        self.history[tick % MAX_BASELINE_TICKS].view(WHOLE_RECORD)[:] = records.view(WHOLE_RECORD)
        self.tick = tick

    def baseline_ticks(self, slots: np.ndarray) -> np.ndarray:
        """Return (m,) i8: on which view the next snapshot of each link builds; 0: on nothing."""
        acknowledged = self.links.acknowledged[slots].astype(np.int64)
        return np.where(self.tick - acknowledged < MAX_BASELINE_TICKS, acknowledged, 0)

    def view(self, slot: int, tick: int) -> np.ndarray | None:
        """Return the view (64,) ENTITY that a link was sent at a tick; None: none is kept.

        id 0: nobody stands there. For tests and for looking: records over 31 ticks old are gone.
        """
        links, at = self.links, tick % MAX_BASELINE_TICKS
        if tick == 0 or links.ticks[slot, at] != tick or self.tick - tick >= MAX_BASELINE_TICKS:
            return None
        view = np.zeros(MAX_NEAREST, ENTITY)
        for place, word in enumerate(links.words[slot, at, : links.places[slot, at]].tolist()):
            if word != EMPTY_PLACE:
                record_tick = tick - ((tick - (word >> TICK_SHIFT)) & TICK_BITS)
                view[place] = self.history[record_tick % MAX_BASELINE_TICKS, word & ROW_BITS]
        return view
