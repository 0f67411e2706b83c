"""What the daemon remembers of world life: clock, queue, what was said. Values only; kept in World.life."""

from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from worlds.daemon.core.upkeep import Ended
from zonecluster.rules.sky import GameClock

WINDOW_S = 1800.0  # departures of this long are counted
FEWEST_DEPARTURES = 3  # of fewer nobody can tell how long it takes


@dataclass(frozen=True)
class ToldSky:
    """What players were told last: by which clock, and for which hour of game time."""

    clock: GameClock
    hour: int


@dataclass
class Departures:
    """When places became free, instants in seconds. `since`: when counting began."""

    since: float | None = None
    at: deque[float] = field(default_factory=lambda: deque(maxlen=2000))

    def wait_s(self, places: int, now: float) -> float | None:
        """Return how long it takes until so many have become free; None: not enough is known."""
        while self.at and self.at[0] < now - WINDOW_S:
            self.at.popleft()
        if len(self.at) < FEWEST_DEPARTURES:
            return None
        began = self.at[0] if self.since is None or len(self.at) == self.at.maxlen else self.since
        return places * min(now - began, WINDOW_S) / len(self.at)


@dataclass
class Life:
    """Instants in seconds of the core's clock, but for `wall`."""

    told_sky: ToldSky | None = None
    departures: Departures = field(default_factory=Departures)
    put_out_at: dict[UUID, float] = field(default_factory=dict)  # by account: for a lost connection
    rows: set[UUID] = field(default_factory=set)  # sessions that have a row of the queue
    said: Ended = field(default_factory=Ended)  # announcements
    is_known: bool = False  # whether maintenance was looked at before
    maintenance: str | None = None  # as players were told
    master_maintenance: str | None = None  # what the master's staff has set
    site_motd: str | None = None  # message of the day on the site; None: no report was answered yet
