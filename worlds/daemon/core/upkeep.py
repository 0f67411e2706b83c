"""Upkeep: what staff, planner and Celery ask of the daemon by rows, and what it writes back to them.

The shell reads the rows once a second into one UpkeepLoaded. A row that the core has just ended may be in it
once more, since the read was under way while its end was written: `Ended` keeps such from being begun again.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from worlds.restart_steps import Step
from worlds.uplink.orders import Policy

# ---------------------------------------------------------------- what rows say


@dataclass(frozen=True)
class MoveRow:
    """A ZoneMove that waits or is under way. `instance` 0: the zone is to open there when it is needed."""

    id: int
    zone: str
    instance: int
    source: str
    target: str
    reason: str
    state: Literal["waiting", "moving"]


@dataclass(frozen=True)
class RestartRow:
    """A Restart that is planned or running."""

    id: int
    kind: Literal["rolling", "full"]
    state: Literal["planned", "running"]
    due_at: datetime
    reason: str
    started_at: datetime | None
    steps: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class AnnouncementRow:
    """An Announcement that is due and was not said."""

    id: int
    text: str


@dataclass(frozen=True)
class Maintenance:
    """Nobody enters but the world's operators and staff."""

    since: datetime
    text: str


@dataclass(frozen=True)
class UpkeepLoaded:
    """What the rows of this world say now. `wall`: the instant of the read, UTC."""

    wall: datetime
    moves: tuple[MoveRow, ...] = ()  # in the order in which they were asked for
    restarts: tuple[RestartRow, ...] = ()
    announcements: tuple[AnnouncementRow, ...] = ()
    maintenance: Maintenance | None = None
    handlers_off: frozenset[str] = frozenset()  # kinds of commands that are refused
    policy: Policy | None = None  # by which the world restarts


# ---------------------------------------------------------------- what is written back


MoveState = Literal["waiting", "moving", "done", "failed", "dropped"]


@dataclass(frozen=True)
class NoteMove:
    """Write what becomes of a move. `row` None: the daemon's own; written as a new row once it has ended."""

    row: int | None
    zone: str
    instance: int
    source: str
    target: str
    reason: str
    state: MoveState
    players: int = 0
    error: str = ""


@dataclass(frozen=True)
class NoteRestart:
    """Write what becomes of a restart; `steps` are added to those it has.

    `due_at`: only if it is still planned for that instant: staff may just have put it off, or called it off.
    """

    row: int
    state: Literal["planned", "running", "done", "failed", "cancelled"]
    steps: tuple[Step, ...] = ()
    error: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True)
class NoteAnnouncement:
    """It was said to so many players."""

    row: int
    heard: int


@dataclass(frozen=True)
class RaiseAlarm:
    """Somebody has to look at something; see worlds/alarms.py."""

    key: str
    text: str
    advice: str
    level: Literal["warning", "urgent"] = "warning"


@dataclass(frozen=True)
class EndAlarm:
    """It is over."""

    key: str


UpkeepEffect = NoteMove | NoteRestart | NoteAnnouncement | RaiseAlarm | EndAlarm


@dataclass
class Ended:
    """Rows that this daemon has ended, while a read that began before may still bring them."""

    ids: set[int] = field(default_factory=set)

    def add(self, row: int) -> None:
        """The row is dealt with."""
        self.ids.add(row)

    def is_news(self, row: int) -> bool:
        """Whether a row that was read is not dealt with yet."""
        return row not in self.ids

    def forget_but(self, read: set[int]) -> None:
        """Forget what was not read any more: it is written, so no later read brings it."""
        self.ids &= read
