"""How much CPU time a player may have: a token bucket, filled by an equal share of half the core.

What ticks do for the player comes off what it is given; what it orders comes out of the bucket. Who has
emptied it is served after the others, from what is idle (turns.py), and nothing is owed for that.

Source: DESIGN.md, section 7.
"""

CORE_SHARE = 0.5  # of one core, for all players together
BURST_S = 2.0  # a bucket holds what flows in meanwhile
LEAST_BURST_NS = 20_000_000  # of many players each is given little, and may still do several things at once


def grant(players: int) -> float:
    """Return the CPU time that each of so many players is given, in ns for a second."""
    return CORE_SHARE * 1e9 / max(players, 1)


class Bucket:
    """CPU time that one player has left, in ns. Instants in seconds, monotonic."""

    __slots__ = ("_at", "left_ns")

    def __init__(self) -> None:
        self.left_ns = float(LEAST_BURST_NS)
        self._at: float | None = None  # when it was last filled

    def fill(self, now: float, granted: float, used: float = 0.0) -> None:
        """Let flow in what has come since the last call.

        Args: granted: in ns for a second; used: of that by what is done for the player anyway.
        """
        passed = 0.0 if self._at is None else max(now - self._at, 0.0)
        self._at = now
        room = max(granted * BURST_S, LEAST_BURST_NS)
        self.left_ns = min(max(self.left_ns + (granted - used) * passed, -room), room)

    def take(self, spent_ns: float) -> None:
        """Note what was spent; it may be more than there was."""
        self.left_ns -= spent_ns

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self.left_ns <= 0
