"""A live move of one instance, as far as it has come. Who decides: moves.py."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What a move waits for."""

    OPENING = "opening"  # the target opens its copy, in which nothing stirs
    EXPORTING = "exporting"  # the source stills its copy and tells what is in it, players left out
    IMPORTING = "importing"  # the target takes that over; nothing stirs there yet
    FILLING = "filling"  # the target's copy is the instance; the players follow
    RETURNING = "returning"  # it failed before: the source's copy goes on, the target's is closed


# Seconds a stage may last.
DEADLINES: dict[Stage, float] = {
    Stage.OPENING: 10.0,
    Stage.EXPORTING: 5.0,
    Stage.IMPORTING: 5.0,
    Stage.FILLING: 120.0,
    Stage.RETURNING: 30.0,
}


@dataclass
class Move:
    """One. `order` names it to the clusters and grows, so nothing of an older move counts. Times in seconds.

    `row`: of the ZoneMove that asked for it; None: the daemon's own.
    """

    number: int
    zone: str
    source: str
    source_incarnation: int
    target: str
    target_incarnation: int
    reason: str
    row: int | None
    order: int
    since: float
    stage: Stage = Stage.OPENING
    asked_at: float = -1e9
    cargo: bytes = field(default=b"", repr=False)
    players: int = 0  # who were in it when they were to follow

    @property
    def deadline(self) -> float:
        """When the stage is over."""
        return self.since + DEADLINES[self.stage]

    def go(self, stage: Stage, now: float) -> None:
        """Wait for the next thing; it is asked for at once."""
        self.stage, self.since, self.asked_at = stage, now, -1e9
