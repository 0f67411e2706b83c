"""Payloads that came in, as arrays."""

from dataclasses import dataclass

import numpy as np

# One row per payload. A sealed packet of the greatest legal size holds at most 1307 bytes; rounded to lines.
ARRIVAL_BYTES = 1344
# Payloads and keep-alives of one link in a tick; a client sends one or two. What is more is dropped unopened.
MAX_OPENED_A_TICK = 16
# A link whose authentic packets exceed this is put out: at 16 in each tick after 5 s. A client sends 20
# inputs a second and at most 10 keep-alives; after a stall of the network they come at once, but are no more.
ALLOWED_PER_S = 64.0
ALLOWED_BURST = 1280.0


@dataclass(frozen=True)
class Arrivals:
    """In order of arrival: `slots` (m,) int64, `lengths` (m,) int64, `data` (m, ARRIVAL_BYTES) u8.

    Behind a payload's length its row holds anything. Slots are of links that are up, and the payload came
    from the client that holds the slot now.
    """

    slots: np.ndarray
    lengths: np.ndarray
    data: np.ndarray

    def __len__(self) -> int:
        return len(self.slots)

    def payload(self, index: int) -> bytes:
        """Return one payload's bytes."""
        return self.data[index, : self.lengths[index]].tobytes()


def no_arrivals() -> Arrivals:
    """Return arrivals of length 0."""
    return Arrivals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, ARRIVAL_BYTES), np.uint8))
