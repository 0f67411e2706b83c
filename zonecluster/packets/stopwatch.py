"""Where the packet path tells how far it is, for who measures it (zonecluster/daemon/phases.py)."""

from typing import Protocol


class Stopwatch(Protocol):
    """`lap` puts the time since the last lap to a phase: "receive", "open", "seal" or "send"."""

    def lap(self, phase: str) -> None:
        """End a phase."""


class NoStopwatch:
    """Measures nothing."""

    def lap(self, phase: str) -> None:
        """End a phase."""


NO_STOPWATCH = NoStopwatch()
