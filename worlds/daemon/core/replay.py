"""Writes that no session waits for: of the daemon before this one, by its journal, or of ended sessions.

Each is asked for with its own op_id, in the order of its line, until the master answers; only then is the
line's lease asked for again, since a new epoch would make them stale. What the master will never take is set
aside, where people find it: nothing is dropped in silence.
"""

from collections import deque
from uuid import UUID

from worlds.daemon.core.effects import SetAside, StoreReceipt
from worlds.daemon.core.events import Unfinished, Unreachable
from worlds.daemon.core.saving import ANSWER_TIMEOUT_S, DISCARDING, LOSING, backoff, chain_after
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import Replay, World
from worlds.uplink import messages as uplink

LATER = frozenset(LOSING - {"world_suspended"})  # a suspension may be lifted


def load(w: World, unfinished: list[Unfinished]) -> None:
    """Take over what the journal holds."""
    for write in unfinished:
        replay = w.replays.setdefault(write.save.line, Replay(write.character))
        replay.writes.append(write.save)
    w.log("journal_loaded", writes=len(unfinished), lines=len(w.replays))


def adopt(w: World, s: Session) -> None:
    """Go on asking for what a session leaves behind."""
    writes = s.head.unfinished() if s.writer is not None else []
    for save in s.head.not_kept() if writes else ():
        w.keep(s, save)
    if writes:
        replay = w.replays.setdefault(s.head.line, Replay(s.chosen))
        replay.writes = deque(writes)
        replay.retry_at = w.now


def step(w: World) -> None:
    """Ask for what is due."""
    for line, replay in list(w.replays.items()):
        if replay.call is not None and w.now - replay.called_at > ANSWER_TIMEOUT_S:
            replay.call, replay.retry_at = None, w.now
        if replay.call is None and w.now >= replay.retry_at:
            replay.called_at = w.now
            replay.call = w.call(None, replay.writes[0])
            w.replay_calls[replay.call] = line


def on_answer(w: World, call: UUID, answer: uplink.Saved | uplink.Refusal | Unreachable) -> UUID | None:
    """A write was answered, or was not.

    Returns: whose write has to wait because the world is suspended, if that is so.
    """
    replay = w.replays.get(line := w.replay_calls.pop(call))
    if replay is None:
        return None
    is_mine = call == replay.call
    if is_mine:
        replay.call = None
    save = replay.writes[0]
    refusal = answer if isinstance(answer, uplink.Refusal) else None
    if isinstance(answer, uplink.Saved):
        if answer.op_id != save.op_id:
            return None
        refusal = answer.refusal
        if refusal is None:
            _accepted(w, line, replay, answer)
            return None
        if refusal.code in LATER or refusal.code in DISCARDING:
            _set_aside(w, line, replay, f"{refusal.code}: {refusal.detail}")
            return None
    if is_mine:
        replay.failures += 1
        replay.retry_at = w.now + backoff(replay.failures, w.rng)
    is_suspended = refusal is not None and refusal.code == "world_suspended"
    return replay.character if is_suspended else None


def _accepted(w: World, line: UUID, replay: Replay, answer: uplink.Saved) -> None:
    save = replay.writes[0]
    if (answer.version, answer.chain) != (save.version + 1, chain_after(save)):
        _set_aside(w, line, replay, "the master has another chain")
        return
    w.emit(StoreReceipt(line, answer.version, answer.op_id, answer.receipt, save.state, save.kind))
    w.log("write_replayed", character=str(replay.character), line=str(line), version=answer.version)
    _next(w, line, replay)


def _set_aside(w: World, line: UUID, replay: Replay, reason: str) -> None:
    save = replay.writes[0]
    op_id = str(save.op_id)
    w.log(
        "write_set_aside", "error", character=str(replay.character), line=str(line), op_id=op_id, cause=reason
    )
    w.emit(SetAside(Unfinished(replay.character, save), reason))
    _next(w, line, replay)


def _next(w: World, line: UUID, replay: Replay) -> None:
    replay.writes.popleft()
    replay.call, replay.retry_at, replay.failures = None, w.now, 0
    if not replay.writes:
        del w.replays[line]
