"""What time brings: each session's next step, and what happens when a phase has lasted too long."""

from worlds.daemon.core import (
    alliances,
    claims,
    costs,
    departure,
    entering,
    gateways,
    handlers,
    handoff,
    leases,
    life,
    meeting,
    moves,
    pausing,
    placement,
    poison,
    recovery,
    reoffers,
    replay,
    restarts,
    supervision,
    trades,
    withholding,
    writes,
)
from worlds.daemon.core.effects import ProbeJournal
from worlds.daemon.core.session import DEADLINES, PLAYABLE, Failure, Phase, Session
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import UpkeepLoaded

P = Phase
HOUSEKEEPING_S = 1.0
PROBE_S = 2.0  # how often a journal that has failed is tried


def tick(w: World) -> None:
    """Time has passed."""
    if w.is_bus_up and w.is_loaded:
        for cluster in w.clusters.silent(w.now):
            recovery.cluster_lost(w, cluster.name, cluster.incarnation)
        gateways.silent(w)
    if w.is_loaded:
        supervision.step(w)
        claims.judge(w)
    replay.step(w)
    reoffers.step(w)
    if w.journal_broken_since is not None and w.now >= w.probe_at:
        w.probe_at = w.now + PROBE_S
        w.emit(ProbeJournal())
    for s in list(w.sessions.values()):
        _tick_session(w, s)
    moves.step(w)
    alliances.sweep(w)
    trades.sweep(w)
    life.step(w)
    restarts.step(w)
    if w.is_loaded:
        leases.renew(w)
        leases.report(w)
    if w.now >= w.housekeeping_at:
        w.housekeeping_at = w.now + HOUSEKEEPING_S
        placement.close_idle(w)
        meeting.forget_old(w, w.invitations)
        meeting.forget_old(w, w.trade_invitations)
        life.housekeeping(w)
        costs.step(w)


def upkeep(w: World, event: UpkeepLoaded) -> None:
    """What staff, planner and Celery ask for was read."""
    w.upkeep, w.wall = event, (event.wall, w.now)
    restarts.on_loaded(w, event)
    moves.on_loaded(w, event)
    life.on_upkeep(w, event)
    handlers.on_rows(w, event.handlers_off)


def _tick_session(w: World, s: Session) -> None:
    if s.grace_until is not None and w.now >= s.grace_until and s.link is None and s.leave is None:
        departure.begin(w, s, departure.LINK_LOST)
    if s.deadline is not None and w.now >= s.deadline:
        _overdue(w, s)
    advance(w, s)
    w.repeat_requests(s)


def advance(w: World, s: Session) -> None:
    """Do what a phase waits for, if it can be done now."""
    match s.phase:
        case P.QUEUED:
            entering.choose(w, s)
        case P.ACQUIRING:
            entering.repeat_acquire(w, s)
        case P.OPENING:
            entering.open_and_admit(w, s)
        case P.CROSSING:
            handoff.cross(w, s)
        case P.COMMITTING if s.commit_op is None:
            handoff.commit_done(w, s)
        case P.RECOVERING:
            poison.keep_out(w, s)
            if s.phase is P.RECOVERING:
                recovery.recover(w, s)
        case P.RESTORING:
            recovery.restore(w, s)
        case P.SAVING_OUT | P.KEEPING if s.head.is_idle and s.exchange is None:
            departure.release(w, s)
        case P.RELEASING:
            departure.repeat_release(w, s)
    if s.phase in PLAYABLE and s.writer is not None:
        writes.keep_saved(w, s)
        withholding.watch(w, s)


def _overdue(w: World, s: Session) -> None:
    """A phase has lasted too long: do what DEADLINES says."""
    w.log("deadline_passed", "warning", session=str(s.id), phase=str(s.phase))
    match s.phase:
        case P.REDEEMING:
            entering.redeem_failed(w, s, "no answer in 10 s")
        case P.WELCOMED:
            departure.begin(w, s, departure.IDLE)
        case P.WAITING:
            departure.begin(w, s, departure.WAITED)
        case P.QUEUED:
            s.failure = Failure("not_now", "The character is still leaving.", entering.TRY_AGAIN)
            departure.back_to_choice(w, s)
        case P.ACQUIRING:
            entering.acquire_failed(w, s)
        case P.RECORDING:
            departure.abort_entry(w, s, entering.no_zone("The world's database does not answer."))
        case P.OPENING:
            departure.abort_entry(w, s, entering.no_zone("The zone did not open."))
        case P.ADMITTING:
            departure.withdraw(w, s, entering.no_zone("The zone did not answer."))
        case P.CROSSING | P.FREEZING | P.COMMITTING:
            handoff.go_on_at_source(w, s)
        case P.PAUSING | P.PAUSED:
            pausing.go_on(w, s)
        case P.ARRIVING:
            handoff.arrival_failed(w, s)
        case P.RETURNING:
            handoff.returned(w, s)
        case P.RECOVERING if s.exchange is not None:  # it waits for the master: nobody is put out for that
            s.deadline = s.recover_by = w.now + (DEADLINES[P.RECOVERING][0] or 0.0)
        case P.RECOVERING:
            departure.begin(w, s, departure.NO_CLUSTER)
        case P.READMITTING:
            recovery.again(w, s)
        case P.RESTORING:  # the master is away: nobody is put out for that
            s.deadline = w.now + (DEADLINES[P.RESTORING][0] or 0.0)
        case P.FREEZING_OUT:
            departure.freeze_missed(w, s)
        case P.SAVING_OUT:
            departure.keep(w, s)
        case P.KEEPING:
            w.log("final_save_goes_on", "warning", session=str(s.id), character=str(s.character))
            departure.drop(w, s, departure.STALE)
        case P.RELEASING:
            departure.released(w, s)
        case P.REMOVING:
            departure.end(w, s)
        case P.WITHDRAWING:
            departure.withdrawn(w, s)
