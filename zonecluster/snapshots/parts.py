"""What goes into the encoding of snapshots and what comes out: the words that both ways share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from zonecluster.snapshots.baselines import Links

# Who is told of first when not everybody can be: whom the viewer selected or is grouped with; who was told of
# since the baseline, or it would go back to where it was; who waits long or was never seen; all others.
FOCUS, RECENT, URGENT = 3 << 12, 2 << 12, 1 << 12
URGENT_TICKS = 24
NEVER_SEEN_TICKS = 32  # waits as long as nobody in view does
FAR_WEIGHT = 96  # age counts for 96 parts of the nearest, for 33 of the farthest: 96 minus its rank


class Clock(NamedTuple):
    """What a snapshot says of time. One `tick` counts for all zone instances; it rises with each encoding."""

    tick: int
    time_ms: int
    dilation: float = 1.0  # game seconds per second


class OwnState(NamedTuple):
    """What a snapshot says of the viewers themselves, (m,) each."""

    input_ack: np.ndarray  # client tick that is played
    input_lead: np.ndarray  # -128..127
    corrections: np.ndarray
    top_speed: np.ndarray  # m/s
    is_frozen: np.ndarray
    instance: np.ndarray  # number of the zone instance


class Focus(NamedTuple):
    """Who matters to whom, by row, for all rows: asked when not everything can be sent."""

    selected: np.ndarray  # (n,) u4 entity id; 0: nobody
    group: np.ndarray  # (n,) u4; 0: none


class Viewers(NamedTuple):
    """Who is to be sent what."""

    rows: np.ndarray  # (m,) i8
    slots: np.ndarray  # (m,) i8: link slots, all different
    seen: np.ndarray  # (m, 64) i4: rows of others, nearest first
    counts: np.ndarray  # (m,) i4: how many of them
    baselines: np.ndarray  # (m,) i8: ticks; 0: nothing
    budgets: np.ndarray  # (m,) i8: bytes that the payload may have if everything is in it
    rations: np.ndarray  # (m,) i8: else; always the same, or the next tick had to take back what was told


class Outbox(NamedTuple):
    """Where snapshots are written."""

    heads: np.ndarray  # (m, 50) u1: header and own entity of each, as they are but for `slots`
    payloads: np.ndarray  # (m, 1150) u1
    lengths: np.ndarray  # (m,) i8


# links, history, tick, viewers, focus, outbox. Writes: the view of `tick` of each link, payloads, lengths.
Write = Callable[[Links, np.ndarray, int, Viewers, Focus, Outbox], None]
