"""How long to wait before a process that died is started again. Pure; times in seconds."""

from dataclasses import dataclass

FIRST_DELAY = 0.2  # a single crash should hardly be noticed
LONGEST_DELAY = 30.0
STABLE_AFTER = 60.0  # a process that lived this long has no bad record any more


@dataclass
class Backoff:
    """The record of one process: doubles the delay with each death, forgets after a stable life."""

    deaths: int = 0

    def delay_after(self, lived: float) -> float:
        """Count a death; return the delay until the next start.

        Args: lived: how long the process had run.
        """
        if lived >= STABLE_AFTER:
            self.deaths = 0
        self.deaths += 1
        return min(FIRST_DELAY * 2 ** min(self.deaths - 1, 16), LONGEST_DELAY)
