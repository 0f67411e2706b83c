"""What a restart writes down as it goes: its row's steps, by which the next daemon goes on, and its end."""

from datetime import datetime

from worlds.daemon.core import restart_telling as telling
from worlds.daemon.core.restart_work import Stage, Work
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import EndAlarm, NoteRestart, RestartRow
from worlds.restart_steps import Step, What

ALARM, MISSED = "restart_failed", "restart_missed"


def note(
    w: World, work: Work, what: What, name: str = "", run: str = "", minutes: int = 0,
    due: datetime | None = None, text: str = "",
) -> None:  # fmt: skip
    """Write down a step."""
    step = Step(telling.wall(w), what, name, run, minutes, due, text)
    work.steps.append(step)
    state = "planned" if work.stage is Stage.PLANNED else "running"
    w.emit(NoteRestart(work.row.id, state, (step,)))  # type: ignore[arg-type]


def which_daemon(w: World) -> str:
    """Return which daemon this is."""
    return w.started_at.isoformat(timespec="milliseconds")


def finish(w: World, work: Work) -> None:
    """It is done, and what was said of restarts that were not is over."""
    w.restart = None
    end_row(w, work.row, "done", Step(telling.wall(w), "done"))
    for key in (ALARM, MISSED):
        w.emit(EndAlarm(key))
    w.log("restart_done", restart=work.row.id, kind=work.row.kind)


def end_row(w: World, row: RestartRow, state: str, last: Step, error: str = "") -> None:
    """Write down how it ended."""
    w.restarts_ended.add(row.id)
    w.emit(NoteRestart(row.id, state, (last,), error))  # type: ignore[arg-type]
