"""What is told of the next restart: to players in time, to the master for its pages, to who wants in."""

from datetime import datetime, timedelta

from worlds.daemon.core import saying
from worlds.daemon.core.restart_work import Stage, Work
from worlds.daemon.core.state import World
from worlds.restart_rules import LATE, minutes_left, notice_due
from worlds.uplink.messages import PlannedRestart
from zonecluster.protocol.to_client import Notice

CLOSED_S = 60.0  # entries are refused so long before a full restart
SOFT = "Nobody has to leave: you may notice a short pause."
HARD = "You will be back by yourself, in the same place, within two minutes."
OVER = "The restart is over. At last the connections are made anew, by themselves."
CLOSED = "The world is just about to restart: nobody is let in for a moment."


def wall(w: World) -> datetime:
    """Return the instant, UTC: that of the last read of the rows, and what has passed since.

    Raises: ValueError: they were never read.
    """
    if w.wall is None:
        raise ValueError("the rows of upkeep were not read yet")
    at, read_at = w.wall
    return at + timedelta(seconds=w.now - read_at)


def is_closed(w: World) -> bool:
    """Whether nobody may enter: a full restart is near, or under way until its clusters are back."""
    work = w.restart
    if work is None or not work.is_full:
        return False
    if work.stage in (Stage.PLANNED, Stage.CLAIMING):
        left = (work.row.due_at - wall(w)).total_seconds()
        return -LATE.total_seconds() < left <= CLOSED_S
    return work.stage in (Stage.PAUSING, Stage.RESTARTING)


def planned(w: World) -> PlannedRestart | None:
    """Return what the master is told of the next restart, for its pages."""
    return PlannedRestart(w.restart.row.due_at, w.restart.row.kind) if w.restart is not None else None


def say(w: World, text: str) -> int:
    """Tell everybody in play. Returns: how many hear it."""
    return saying.to_everybody(w, Notice(text=text, level="warning"))


def minutes(w: World, due_at: datetime) -> str:
    """Return how long it is until then, in words."""
    count = minutes_left(due_at, wall(w))
    return f"{count} minute{'' if count == 1 else 's'}"


def announce(w: World, work: Work) -> tuple[int, int] | None:
    """Tell players when it comes, if it is time for that.

    Returns: which notice it was, in minutes before, and how many heard it.
    """
    notice = notice_due(work.row.due_at, wall(w), work.told)
    if notice is None:
        return None
    work.told.append(notice)
    reason = f" ({work.row.reason})" if work.row.reason else ""
    words = HARD if work.is_full else SOFT
    return notice, say(w, f"The world restarts in {minutes(w, work.row.due_at)}{reason}. {words}")
