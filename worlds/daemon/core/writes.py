"""Sessions and their write heads: when to save, and what an outcome of a write means for the player."""

from uuid import UUID

from worlds.daemon.core import arrival, departure, exchanges, handoff, pausing, standing, withholding
from worlds.daemon.core.effects import StoreReceipt
from worlds.daemon.core.events import Unreachable
from worlds.daemon.core.saving import Outcome, Write
from worlds.daemon.core.session import IN_PLAY, PLAYABLE, Phase, Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

P = Phase
MOVED_M = 1.0  # a place nearer than this to the saved one is not worth a write


def on_checkpoint(w: World, s: Session, m: bus.Checkpoint) -> None:
    """A state to save. A late or doubled one, or one of another stay than home, is not."""
    if s.phase not in PLAYABLE or s.writer is None or s.home is None or m.cluster != s.here.cluster:
        return
    if m.stay not in (0, s.here.order) or (m.serial and m.serial <= s.serial):
        return
    if departure.is_outdated(w, s, m.after, "checkpoint") or exchanges.is_held(w, s):
        return
    s.serial = max(s.serial, m.serial)
    if s.has_gap and not departure.is_same(w, s.head.newest, m.state):
        s.has_gap = False  # the player has acted here, so has seen what was left after a death
    s.checkpoint_at = w.now + arrival.CHECKPOINT_S
    departure.offer(w, s, m.kind, m.state, m.serial)


def keep_saved(w: World, s: Session) -> None:
    """Ask for a checkpoint each 30 s while durable state is dirty; save a changed place alone each 60 s."""
    if s.exchange is not None:
        return
    if s.is_dirty and w.now >= s.checkpoint_at:
        s.checkpoint_at = w.now + arrival.CHECKPOINT_S
        w.to_cluster(s.here.cluster, bus.TakeCheckpoint(session=s.id))
    if w.now >= s.place_save_at and s.head.is_idle:
        s.place_save_at = w.now + arrival.PLACE_SAVE_S
        if _has_moved(s):
            state = departure.with_place(s.head.state, w.catalog.world, s.place)
            departure.offer(w, s, "periodic", state)


def _has_moved(s: Session) -> bool:
    if s.place is None:
        return False
    if s.saved_place is None or s.saved_place.zone != s.place.zone:
        return True
    pairs = zip(s.place.position, s.saved_place.position, strict=True)
    return max(abs(here - saved) for here, saved in pairs) >= MOVED_M


def push(w: World, s: Session) -> None:
    """Have the newest state journaled, and send the write that is due, if one is."""
    save = s.head.to_journal()
    if save is not None and s.head.waiting is not None:
        w.keep(s, save, s.head.waiting.serial, s.head.waiting.stay)
    call = w.new_id()
    save = s.head.next_attempt(call, w.now)
    if save is not None:
        # the id is ours already, so that the head knows its attempt before any answer can come
        w.call_as(call, s, save)


def on_answer(w: World, s: Session, call: UUID, answer: uplink.Saved | uplink.Refusal | Unreachable) -> None:
    """An attempt was answered, or was not."""
    if s.writer is None:
        return
    if isinstance(answer, uplink.Refusal):  # of the whole batch
        if answer.code in ("world_suspended", "unknown_character"):
            _after(w, s, Outcome.LOST, answer.detail)
        else:
            s.head.unanswered(call, w.now, w.rng)
            withholding.refused(w, s)
            w.log("save_refused", "error", session=str(s.id), code=answer.code, cause=answer.detail)
        return
    if isinstance(answer, Unreachable):
        s.head.unanswered(call, w.now, w.rng)
        withholding.unreachable(s)
        return
    write = s.head.outstanding
    outcome = s.head.answered(answer, w.now, w.rng)
    if write is not None and outcome is Outcome.ACCEPTED:
        _accepted(w, s, write, answer)
    else:
        detail = f"{answer.refusal.code}: {answer.refusal.detail}" if answer.refusal else "the chain differs"
        _after(w, s, outcome, detail)


def _accepted(w: World, s: Session, write: Write, answer: uplink.Saved) -> None:
    state = write.offer.state
    s.refused_since = None
    receipt = StoreReceipt(s.head.line, answer.version, answer.op_id, answer.receipt, state, write.save.kind)
    w.emit(receipt)
    standing.note_fork(w, s, answer.forked)
    s.saved_place = state.places.get(w.catalog.world)
    if write.offer.serial and s.home is not None and s.here.order == write.offer.stay:
        offer = write.offer
        message = bus.Saved(session=s.id, serial=offer.serial, stay=offer.stay, line=s.line_kind)
        w.to_cluster(s.here.cluster, message)
    if s.commit_op == answer.op_id:
        s.commit_op = None


def _after(w: World, s: Session, outcome: Outcome, detail: str) -> None:
    match outcome:
        case Outcome.LOST if not exchanges.on_lost(w, s):
            w.log("save_lost", "error", session=str(s.id), character=str(s.character), cause=detail)
            is_suspended = detail.startswith("world_suspended")
            if s.phase in IN_PLAY:
                departure.drop(w, s, departure.SUSPENDED if is_suspended else departure.STALE)
        case Outcome.DISCARDED:
            withholding.refused(w, s)
            w.log("state_refused", "error", session=str(s.id), character=str(s.character), cause=detail)
            if s.phase is P.COMMITTING:
                handoff.go_on_at_source(w, s)
            elif s.phase is P.PAUSED:
                pausing.go_on(w, s)
            s.commit_op = None
            text = (
                "The master did not accept your character's last changes; the world's operator has been told."
            )
            w.to_link(s.link, Notice(text=text, level="warning"))
        case Outcome.LATER:
            withholding.refused(w, s)
            w.log("save_refused", "error", session=str(s.id), cause=detail)
