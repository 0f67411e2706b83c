"""What the daemon remembers of the restart that is next, or under way. `restarts.py` decides by it."""

from dataclasses import dataclass, field
from enum import StrEnum

from worlds.daemon.core.upkeep import RestartRow
from worlds.restart_steps import Step


class Stage(StrEnum):
    """PLANNED → CLAIMING → (EMPTYING | PAUSING) → RESTARTING → RETURNING → the next cluster, or PROCESSES."""

    PLANNED = "planned"  # players are told when it comes
    CLAIMING = "claiming"  # the row is to say that it runs, before anything is done
    RESUMING = "resuming"  # it was begun by the daemon before this one: who is where is still being learned
    EMPTYING = "emptying"  # rolling: the instances of one cluster move to others
    PAUSING = "pausing"  # everybody concerned is frozen and saved, and each receipt checked
    RESTARTING = "restarting"  # clusters go and come
    RETURNING = "returning"  # who was paused is admitted again
    PROCESSES = "processes"  # at last gateways, and the daemon itself


@dataclass
class Work:
    """One restart. `since`: of the stage, in seconds of the core's clock."""

    row: RestartRow
    steps: list[Step]
    stage: Stage = Stage.PLANNED
    since: float = 0.0
    told: list[int] = field(default_factory=list)  # notices that were given for this instant, in minutes
    left: list[str] = field(default_factory=list)  # clusters that are still to be restarted
    batch: dict[str, int] = field(default_factory=dict)  # under way: cluster → incarnation that is to go
    paused: int = 0  # players who were frozen for this batch
    asked: str = ""  # of PROCESSES: which was asked to go
    gateways: dict[str, int] = field(default_factory=dict)  # of PROCESSES: name → incarnation that is to go
    back_at: float | None = None  # of PROCESSES: since when the new gateways serve

    @property
    def is_full(self) -> bool:
        """Whether everything restarts at once."""
        return self.row.kind == "full"

    def go_to(self, stage: Stage, now: float) -> None:
        """Begin a stage."""
        self.stage, self.since = stage, now
