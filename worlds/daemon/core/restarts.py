"""Restarts of the world: told of in time, carried out by clusters or all at once, written down step by step.

Rolling: a cluster's instances move to others with everybody in them, then its process goes and comes; then
the next. The only cluster there is cannot be emptied: its players are paused. Full: everybody is paused, all
clusters go and come. At last the gateways and the daemon, whose restarts put nobody out.

The row and its steps are what is meant: they are written before a thing is done, and by them the next daemon
goes on. A restart that cannot go on is given up openly: players go on where they are, an alarm says why.
"""

from worlds.daemon.core import moves, pausing, supervision
from worlds.daemon.core import restart_telling as telling
from worlds.daemon.core.restart_processes import restart_processes
from worlds.daemon.core.restart_record import ALARM, MISSED, end_row, finish, note, which_daemon
from worlds.daemon.core.restart_work import Stage, Work
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import NoteRestart, RaiseAlarm, RestartRow, UpkeepLoaded
from worlds.restart_rules import LATE
from worlds.restart_steps import Step, steps_of

P = Phase
EMPTY_S = 900.0  # a cluster's instances may take so long to move away
PAUSE_S = 45.0  # everybody must be frozen and saved within this
CLUSTERS_S = 60.0  # clusters must be back within this
RETURN_S = 60.0  # then players are waited for so long; recovery goes on with who is later
RESUME_S = 30.0  # a new daemon waits at most so long until it knows who is where

GONE = frozenset({P.REDEEMING, P.WELCOMED, P.WAITING, P.ENDED})  # who is not in any cluster, nor about to be


# ---------------------------------------------------------------- what the rows say


def on_loaded(w: World, event: UpkeepLoaded) -> None:
    """The rows were read."""
    w.wall = (event.wall, w.now)
    w.restarts_ended.forget_but({row.id for row in event.restarts})
    row = next((row for row in event.restarts if w.restarts_ended.is_news(row.id)), None)
    if w.restart is not None and (row is None or row.id != w.restart.row.id):
        _vanished(w, w.restart)
    if row is not None:
        if w.restart is None:
            _take(w, row)
        else:
            _compare(w, w.restart, row)


def _take(w: World, row: RestartRow) -> None:
    try:
        steps = steps_of(list(row.steps))
    except ValueError as error:
        end_row(w, row, "failed", Step(telling.wall(w), "failed", text=str(error)[:400]))
        w.emit(RaiseAlarm(ALARM, f"A restart was given up: {error}", "Plan another one.", "warning"))
        return
    told = [step.minutes for step in steps if step.what == "notice" and step.due == row.due_at]
    stage = Stage.PLANNED if row.state == "planned" else Stage.RESUMING
    w.restart = Work(row, steps, stage, w.now, told)


def _compare(w: World, work: Work, row: RestartRow) -> None:
    """The same restart, read again: staff may have changed it, or the claim has come through."""
    old, work.row = work.row, row
    if work.stage not in (Stage.PLANNED, Stage.CLAIMING):
        return
    if row.state == "running":
        _begin(w, work)
    elif (row.due_at, row.kind) != (old.due_at, old.kind):
        work.go_to(Stage.PLANNED, w.now)
        if work.told:
            telling.say(w, f"The restart has been moved: it is in {telling.minutes(w, row.due_at)} now.")
        work.told = []


def _vanished(w: World, work: Work) -> None:
    """Somebody has ended the row."""
    w.restart = None
    if work.stage in (Stage.PLANNED, Stage.CLAIMING):
        if work.told:
            telling.say(w, "The restart has been called off.")
        return
    w.log("restart_vanished", "warning", restart=work.row.id, stage=str(work.stage))
    _let_go(w, work)


# ---------------------------------------------------------------- time


def step(w: World) -> None:
    """Time has passed."""
    work = w.restart
    if work is None or w.is_stopping or w.wall is None:
        return
    match work.stage:
        case Stage.PLANNED:
            _wait_for_due(w, work)
        case Stage.CLAIMING:
            _wait_for_claim(w, work)
        case Stage.RESUMING:
            _resume(w, work)
        case Stage.EMPTYING:
            _empty(w, work)
        case Stage.PAUSING:
            _pause(w, work)
        case Stage.RESTARTING:
            _wait_for_clusters(w, work)
        case Stage.RETURNING:
            _wait_for_players(w, work)
        case Stage.PROCESSES:
            restart_processes(w, work)


def _wait_for_due(w: World, work: Work) -> None:
    """Tell players when it comes; claim it when it is due."""
    row, wall = work.row, telling.wall(w)
    if (told := telling.announce(w, work)) is not None:
        note(w, work, "notice", minutes=told[0], due=row.due_at, text=f"{told[1]} heard it")
    if wall < row.due_at:
        return
    if wall - row.due_at > LATE:
        _fail(w, work, MISSED, _why_late(w), "The next one comes by the policy; or plan one now.")
    elif not _is_world_known(w) and w.now - work.since < RESUME_S:
        return  # this daemon has only just begun: it would find neither clusters nor agents
    elif w.is_bus_up and w.is_master_up:
        work.go_to(Stage.CLAIMING, w.now)
        begun = Step(wall, "begun", run=which_daemon(w), text=row.kind)
        work.steps.append(begun)
        w.emit(NoteRestart(row.id, "running", (begun,), due_at=row.due_at))


def _wait_for_claim(w: World, work: Work) -> None:
    if telling.wall(w) - work.row.due_at > LATE:
        text = "It was not begun within 15 minutes: the world's database did not take it down."
        _fail(w, work, MISSED, text, "The next one comes by the policy; or plan one now.")


def _why_late(w: World) -> str:
    if not w.is_bus_up:
        return "It was not begun within 15 minutes: Redis was away."
    if not w.is_master_up:
        return "It was not begun within 15 minutes: the master was away, and nobody could have been saved."
    return "It was not begun within 15 minutes: the world daemon was not there."


def _begin(w: World, work: Work) -> None:
    """The row says that it runs: go."""
    work.left = _clusters(w)
    uncontrolled = [name for name in work.left if w.hosts.run_of(name, w.now) is None]
    if uncontrolled:
        advice = "Start clusters by `manage.py up` or a host agent; others have to be restarted by hand."
        text = f"No host agent runs the clusters {', '.join(uncontrolled)}, so they cannot be restarted."
        _fail(w, work, ALARM, text, advice)
        return
    w.log("restart_begun", restart=work.row.id, kind=work.row.kind, clusters=len(work.left))
    _next(w, work)


def _next(w: World, work: Work) -> None:
    """Go to the next cluster, to all of them, or to what comes last."""
    work.batch, work.paused = {}, 0
    work.left = [name for name in work.left if name in w.clusters.by_name and _is_alive(w, name)]
    if not work.left:
        telling.say(w, telling.OVER)  # now: the next daemon does not know at once who listens
        work.go_to(Stage.PROCESSES, w.now)
    elif work.is_full:
        work.batch, work.left = {name: _run(w, name) for name in work.left}, []
        work.go_to(Stage.PAUSING, w.now)
    else:
        name = work.left.pop(0)
        work.batch = {name: _run(w, name)}
        work.go_to(Stage.EMPTYING if _has_others(w, name) else Stage.PAUSING, w.now)


# ---------------------------------------------------------------- rolling: a cluster is emptied


def _empty(w: World, work: Work) -> None:
    (name,) = work.batch
    moves.empty(w, name, "rolling restart")
    if not _is_same_run(w, name, work.batch[name]):
        note(w, work, "note", name=name, text="it ended by itself while it was being emptied")
        work.go_to(Stage.RESTARTING, w.now)
    elif moves.is_empty(w, name) and not any(_is_in(s, name) for s in w.sessions.values()):
        _restart_clusters(w, work)
    elif w.now - work.since > EMPTY_S:
        why = moves.why_not_empty(w, name)
        text = f"Cluster {name} could not be emptied within {EMPTY_S:.0f} s: {why}"
        _fail(w, work, ALARM, text, "Look at the newest zone moves: they say what did not work.")


# ---------------------------------------------------------------- everybody stands still and is saved


def _pause(w: World, work: Work) -> None:
    concerned = [s for s in w.sessions.values() if _is_concerned(work, s)]
    for s in concerned:
        pausing.begin(w, s)
    waiting = [s for s in concerned if not pausing.is_safe(s)]
    if not waiting and not (work.is_full and w.replays):
        work.paused = len(concerned)
        note(w, work, "frozen", text=f"{work.paused} players frozen and saved, every receipt checked")
        _restart_clusters(w, work)
    elif w.now - work.since > PAUSE_S:
        names = ", ".join(sorted(s.name for s in waiting)[:5])
        count = f"{len(waiting)} of {len(concerned)}"
        text = f"{count} players could not be saved within {PAUSE_S:.0f} s: {names}."
        advice = "Does the master answer? The log says of each save why it was not accepted (save_refused)."
        _fail(w, work, ALARM, text, advice)


def _is_concerned(work: Work, s: Session) -> bool:
    if s.phase in GONE:
        return False
    return work.is_full or any(_is_in(s, name) for name in work.batch)


def _is_in(s: Session, cluster: str) -> bool:
    return any(stay is not None and stay.cluster == cluster for stay in (s.home, s.target))


# ---------------------------------------------------------------- clusters go and come


def _restart_clusters(w: World, work: Work) -> None:
    """Have the batch ended and started again; what each run was is written down first."""
    for name, run in sorted(work.batch.items()):
        note(w, work, "cluster", name=name, run=str(run))
        if not supervision.restart(w, name):
            advice = "See whether `manage.py up`, or the host agent of that machine, is running."
            _fail(w, work, ALARM, f"The host agent of cluster {name} is not there any more.", advice)
            return
    work.go_to(Stage.RESTARTING, w.now)


def _wait_for_clusters(w: World, work: Work) -> None:
    for name, run in sorted(work.batch.items()):
        if not _is_same_run(w, name, run) and supervision.is_restarted(w, name):
            del work.batch[name]
            moves.fill(w, name)
            note(w, work, "cluster_back", name=name, run=str(_run(w, name)))
    if not work.batch:
        work.go_to(Stage.RETURNING, w.now)
    elif w.now - work.since > CLUSTERS_S:
        text = f"The clusters {', '.join(sorted(work.batch))} were not back within {CLUSTERS_S:.0f} s."
        _fail(w, work, ALARM, text, "Look at their logs: the cause is in the last lines.")


def _wait_for_players(w: World, work: Work) -> None:
    _unpause(w)
    away = [s for s in w.sessions.values() if s.phase in (P.PAUSED, P.RECOVERING, P.READMITTING)]
    is_over = w.now - work.since > RETURN_S
    if away and work.paused and not is_over:
        return
    if work.paused:
        back = f"{max(0, work.paused - len(away))} of {work.paused} players are back"
        note(w, work, "players_back", text=back)
        if away:
            w.log("players_not_back_yet", "warning", players=len(away))
    _next(w, work)


def _unpause(w: World) -> None:
    for s in list(w.sessions.values()):
        if s.phase is P.PAUSED:
            pausing.go_on(w, s)


# ---------------------------------------------------------------- a daemon died half-way


def _resume(w: World, work: Work) -> None:
    """Go on where the daemon before this one was, as far as its steps tell."""
    if not _is_world_known(w) and w.now - work.since < RESUME_S:
        return
    last = {step.what: step for step in work.steps}
    if "processes" in last:
        note(w, work, "daemon_back", run=which_daemon(w))
        finish(w, work)
        return
    note(
        w,
        work,
        "note",
        run=which_daemon(w),
        text="the world daemon was restarted meanwhile; this one goes on",
    )
    gone = {step.name for step in work.steps if step.what == "cluster_back"}
    asked = {step.name: step.run for step in work.steps if step.what == "cluster" and step.name not in gone}
    gone |= {name for name, run in asked.items() if _is_alive(w, name) and str(_run(w, name)) != run}
    pending = {name: int(run) for name, run in asked.items() if name not in gone and not _is_alive(w, name)}
    work.left = [name for name in _clusters(w) if name not in gone]  # pending ones do not live
    if pending:
        work.batch = pending  # they are just coming
        work.go_to(Stage.RESTARTING, w.now)
    else:
        _next(w, work)


def _is_world_known(w: World) -> bool:
    """Whether a daemon that has just begun knows who is where, and each living cluster's agent."""
    is_settled = w.is_loaded and w.now > w.settle_until
    is_known = is_settled and all(s.phase is not P.RESTORING for s in w.sessions.values())
    return is_known and all(w.hosts.run_of(name, w.now) is not None for name in _clusters(w))


# ---------------------------------------------------------------- ends


def _fail(w: World, work: Work, alarm: str, text: str, advice: str) -> None:
    """Give up, openly: nobody is left standing still, no cluster is left empty."""
    w.restart = None
    _let_go(w, work)
    end_row(w, work.row, "failed", Step(telling.wall(w), "failed", text=text[:400]), text)
    w.emit(RaiseAlarm(alarm, f"The restart of the world was given up. {text}", advice))
    if work.stage not in (Stage.PLANNED, Stage.CLAIMING) or work.told:
        telling.say(w, "The restart was given up; go on playing.")
    w.log("restart_failed", "error", restart=work.row.id, stage=str(work.stage), cause=text)


def _let_go(w: World, work: Work) -> None:
    _unpause(w)
    for name in work.batch:
        moves.fill(w, name)


# ---------------------------------------------------------------- small things


def _clusters(w: World) -> list[str]:
    """Return the clusters that are to be restarted: those in use that live."""
    enabled = [name for name, info in sorted(w.catalog.clusters.items()) if info.is_enabled]
    return [name for name in enabled if _is_alive(w, name)]


def _is_alive(w: World, name: str) -> bool:
    cluster = w.clusters.by_name.get(name)
    return cluster is not None and cluster.is_alive


def _run(w: World, name: str) -> int:
    return w.clusters.by_name[name].incarnation


def _is_same_run(w: World, name: str, run: int) -> bool:
    return w.clusters.is_alive(name, run)


def _has_others(w: World, name: str) -> bool:
    """Whether another cluster could take the instances of this one."""
    usable = (info.name for info in w.catalog.clusters.values() if info.is_enabled and info.name != name)
    return any(_is_alive(w, other) for other in usable)
