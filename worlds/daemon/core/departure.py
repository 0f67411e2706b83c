"""Leaving: freeze, save, release, remove, in that order, then Goodbye. Or dropped, when the head is lost."""

from uuid import UUID

from worlds.daemon.core import queueing, replay
from worlds.daemon.core.saving import InvalidState, Offer, backoff
from worlds.daemon.core.session import PLAYABLE, Failure, Leave, Phase, Session, Stay
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place
from zonecluster.protocol.to_client import Goodbye

P = Phase
LOGOUT = Leave("logout", "Until next time.")
LINK_LOST = Leave("link lost", "The connection was lost for too long.")
IDLE = Leave(
    "no character chosen", "No character was chosen for ten minutes. Log in again when you want to play."
)
WAITED = Leave("waited for a day", "You have waited for a place for nearly a day. Log in again to wait on.")
NO_CLUSTER = Leave(
    "no cluster", "No zone could be opened for two minutes. Your character is safe; try again later."
)
BANNED = Leave("banned", "The account may not play at the moment. Your mail says why.")
SUSPENDED = Leave("world suspended", "This world has been suspended by the platform's staff.")
UNSAVED = Leave(
    "save refused",
    "Your character could not be saved for two minutes, so the world cannot let you go on. Try again later.",
)
QUARANTINED = Leave(
    "quarantined",
    "Something in your character's document cannot be handled in this world, so it was taken out before that "
    "did harm. The world's operator has a report and can let it in again.",
)
STALE = Leave("stale", "Your character was taken over elsewhere, so this world may not write it any more.")


# Who came by the queue and was refused for one of these waits on: it was not the player's doing.
NO_FAULT = ("master_unavailable", "world_unavailable", "not_now")


def with_place(state: CharacterState, world: str, place: Place | None) -> CharacterState:
    """Return the state with another place in this world; as it is if there is none."""
    if place is None or state.places.get(world) == place:
        return state
    return CharacterState(
        schema=state.schema,
        attributes=state.attributes,
        skills=state.skills,
        bags=state.bags,
        money=state.money,
        quests=state.quests,
        places={**state.places, world: place},
    )


def is_same(w: World, one: CharacterState, other: CharacterState) -> bool:
    """Whether two documents differ in the place here, if in anything."""
    return with_place(other, w.catalog.world, one.places.get(w.catalog.world)) == one


def offer(w: World, s: Session, kind: str, state: CharacterState, serial: int = 0) -> Offer | None:
    """Put a state in line for the master.

    Returns: the offer; None if the document is too large (logged, the older state stays the newest).
    """
    new = Offer(w.new_id(), kind, state, serial, s.here.order if serial and s.home is not None else 0)
    try:
        s.head.offer(new)
    except InvalidState as error:
        w.log("state_refused", "error", session=str(s.id), character=str(s.character), cause=str(error))
        return None
    return new


def is_outdated(w: World, s: Session, after: UUID | None, what: str) -> bool:
    """Whether a document knows another exchange than the head, most likely an older one: it is not saved."""
    if after == s.head.after:
        return False
    w.log("document_of_another_exchange", "warning", session=str(s.id), what=what)
    return True


def begin(w: World, s: Session, leave: Leave) -> None:
    """Start to put a player out, or remember it until the present step is over."""
    s.leave = s.leave or leave
    match s.phase:
        case P.REDEEMING | P.WELCOMED | P.WAITING | P.QUEUED | P.ACQUIRING:
            goodbye(w, s, is_saved=True)
            end(w, s)
        case P.RECORDING | P.OPENING:
            release(w, s)
        case P.ADMITTING:
            withdraw(w, s, None)
        case P.PLAYING | P.CROSSING | P.FREEZING | P.PAUSING:
            freeze_out(w, s)
        case P.COMMITTING:  # frozen already, and the handoff's write is the last one
            if s.commit_op is None:
                save_out(w, s, s.head.newest)
            else:
                s.move(P.SAVING_OUT, w.now)
        case P.RECOVERING:
            save_out(w, s, with_place(s.head.newest, w.catalog.world, s.place))
        case P.PAUSED:  # what was frozen is the newest
            save_out(w, s, with_place(s.head.newest, w.catalog.world, s.place), s.serial)


def freeze_out(w: World, s: Session) -> None:
    """Ask the cluster to freeze the player for good."""
    s.move(P.FREEZING_OUT, w.now)
    w.route(s, "")
    if s.home is None or not w.clusters.is_alive(s.here.cluster, s.here.incarnation):
        freeze_missed(w, s)
        return
    request = w.new_id()
    order = bus.Freeze(session=s.id, request=request, instance=s.here.instance, order=w.new_order())
    w.ask(s, s.here, order, request)


def freeze_missed(w: World, s: Session) -> None:
    """The cluster cannot tell the last state: save the newest that is known, and do not call it all."""
    s.has_gap = True
    w.log("final_state_unknown", "warning", session=str(s.id), character=str(s.character))
    save_out(w, s, with_place(s.head.newest, w.catalog.world, s.place))


def on_frozen(w: World, s: Session, m: bus.Frozen) -> None:
    """The cluster has frozen the player for good. Of a document that is outdated the place alone is of use.

    It has nothing else that the head has not, if an exchange is the reason: a cluster changes nothing from
    Hold to Settle. If not, nobody can say so.
    """
    if is_outdated(w, s, m.after, "frozen"):
        s.has_gap = s.has_gap or not (s.exchange or s.is_unsettled)
        save_out(w, s, with_place(s.head.newest, w.catalog.world, m.state.places.get(w.catalog.world)))
    else:
        save_out(w, s, m.state, m.serial)


def save_last(w: World, s: Session) -> None:
    """An exchange is over that the last write has waited for: make it now, with the last place."""
    last = offer(w, s, "logout", with_place(s.head.newest, w.catalog.world, s.place))
    s.commit_op = last.op_id if last else None


def save_out(w: World, s: Session, state: CharacterState, serial: int = 0) -> None:
    """Write the last state; once the outcome of an exchange is known, if one is unanswered.

    Args: serial: of the cluster's document, if this is one. What is merely the newest that is known has none:
        the cluster may be silent only, have newer documents, and would show them as saved.
    """
    if s.head.exchange is not None:
        s.place = state.places.get(w.catalog.world, s.place)
        s.move(P.SAVING_OUT, w.now)
        s.commit_op = None
        return
    last = offer(w, s, "logout", state, serial)
    s.move(P.SAVING_OUT, w.now)
    s.commit_op = last.op_id if last else None
    if last is None and s.head.is_idle:
        release(w, s)


def keep(w: World, s: Session) -> None:
    """The master does not answer: tell the player, take the entity out, and go on trying to save."""
    goodbye(w, s, is_saved=False)
    w.log("final_save_waits", "warning", session=str(s.id), character=str(s.character))
    if s.home is not None:
        remove_once(w, s, s.home)
        s.home = None
    s.move(P.KEEPING, w.now)


def release(w: World, s: Session) -> None:
    """Give the lease back."""
    s.move(P.RELEASING, w.now)
    s.call = w.call(s, uplink.Release(line=s.head.line, epoch=s.head.epoch))


def on_release_unanswered(w: World, s: Session) -> None:
    """Ask again a little later."""
    s.failures += 1
    s.retry_at, s.call = w.now + backoff(s.failures, w.rng), None


def repeat_release(w: World, s: Session) -> None:
    """Ask again, if it is time."""
    if s.retry_at is not None and w.now >= s.retry_at:
        s.retry_at = None
        s.call = w.call(s, uplink.Release(line=s.head.line, epoch=s.head.epoch))


def released(w: World, s: Session) -> None:
    """The lease is given back (or will lapse): go on to the door, or back to the choice of a character."""
    w.close_row(s, s.leave.reason if s.leave else "entry failed")
    s.writer = None
    if s.leave is not None:
        remove(w, s, is_saved=True)
        return
    back_to_choice(w, s)


def back_to_choice(w: World, s: Session) -> None:
    """Entering failed: the player may choose again, or waits on. Says why."""
    w.free_character(s)
    if s.failure is not None and s.failure.code in NO_FAULT and queueing.go_back(w, s):
        s.home = s.target = s.goal = s.place = s.writer = s.failure = None
        return
    s.move(P.WELCOMED, w.now)
    s.character = s.home = s.target = s.goal = s.place = s.writer = None
    s.has_entered, s.arrival = False, 0
    if s.failure is not None:
        w.refuse(s.link, s.failure.code, s.failure.reason, s.failure.advice)
        s.failure = None


def remove(w: World, s: Session, *, is_saved: bool) -> None:
    """Tell the cluster to forget the player, and say Goodbye."""
    s.move(
        P.REMOVING, w.now
    )  # the character stays ours until the cluster has answered: nobody enters with it
    w.void_resume_tokens(s)
    stay = s.home or s.target
    if stay is not None and w.clusters.is_alive(stay.cluster, stay.incarnation):
        ask_remove(w, s, stay)
    goodbye(w, s, is_saved=is_saved)
    if s.request is None:
        end(w, s)


def ask_remove(w: World, s: Session, stay: Stay) -> None:
    """Ask a cluster to forget the player in one instance, until it answers Removed."""
    w.ask(s, stay, bus.Remove(session=s.id, instance=stay.instance, order=w.new_order()), None)


def remove_once(w: World, s: Session, stay: Stay) -> None:
    """Tell a cluster to forget the player in one instance, without waiting for the answer."""
    order = bus.Remove(session=s.id, instance=stay.instance, order=w.new_order())
    w.to_cluster(stay.cluster, order)


def withdraw(w: World, s: Session, failure: Failure | None) -> None:
    """Entering failed while a cluster may have admitted the player already: take that back first."""
    s.failure = failure
    target = s.target
    s.move(P.WITHDRAWING, w.now)
    if target is None or not w.clusters.is_alive(target.cluster, target.incarnation):
        withdrawn(w, s)
        return
    ask_remove(w, s, target)


def withdrawn(w: World, s: Session) -> None:
    """No cluster has the player."""
    s.target = None
    release(w, s)


def abort_entry(w: World, s: Session, failure: Failure) -> None:
    """Entering failed before any cluster was asked, or after one refused."""
    s.failure = failure
    s.target = None
    release(w, s)


def drop(w: World, s: Session, leave: Leave) -> None:
    """The world cannot go on with this character: out at once. What is not saved is asked for without it."""
    is_told = s.phase not in PLAYABLE | {P.FREEZING, P.FREEZING_OUT}  # else what is known may be a second old
    is_saved = s.writer is not None and s.head.is_idle and not s.is_dirty and is_told
    w.log("session_dropped", "warning", session=str(s.id), character=str(s.character), reason=leave.reason)
    s.leave = leave
    w.close_row(s, leave.reason)
    replay.adopt(w, s)
    s.writer = s.exchange = None
    if s.home is not None and s.target is not None:
        remove_once(w, s, s.target)
    remove(w, s, is_saved=is_saved)


def goodbye(w: World, s: Session, *, is_saved: bool) -> None:
    """Say the last word and close the link."""
    if s.link is None:
        return
    text = s.leave.text if s.leave else "The session is over."
    w.to_link(s.link, Goodbye(reason=text, is_saved=is_saved and not s.has_gap))
    w.close_link(s.link)
    s.link = None


def end(w: World, s: Session) -> None:
    """Forget the session."""
    queueing.note_departure(w, s, is_lost=s.leave is LINK_LOST or s.leave is NO_CLUSTER)
    s.move(P.ENDED, w.now)
    w.forget(s)
