"""Characters on whose documents the rules have raised: put out with a report, not let in again as they are.

A cluster has taken the player out by itself and repeats its report until that is on this world's disk. What
raised is in the report and not saved: the character leaves with the newest document known before. It may
come back when an operator lets it in again, or once its document is another (staff has brought back an older
version, or it has been played elsewhere): whatever is wrong may be gone with that.
"""

from hashlib import sha256
from uuid import UUID

import msgspec

from worlds.daemon.core import departure, handoff, recovery
from worlds.daemon.core.effects import EndQuarantine, StorePoison
from worlds.daemon.core.session import IN_PLAY, Failure, Phase, Session
from worlds.daemon.core.state import PoisonReport, World
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, InvalidState, decode_state

P = Phase
MAX_KNOWN = 1000  # reports that are remembered, so that repeated ones are answered and do nothing
NEWS = "Something in your character's document cannot be handled in this world"
ADVICE = (
    "The world's operator has a report and can let the character in again. Nothing that was saved is lost, "
    "and you can play it elsewhere, or another one here."
)


def on_poisoned(w: World, m: bus.Poisoned) -> None:
    """A cluster has taken a player out: keep the report, and put the player out for good. Once."""
    known = w.poison_reports.get((m.session, m.stay))
    if known is not None:
        if known.is_stored:
            _confirm(w, known)
        return
    s = w.sessions.get(m.session)
    if s is not None and s.character != m.character:
        s = None
    digest = digest_of(s.head.newest) if s is not None and s.writer is not None else b""
    report = PoisonReport(m.session, m.stay, m.character, m.cluster, digest)
    w.poison_reports[m.session, m.stay] = report
    if len(w.poison_reports) > MAX_KNOWN:
        del w.poison_reports[next(iter(w.poison_reports))]
    line, version = (s.head.line, s.head.version) if s is not None and s.writer is not None else (None, 0)
    w.log("character_quarantined", "error", session=str(m.session), character=str(m.character), where=m.where)
    w.emit(StorePoison(m, digest, line, version))
    if s is not None:
        put_out(w, s, m)


def on_stored(w: World, session: UUID, stay: int) -> None:
    """The report is durable: the cluster may forget it, and the catalog has it from now on."""
    report = w.poison_reports.get((session, stay))
    if report is not None:
        report.is_stored = True
        w.catalog.quarantined[report.character] = report.digest
        _confirm(w, report)


def _confirm(w: World, report: PoisonReport) -> None:
    w.to_cluster(report.cluster, bus.ReportStored(report.session, report.stay))


def digest_of(state: CharacterState) -> bytes:
    """Return SHA-256 of a document without its places: those change by mere coming and going."""
    durable = msgspec.structs.replace(state, places={})
    return sha256(msgspec.json.encode(durable, order="sorted")).digest()


# ---------------------------------------------------------------- out


def put_out(w: World, s: Session, m: bus.Poisoned) -> None:
    """Have a player leave whose cluster has taken it out already; from another stay than that, as ever."""
    if s.writer is not None and not _is_saved(s, m.document):
        s.has_gap = True
    if s.phase is P.ADMITTING:
        departure.abort_entry(w, s, failure())
        return
    if s.phase not in IN_PLAY:
        return
    s.leave = departure.QUARANTINED
    is_of_home = s.home is not None and s.here.order == m.stay
    is_of_target = s.target is not None and s.there.order == m.stay
    match s.phase:
        case P.PLAYING | P.CROSSING | P.FREEZING | P.PAUSING if not is_of_home:
            # a late report: it has played on since
            departure.begin(w, s, s.leave)
        case P.PLAYING | P.CROSSING | P.FREEZING | P.PAUSING | P.FREEZING_OUT if is_of_home:
            s.home = None
            if s.phase is not P.FREEZING_OUT:
                s.move(P.FREEZING_OUT, w.now)
                w.route(s, "")
            newest = departure.with_place(s.head.newest, w.catalog.world, s.place)
            departure.save_out(w, s, newest)
        case P.COMMITTING | P.RECOVERING | P.PAUSED:
            departure.begin(w, s, s.leave)
        case P.ARRIVING if is_of_target:  # the place it comes from still has it: it leaves from there
            s.move(P.RETURNING, w.now)
            s.target = None
            handoff.returned(w, s)
        case P.READMITTING if is_of_target:
            recovery.again(w, s)


def _is_saved(s: Session, document: bytes) -> bool:
    """Whether the document that raised has nothing which the newest known one has not."""
    try:
        return digest_of(decode_state(document)) == digest_of(s.head.newest)
    except InvalidState:
        return False


# ---------------------------------------------------------------- not in again


def failure() -> Failure:
    """Return why a character is not let in."""
    return Failure("quarantined", f"{NEWS}, so it was not let in.", ADVICE)


def bars(w: World, s: Session) -> bool:
    """Whether a character may not go in with the document that it has now; if that is another, it may."""
    standing = [r.digest for r in w.poison_reports.values() if r.character == s.character and not r.is_stored]
    known = standing[-1] if standing else w.catalog.quarantined.get(s.chosen)
    if known is None:
        return False
    if known in (b"", digest_of(s.head.newest)):
        w.log("entry_barred", "warning", character=str(s.character), cause="quarantined")
        return True
    w.catalog.quarantined.pop(s.chosen, None)
    w.log("quarantine_over", character=str(s.character), cause="the document is another")
    w.emit(EndQuarantine(s.chosen))
    return False


def keep_out(w: World, s: Session) -> None:
    """A daemon died while it put this player out: its successor does not let the player in again."""
    if s.leave is None and s.chosen in w.catalog.quarantined and bars(w, s):
        departure.begin(w, s, departure.QUARANTINED)
