"""The queue of a full world: who waits, in which order they are let in, and what they are told.

First those whom a lost connection has put out a moment ago, then by the edition's place (Premium before
Free); among these by arrival. Who upgrades while waiting moves up within seconds, and keeps the arrival. A
player waits on the world link, with the chosen character and the admission, which is good for 24 hours. The
place is the account's: it outlasts a lost link for a minute as everything does, a second log-in takes it
over, and a row in the world's database keeps it over a restart of the daemon.

The estimate is what was measured: how often a place has become free lately. Until three have, nobody knows.
"""

from uuid import UUID

from worlds.daemon.core.effects import StoreWaiting, WaitingRow
from worlds.daemon.core.events import WaitingSession
from worlds.daemon.core.session import DEADLINES, GRACE_S, Phase, Session
from worlds.daemon.core.state import World
from zonecluster.protocol.to_client import Goodbye, Queued

P = Phase
RETURNING = 0  # rank: lower ones go first. Those of editions follow, by their place in queues
RETURN_S = 300.0  # so long after a lost connection has put somebody out, there is no queue for that account
TELL_S = 5.0  # a place is told at most so often
TELL_AGAIN_S = 30.0  # and at least so often: the bus may lose it
AGAIN_S = 5.0  # who was let in and did not get in, for no fault of its own, is tried again after that
STEP_S = 5.0  # estimates are told in steps


def is_full(w: World) -> bool:
    """Whether every place is taken."""
    return len(w.by_character) >= w.catalog.max_players


def waiting(w: World) -> list[Session]:
    """Return who waits, in the order in which they are let in."""
    found = [s for s in w.sessions.values() if s.phase is P.WAITING]
    return sorted(found, key=lambda s: (s.rank, s.arrival))


def must_wait(w: World, s: Session) -> bool:
    """Whether a player who wants in has to wait: the world is full, or others are first."""
    if s.is_operator:
        return False
    return is_full(w) or any(each.phase is P.WAITING and each is not s for each in w.sessions.values())


# ---------------------------------------------------------------- coming, and being let in


def join(w: World, s: Session) -> bool:
    """Let a player wait for a place with the chosen character. Returns: whether there was room to wait."""
    if s.phase is P.WAITING:
        _changed(w, s)
        return True
    queue = waiting(w)
    older = next((each for each in queue if each.account == s.account), None)
    if older is None and len(queue) >= w.catalog.max_queue:
        return False
    s.move(P.WAITING, w.now)
    s.rank, s.arrival = rank_of(w, s), s.arrival or w.new_order()
    if older is not None:
        s.arrival = older.arrival
        _replace(w, older)
    w.log("queued", session=str(s.id), rank=s.rank, waiting=len(queue) + 1)
    _changed(w, s)
    return True


def _replace(w: World, older: Session) -> None:
    """The account waits by another log-in from now on."""
    if older.link is not None:
        w.to_link(older.link, Goodbye(reason="You wait on another link now.", is_saved=True))
        w.close_link(older.link)
        older.link = None
    older.move(P.ENDED, w.now)
    w.forget(older)


def rank_of(w: World, s: Session) -> int:
    """Return how soon it is a player's turn."""
    if s.account is not None and w.life.put_out_at.get(s.account, float("-inf")) > w.now - RETURN_S:
        return RETURNING
    return RETURNING + 1 + s.limits.queue_place


def follow_limits(w: World, s: Session) -> None:
    """The limits are others now: so is the place, but of one whom a lost connection has put out."""
    rank = rank_of(w, s)
    if s.phase is not P.WAITING or s.rank == RETURNING:
        return
    if rank != s.rank:
        w.log("queue_rank_changed", session=str(s.id), rank=rank)
        s.rank = rank
    _changed(w, s)


def may_come_in(w: World, s: Session) -> bool:
    """Whether a waiting player can take a place now. Who has no link keeps the place in the queue."""
    return s.link is not None and w.now >= s.wait_until


def go_back(w: World, s: Session) -> bool:
    """Who came by the queue and did not get in, for no fault of its own, waits on where it was.

    Returns: whether the player waits; if not, it has never waited.
    """
    if not s.arrival or s.leave is not None:
        return False
    s.move(P.WAITING, w.now)
    s.wait_until = w.now + AGAIN_S
    _changed(w, s)
    return True


def came_back(w: World, s: Session) -> None:
    """A waiting player has another link: tell the place on it."""
    _changed(w, s)


def _changed(w: World, s: Session) -> None:
    """Let the row be written, the gateway know whom the link carries, and the place be told soon."""
    s.told_place, s.told_place_at = None, 0.0
    w.route(s, "")  # how a restarted daemon learns from the gateway's list whose link it is
    w.life.rows.add(s.id)
    w.emit(StoreWaiting(_row(s)))


def _row(s: Session) -> WaitingRow:
    if s.account is None or s.admission is None:
        raise ValueError("nobody waits without an admission")
    return WaitingRow(
        id=s.id,
        account=s.account,
        admission=s.admission,
        character=s.chosen,
        name=s.name,
        edition=s.edition,
        rank=s.rank,
        arrival=s.arrival,
        resume_digest=s.resume_digest,
        limits=s.limits,
        proven_digest=s.proven_digest,
    )


def note_departure(w: World, s: Session, *, is_lost: bool) -> None:
    """A session ends: count it, if it had a place. Args: is_lost: for a lost connection."""
    if s.character is not None and w.by_character.get(s.character) == s.id:
        w.life.departures.at.append(w.now)
        if is_lost and s.account is not None:
            w.life.put_out_at[s.account] = w.now


# ---------------------------------------------------------------- telling


def tell_places(w: World, queue: list[Session], is_open: bool) -> None:
    """Tell each who waits its place, if that is news. Args: is_open: whether anybody is let in at all."""
    too_many = max(len(w.by_character) - w.catalog.max_players, 0)  # who leaves first makes no room
    for ahead, s in enumerate(queue):
        if s.link is None or w.now < s.told_place_at + TELL_S and s.told_place is not None:
            continue
        wait_s = w.life.departures.wait_s(too_many + ahead + 1, w.now) if is_open else None
        estimate_s = None if wait_s is None else max(STEP_S, round(wait_s / STEP_S) * STEP_S)
        news = Queued(place=ahead + 1, ahead=ahead, estimate_s=estimate_s)
        if news != s.told_place or w.now >= s.told_place_at + TELL_AGAIN_S:
            s.told_place, s.told_place_at = news, w.now
            w.to_link(s.link, news)


# ---------------------------------------------------------------- the daemon was restarted


def load(w: World, rows: list[WaitingSession]) -> None:
    """Take over the queue of the last daemon: links find their sessions again, or have a minute to come."""
    for row in rows:
        if row.id in w.sessions:  # it has come in since
            continue
        s = w.new_session(P.WAITING)
        del w.sessions[s.id]
        s.id = row.id
        w.sessions[s.id] = s
        s.account, s.admission, s.character, s.name = row.account, row.admission, row.character, row.name
        s.edition, s.limits, s.rank, s.arrival = row.edition, row.limits, row.rank, row.arrival
        w.take_resume_tokens(s, row.resume_digest, row.proven_digest)
        s.deadline = w.now + max((DEADLINES[P.WAITING][0] or 0.0) - row.waited_s, 0.0)
        s.grace_until = w.now + GRACE_S
        w.life.rows.add(s.id)
    if rows:
        w.log("queue_loaded", waiting=len(rows))


def forget_gone(w: World, queue: list[Session]) -> set[UUID]:
    """Return whose rows are to go: they do not wait any more."""
    gone = w.life.rows - {s.id for s in queue}
    w.life.rows -= gone
    return gone
