"""What the client tells of its wishes: input payloads that repeat changes, in case one is lost. Pure."""

import math
from collections import deque

import numpy as np

from waystone_client.prediction import FULL_WISH, Wish
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD

REPEATED_TICKS = 20  # a change is told again and again for so long; after 1 s it would be too late
MAX_CHANGES = 7  # of the newest changes, and what is wished now
EAGER_TICKS = 4  # after a change every tick says so
WALKING_EVERY = 2  # else every second tick while walking ...
STANDING_EVERY = 5  # ... and every fifth while standing

STILL: Wish = (0, 0)


def wish_of(x: float, y: float) -> Wish:
    """Return the wish for a velocity as a fraction of the top speed; a vector longer than 1 is shortened."""
    length = max(1.0, math.hypot(x, y))
    east, north = x / length * FULL_WISH, y / length * FULL_WISH
    wish = round(east), round(north)
    # Rounded up it may be a little too long, which the server would cut and count.
    return wish if math.hypot(*wish) <= FULL_WISH else (int(east), int(north))


def heading_of(wish: Wish) -> int:
    """Return the 256ths of a turn in which a wish leads."""
    return round(math.atan2(*wish) / math.tau * 256) % 256


class InputLog:
    """The wishes of one zone link, from the first."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, Wish, int]] = deque(maxlen=MAX_CHANGES)  # tick, wish, heading
        self._wish = STILL
        self._heading = 0
        self._sent_tick = 0

    def note(self, tick: int, wish: Wish, snapshot_ack: int) -> bytes | None:
        """Note what is wished from a client tick on; returns the payload to send now, None: nothing.

        Args: tick: one more than in the call before. snapshot_ack: newest snapshot decoded, 0: none.
        """
        if wish != self._wish:
            self._wish = wish
            self._heading = heading_of(wish) if wish != STILL else self._heading
            self._changes.append((tick, wish, self._heading))
        elif tick - self._sent_tick < self._patience(tick):
            return None
        self._sent_tick = tick
        told = [change for change in self._changes if tick - REPEATED_TICKS < change[0] < tick]
        told.append((tick, wish, self._heading))
        header = np.zeros(1, INPUT_HEADER)
        header["kind"], header["count"], header["snapshot_ack"] = INPUT, len(told), snapshot_ack
        records = np.array([(at, x, y, heading, 0) for at, (x, y), heading in told], INPUT_RECORD)
        return header.tobytes() + records.tobytes()

    def _patience(self, tick: int) -> int:
        """Return after how many ticks the same is said again."""
        if self._changes and tick - self._changes[-1][0] < EAGER_TICKS:
            return 1
        return STANDING_EVERY if self._wish == STILL else WALKING_EVERY
