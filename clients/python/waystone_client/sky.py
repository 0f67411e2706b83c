"""Game time and weather as a client keeps them: told now and then, counted on in between."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from zonecluster.protocol.sky import TimeOfDay, Weather, time_of_day
from zonecluster.protocol.to_client import SkyIs

LATEST_S = 1e12  # of game time: 30,000 years
FASTEST = 1e6  # game time per time


@dataclass
class Sky:
    """What the world last said of the sky over the player's zone, and when that was."""

    clock: Callable[[], float] = monotonic
    told: SkyIs | None = None
    told_at: float = 0.0

    def hear(self, told: SkyIs) -> None:
        """Take what the world says now; a time that is none is not taken: worlds are other people's."""
        if 0 <= told.game_s < LATEST_S and 0 <= told.rate < FASTEST:
            self.told, self.told_at = told, self.clock()

    @property
    def weather(self) -> Weather | None:
        """What the weather does; None: the world has not said."""
        return self.told.weather if self.told is not None else None

    @property
    def time(self) -> TimeOfDay | None:
        """What time it is in the world, counted on since it was told; None: the world has not said."""
        if self.told is None:
            return None
        return time_of_day(self.told.game_s + (self.clock() - self.told_at) * self.told.rate)

    def __str__(self) -> str:
        """Say it in words; empty: nothing is known."""
        time = self.time
        return f"{time}, {time.daylight}, {self.weather}" if time is not None else ""
