"""Replay protection: which sequence numbers have been received already.

Source: NETCODE 1.02, section "Replay Protection". `is_replayed` is asked before a packet is opened, `mark`
only after it opened, so a forged sequence number never moves the window.
"""

from .wire import REPLAY_WINDOW

_FULL = (1 << REPLAY_WINDOW) - 1


class ReplayWindow:
    """The newest sequence number received and, as bits, which of the 256 up to it have come."""

    __slots__ = ("_newest", "_received")

    def __init__(self) -> None:
        self._newest = -1
        self._received = 0  # bit i: sequence `newest - i` has come

    def is_replayed(self, sequence: int) -> bool:
        """Return True when the number has come already or is too old to know."""
        age = self._newest - sequence
        if age < 0:
            return False
        return age >= REPLAY_WINDOW or bool(self._received >> age & 1)

    def mark(self, sequence: int) -> None:
        """Note a number whose packet has opened. Call only after `is_replayed` said False."""
        ahead = sequence - self._newest
        if ahead <= 0:
            self._received |= 1 << -ahead
            return
        # A leap of 2^63 is a legal packet; shifting by it would take all memory.
        self._received = 1 if ahead >= REPLAY_WINDOW else (self._received << ahead | 1) & _FULL
        self._newest = sequence

    def received(self) -> tuple[int, ...]:
        """Return the numbers in the window that have come, newest first."""
        ages = range(min(REPLAY_WINDOW, self._newest + 1))
        return tuple(self._newest - age for age in ages if self._received >> age & 1)
