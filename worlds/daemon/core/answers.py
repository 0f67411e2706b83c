"""What the master and the world's own disk answer: who waits for it."""

from typing import Any
from uuid import UUID

from worlds.daemon.core import (
    departure,
    entering,
    exchanges,
    leases,
    mail,
    recovery,
    reoffers,
    replay,
    steps,
    writes,
)
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import Ticket, World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus

P = Phase


def answered(w: World, call: UUID, answer: Any) -> None:
    """The master answered a call, or did not."""
    is_of_goods = call in w.exchange_calls or call in w.mail_calls
    if not (is_of_goods and isinstance(answer, Unreachable)):  # of that alone: reports tell of an absence
        _note_master(w, answer)
    owner = w.calls.pop(call, None)
    if call in w.renew_calls:
        leases.on_renewed(w, call, answer)
        return
    if call == w.report_call:
        leases.on_reported(w, answer)
        return
    if w.reoffering is not None and call == w.reoffering.call:
        reoffers.on_answer(w, answer)
        return
    if call in w.exchange_calls:
        exchanges.on_answer(w, call, answer)
        return
    if call in w.mail_calls:
        mail.on_answer(w, w.mail_calls.pop(call), answer)
        return
    if call in w.replay_calls:
        waits = w.who_plays(replay.on_answer(w, call, answer))
        if waits is not None and waits.phase is P.RESTORING and waits.writer is None:
            departure.drop(w, waits, departure.SUSPENDED)
        return
    s = w.sessions.get(owner) if owner else None
    if s is not None and s.call == call:
        s.call = None
        _own_call(w, s, answer)
    elif isinstance(answer, uplink.Saved) or (s is not None and s.writer is not None and s.head.call == call):
        if s is not None:
            writes.on_answer(w, s, call, answer)
            steps.advance(w, s)
    elif isinstance(answer, uplink.Lease):
        _give_back(w, answer)


def _note_master(w: World, answer: Any) -> None:
    if isinstance(answer, uplink.Reoffered):
        return
    is_collecting = isinstance(answer, uplink.Reported) and answer.collects_since is not None
    is_up = not isinstance(answer, Unreachable) and not is_collecting
    if is_up != w.is_master_up:
        w.is_master_up = is_up
        if is_up:
            w.log("master_back")
            w.renew_at = w.now
        else:
            cause = "it was restored, and collects" if is_collecting else answer.cause
            w.log("master_unreachable", "warning", cause=cause)


def _own_call(w: World, s: Session, answer: Any) -> None:
    match s.phase, answer:
        case P.REDEEMING, uplink.Admission():
            entering.on_admission(w, s, answer)
        case P.REDEEMING, uplink.Refusal():
            entering.on_ticket_refused(w, s, answer)
        case P.REDEEMING, Unreachable():
            entering.redeem_failed(w, s, answer.cause)
        case P.ACQUIRING, uplink.Lease():
            entering.on_lease(w, s, answer)
        case P.ACQUIRING, uplink.Refusal() if answer.code != "master_fault":
            entering.on_lease_refused(w, s, answer)
        case P.ACQUIRING, _:
            entering.on_lease_unanswered(w, s)
        case P.RESTORING, uplink.Lease():
            recovery.on_lease(w, s, answer)
            recovery.restore(w, s)
        case P.RESTORING, uplink.Refusal() if answer.code not in (
            "master_fault",
            "bad_proof",
            "bad_request",
        ):
            w.log("lease_not_regained", "error", character=str(s.character), cause=answer.detail)
            is_suspended = answer.code == "world_suspended"
            departure.drop(w, s, departure.SUSPENDED if is_suspended else departure.STALE)
        case P.RESTORING, _:
            recovery.on_lease_unanswered(w, s)
        case P.RELEASING, uplink.Released() | uplink.Refusal():
            departure.released(w, s)
        case P.RELEASING, _:
            departure.on_release_unanswered(w, s)


def _give_back(w: World, lease: uplink.Lease) -> None:
    """A lease came too late for whoever asked: nobody here plays it."""
    if not any(s.writer is not None and s.head.line == lease.line for s in w.sessions.values()):
        w.call(None, uplink.Release(line=lease.line, epoch=lease.epoch))


def recorded(w: World, session: UUID) -> None:
    """The row of a new session is durable."""
    s = w.sessions.get(session)
    if s is not None:
        entering.on_recorded(w, s)


# ---------------------------------------------------------------- the journal


def journaled(w: World, tickets: tuple[int, ...]) -> None:
    """Writes are durable here: they may go to the master, and what is new in them may be shown."""
    if w.journal_broken_since is not None:
        w.journal_broken_since = None
        w.log("journal_back", "warning")
        _journal_the_rest(w)
    for ticket, s in _of_tickets(w, tickets):
        if s.writer is not None:
            s.head.journaled(ticket.save, is_kept=True)
        if ticket.serial and s.home is not None and s.here.order == ticket.stay:
            message = bus.Journaled(session=s.id, serial=ticket.serial, stay=ticket.stay)
            w.to_cluster(s.here.cluster, message)


def journal_failed(w: World, tickets: tuple[int, ...], cause: str) -> None:
    """The journal takes nothing: writes go to the master without it, and count when that has them."""
    if w.journal_broken_since is None:
        w.journal_broken_since, w.probe_at = w.now, w.now + steps.PROBE_S
        w.log("journal_failed", "error", cause=cause)
    for ticket, s in _of_tickets(w, tickets):
        if s.writer is not None:
            s.head.journaled(ticket.save, is_kept=False)


def _of_tickets(w: World, tickets: tuple[int, ...]) -> list[tuple[Ticket, Session]]:
    known = [found for number in tickets if (found := w.tickets.pop(number, None)) is not None]
    return [(ticket, s) for ticket in known if (s := w.sessions.get(ticket.session)) is not None]


def _journal_the_rest(w: World) -> None:
    """What the master has not accepted is not in the journal either: it was broken."""
    for s in w.sessions.values():
        if s.writer is not None:
            for save in s.head.not_kept():
                w.keep(s, save)
