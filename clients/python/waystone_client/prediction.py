"""Where the own character stands by the client's clock: its wishes, played on what the server said. Pure.

The server plays one client tick in each of its ticks (docs/protocol.md, "Inputs"), so a client that knows the
state after tick `input_ack` and what it wished in the ticks since then knows where it will stand. What was
wrong is not shown as a jump: the difference is taken back over about 100 ms.
"""

import math
from dataclasses import dataclass
from typing import Self

from zonecluster.protocol.snapshot_view import Snapshot

TICK_S = 0.05
FULL_WISH = 127  # of move_x and move_y: the top speed
FIRST_TICK = 16  # of a zone link; above the server's buffer, so that it can begin behind the first input
HISTORY_TICKS = 128  # wishes remembered: 6 s of not being heard
REMAINING = 0.35  # of an error is shown one tick later: 12 % after 100 ms
SNAP_M = 2.0  # an error of more than this is not blended
NOTICED_M = 0.05
NOTHING_M = 1e-4  # an error of less is forgotten

Point = tuple[float, float]
Wish = tuple[int, int]


@dataclass(frozen=True)
class OwnState:
    """What a snapshot says of the player itself, after client tick `input_ack`. Metres, m/s."""

    input_ack: int
    x: float
    y: float
    z: float
    top_speed: float
    is_held: bool = False  # frozen: no wish moves it

    @classmethod
    def of(cls, snapshot: Snapshot, size: float) -> Self:
        """Return what a snapshot of a zone of that size (metres) says."""
        x, y, z = snapshot.positions(size)[0].tolist()
        return cls(snapshot.input_ack, x, y, z, snapshot.top_speed, snapshot.is_frozen)


def step_of(wish: Wish, top_speed: float) -> Point:
    """Return how far one tick of a wish leads, in metres; as the server reckons it."""
    length = max(math.hypot(*wish), FULL_WISH)
    metres = top_speed * TICK_S / length
    return wish[0] * metres, wish[1] * metres


class Prediction:
    """One character in one zone, by one zone link.

    Args: size: of the zone, metres.
    Counts: `error_m`: how wrong it was at the last snapshot; `corrections`: how often by more than 5 cm;
    `snaps`: how often too wrong to be blended.
    """

    def __init__(self, size: float, tick: int = FIRST_TICK) -> None:
        self.tick = tick  # the client tick that was played last
        self.error_m = 0.0
        self.corrections = 0
        self.snaps = 0
        self._size = size
        self._wishes: dict[int, Wish] = {}
        self._state: OwnState | None = None
        self._at: Point = (0.0, 0.0)  # at the present tick, as it is known now
        self._offset: Point = (0.0, 0.0)  # what is shown less what is known
        self._shown_before: Point = (0.0, 0.0)

    @property
    def is_known(self) -> bool:
        """Whether any state has come."""
        return self._state is not None

    @property
    def position(self) -> tuple[float, float, float]:
        """Where the character is shown at the present client tick, metres."""
        (x, y), z = self._shown(), self._state.z if self._state else 0.0
        return x, y, z

    def between(self, fraction: float) -> tuple[float, float, float]:
        """Return where it is shown between the last tick (0) and the present one (1): to draw smoothly."""
        (x, y), (x0, y0), part = self._shown(), self._shown_before, min(max(fraction, 0.0), 1.0)
        return x0 + (x - x0) * part, y0 + (y - y0) * part, self.position[2]

    def step(self, wish: Wish) -> int:
        """Play one client tick with this wish; returns its number."""
        self._shown_before = self._shown()
        self.tick += 1
        self._wishes[self.tick] = wish
        self._wishes.pop(self.tick - HISTORY_TICKS, None)
        if self._state is not None and not self._state.is_held:
            self._at = self._moved(self._at, wish, self._state.top_speed)
        offset = (self._offset[0] * REMAINING, self._offset[1] * REMAINING)
        self._offset = offset if math.hypot(*offset) > NOTHING_M else (0.0, 0.0)
        return self.tick

    def reconcile(self, state: OwnState) -> None:
        """Begin anew from what the server says, and play the wishes that it had not played then."""
        known = self._state is not None
        was, shown = self._at, self._shown()
        self._state = state
        self._at = self._replayed(state)
        self.error_m = math.dist(was, self._at) if known else 0.0
        self.corrections += self.error_m > NOTICED_M
        offset = (shown[0] - self._at[0], shown[1] - self._at[1])
        is_far = math.hypot(*offset) > SNAP_M
        self.snaps += known and is_far
        if not known or is_far:
            self._offset, self._shown_before = (0.0, 0.0), self._at
        else:
            self._offset = offset

    def _shown(self) -> Point:
        return self._at[0] + self._offset[0], self._at[1] + self._offset[1]

    def _replayed(self, state: OwnState) -> Point:
        at = (state.x, state.y)
        if state.is_held:
            return at
        first = max(state.input_ack + 1, self.tick - HISTORY_TICKS + 1)
        for tick in range(first, self.tick + 1):
            at = self._moved(at, self._wishes.get(tick, (0, 0)), state.top_speed)
        return at

    def _moved(self, at: Point, wish: Wish, top_speed: float) -> Point:
        dx, dy = step_of(wish, top_speed)
        return min(max(at[0] + dx, 0.0), self._size), min(max(at[1] + dy, 0.0), self._size)
