"""The way in: Hello with a ticket or a resume token, Enter, the lease, the row, the cluster."""

from hashlib import sha256

from worlds.daemon.core import (
    arrival,
    departure,
    editions,
    exchanges,
    handoff,
    maintenance,
    motd,
    muting,
    placement,
    poison,
    queueing,
    restart_telling,
    standing,
)
from worlds.daemon.core.saving import WriteHead, backoff
from worlds.daemon.core.session import (
    GOING,
    GRACE_S,
    IN_PLAY,
    PLAYABLE,
    Failure,
    LinkRef,
    Phase,
    Session,
)
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, Hello
from zonecluster.protocol.to_client import CharacterSummary, Goodbye, RefusalCode, Welcome

P = Phase
LOG_IN_AGAIN = "Log in again to get a fresh ticket, and connect with that."
TRY_AGAIN = "Try again in a few seconds."
ENTERING = frozenset({P.QUEUED, P.ACQUIRING, P.RECORDING, P.OPENING, P.ADMITTING})

# What the master says no with, what the player is told with, and what the player can do.
REFUSED_LEASE: dict[str, tuple[str, str]] = {
    "held_elsewhere": ("character_elsewhere", "Log out of the other world first, or wait two minutes."),
    "character_locked": (
        "character_locked",
        "Choose another character, or upgrade the account to unlock this one.",
    ),
    "unknown_character": ("unknown_character", "Choose a character of the list in Welcome."),
    "not_admitted": ("bad_ticket", LOG_IN_AGAIN),
    "account_banned": ("bad_ticket", "The account may not play at the moment. Your mail says why."),
    "world_suspended": ("world_unavailable", "Choose another world."),
}
REFUSED_TICKET: dict[str, tuple[str, str]] = {
    "bad_ticket": ("bad_ticket", LOG_IN_AGAIN),
    "ticket_expired": ("ticket_expired", "Tickets are good for 60 seconds. " + LOG_IN_AGAIN),
    "ticket_used": ("ticket_used", "A ticket opens one link, once. " + LOG_IN_AGAIN),
    "account_banned": ("bad_ticket", "The account may not play at the moment. Your mail says why."),
    "world_suspended": ("world_unavailable", "Choose another world."),
}


# ---------------------------------------------------------------- Hello


def on_hello(w: World, link: LinkRef, m: Hello) -> None:
    """A new link says who it is."""
    if m.protocol_version != PROTOCOL_VERSION:
        reason = f"This world speaks protocol version {PROTOCOL_VERSION}, the client {m.protocol_version}."
        w.refuse(
            link, "bad_protocol_version", reason, f"Use a client for protocol version {PROTOCOL_VERSION}."
        )
        w.close_link(link)
    elif (m.ticket is None) == (m.resume is None):
        w.refuse(
            link, "bad_frame", "Hello needs a ticket or a resume token, and not both.", "Send one of them."
        )
    elif not w.is_loaded or w.is_stopping:
        w.refuse(link, "world_unavailable", "The world is starting or stopping.", TRY_AGAIN)
    elif m.ticket is not None:
        _hello_with_ticket(w, link, m.ticket)
    elif m.resume is not None:
        _hello_with_resume(w, link, m.resume)


def _hello_with_ticket(w: World, link: LinkRef, ticket: str) -> None:
    digest = sha256(ticket.encode()).digest()
    known = w.of_link(link)
    if known is not None:
        if known.ticket_digest != digest:
            w.refuse(
                link, "not_now", "This link has said Hello already.", "Open another link for another log-in."
            )
        elif known.phase is not P.REDEEMING:  # the gateway asked twice: the first answer was lost or late
            welcome(w, known)
        return
    s = w.new_session(P.REDEEMING)
    s.ticket_digest = digest
    _hold(w, s, link)
    s.call = w.call(s, uplink.Redeem(ticket=ticket))


def on_admission(w: World, s: Session, answer: uplink.Admission) -> None:
    """The master has redeemed the ticket."""
    s.admission, s.account, s.edition = answer.admission, answer.account, answer.edition
    s.limits, s.characters = answer.limits, answer.characters
    s.is_operator = answer.is_operator
    s.move(P.WELCOMED, w.now)
    welcome(w, s)
    muting.on_news(w, s, answer.mute)


def on_ticket_refused(w: World, s: Session, refusal: uplink.Refusal) -> None:
    """The ticket is no good: say why; the link may try with another."""
    code, advice = REFUSED_TICKET.get(refusal.code, ("master_unavailable", TRY_AGAIN))
    w.log("ticket_refused", "warning", code=refusal.code, cause=refusal.detail)
    w.refuse(s.link, code, refusal.detail, advice)  # type: ignore[arg-type]
    departure.end(w, s)


def redeem_failed(w: World, s: Session, cause: str) -> None:
    """The master did not answer. The ticket may have been used: a new one is the safe way."""
    w.log("redeem_failed", "warning", cause=cause)
    w.refuse(s.link, "master_unavailable", "The master does not answer at the moment.", LOG_IN_AGAIN)
    departure.end(w, s)


def welcome(w: World, s: Session) -> None:
    """Answer a good Hello, with a fresh resume token."""
    message = Welcome(
        world=w.catalog.world,
        characters=s.characters or _only_the_played(w, s),
        edition=s.edition,
        motd=motd.text_of(w),
        resume=w.new_resume_token(s),
        playing=s.character if s.phase in IN_PLAY else None,
    )
    w.to_link(s.link, message)
    w.store_tokens(s)


def _only_the_played(w: World, s: Session) -> list[CharacterSummary]:
    """The list is not kept over a restart of the daemon; the character in play is."""
    if s.character is None:
        return []
    level = s.head.state.attributes.get("level", 1) if s.writer else 1
    zone = s.place.zone if s.place else None
    return [CharacterSummary(id=s.character, name=s.name, level=level, line=s.line_kind, zone=zone)]


def _hello_with_resume(w: World, link: LinkRef, token: str) -> None:
    digest = sha256(token.encode()).digest()
    s = w.find(w.by_digest.get(digest))
    known = w.of_link(link)
    # Asked twice: the first answer was lost or late. Not while a ticket is still with the master.
    if known is not None and known.phase is not P.REDEEMING and (s is None or s is known):
        welcome(w, known)
        return
    if s is None or not s.can_come_back:
        w.refuse(
            link, "bad_resume_token", "This resume token is unknown, or 60 seconds have passed.", LOG_IN_AGAIN
        )
        return
    w.prove_resume_token(s, digest)
    take_link(w, s, link, "Your connection was resumed on another link.")
    welcome(w, s)
    rejoin(w, s)


def _hold(w: World, s: Session, link: LinkRef) -> None:
    s.link, s.grace_until, s.attached_at, s.has_entered = link, None, w.now, False
    w.by_link[link] = s.id


def take_link(w: World, s: Session, link: LinkRef, text: str) -> None:
    """The newer link wins; the old one is told and closed."""
    if s.link is not None and s.link != link:
        w.to_link(s.link, Goodbye(reason=text, is_saved=s.writer is None or s.head.is_idle))
        w.close_link(s.link)
    other = w.of_link(link)
    if other is not None and other is not s:
        other.link = None
    _hold(w, s, link)


def rejoin(w: World, s: Session) -> None:
    """The player of a session is back on another link: go on where it was, also if it was about to leave."""
    if s.leave is departure.QUARANTINED:
        return
    match s.phase:
        case P.WAITING:
            queueing.came_back(w, s)
        case P.FREEZING_OUT | P.SAVING_OUT if s.home and w.clusters.is_alive(
            s.here.cluster, s.here.incarnation
        ):
            s.leave = s.commit_op = None
            s.move(P.PLAYING, w.now)
            handoff.thaw(w, s)
            exchanges.settle_again(w, s)
        case P.FREEZING_OUT:
            s.leave = None
            departure.freeze_missed(w, s)
            s.move(P.RECOVERING, w.now)
        case P.SAVING_OUT | P.KEEPING:
            s.leave = s.commit_op = None
            s.move(P.RECOVERING, w.now)
    if s.leave is departure.LINK_LOST or s.leave is departure.LOGOUT:
        s.leave = None
    if s.phase in PLAYABLE or (s.phase is P.RESTORING and s.home is not None):
        arrival.resume_play(w, s)


# ---------------------------------------------------------------- Enter


def on_enter(w: World, s: Session, m: Enter) -> None:
    """The player chose a character."""
    if s.character == m.character and s.phase in IN_PLAY:  # asked twice: the answer was lost
        s.has_entered = False
        rejoin(w, s)
        return
    if s.character == m.character and s.phase in ENTERING:
        return
    if s.phase not in (P.WELCOMED, P.WAITING):
        w.refuse(s.link, "not_now", "A character is in play on this link.", "Log out first.")
        return
    summary = next((one for one in s.characters if one.id == m.character), None)
    if summary is None:
        advice = "Choose a character of the list in Welcome."
        w.refuse(s.link, "unknown_character", "The account has no such character.", advice)
    elif summary.is_locked:
        code, advice = REFUSED_LEASE["character_locked"]
        w.refuse(s.link, code, f"{summary.name} is locked.", advice)  # type: ignore[arg-type]
    else:
        s.character, s.name = m.character, summary.name
        choose(w, s)


def choose(w: World, s: Session) -> None:
    """Acquire the chosen character, or take over the session that plays it."""
    other = w.who_plays(s.character)
    is_leaving = other is not None and other.phase in GOING | ENTERING
    if is_leaving or (other is None and w.is_replaying(s.character)):
        if s.phase is not P.QUEUED:
            s.move(P.QUEUED, w.now)
    elif other is not None:
        take_over(w, other, s)
    elif s.phase is P.WAITING:
        queueing.join(w, s)  # with another character, or asked again; `come_in` when it is its turn
    elif problem := _why_not(w, s):
        _refuse_entry(w, s, problem)
    elif not queueing.must_wait(w, s):
        _acquire(w, s)
    elif not queueing.join(w, s):
        _refuse_entry(w, s, _full(w))


def come_in(w: World, s: Session) -> None:
    """It is the turn of a player who has waited: there is a place."""
    if w.who_plays(s.character) is None and not w.is_replaying(s.character):
        _acquire(w, s)
    else:
        choose(w, s)


def _acquire(w: World, s: Session) -> None:
    s.move(P.ACQUIRING, w.now)
    w.by_character[s.chosen] = s.id
    w.begin_acquire(s)


def _refuse_entry(w: World, s: Session, problem: tuple[RefusalCode, str, str]) -> None:
    w.refuse(s.link, *problem)
    if s.phase is P.QUEUED:
        s.move(P.WELCOMED, w.now)
    s.character, s.arrival = None, 0


def _why_not(w: World, s: Session) -> tuple[RefusalCode, str, str] | None:
    """Return why this player cannot enter now: code, reason, advice."""
    if maintenance.bars(w, s):
        return "maintenance", maintenance.text_of(w) or "", "Try again later, or choose another world."
    return closed(w)


def closed(w: World) -> tuple[RefusalCode, str, str] | None:
    """Return why nobody can enter now: code, reason, advice."""
    if w.is_stopping or w.is_suspended:
        return "world_unavailable", "The world admits nobody at the moment.", TRY_AGAIN
    if restart_telling.is_closed(w):
        return "world_unavailable", restart_telling.CLOSED, "Try again in two minutes."
    if not w.clusters.alive() or not w.catalog.zones:
        return "world_unavailable", "No zone of the world is running.", TRY_AGAIN
    return None


def _full(w: World) -> tuple[RefusalCode, str, str]:
    waiting = f", and {w.catalog.max_queue} players wait for one" if w.catalog.max_queue else ""
    reason = f"All {w.catalog.max_players} places are taken{waiting}."
    return "world_full", reason, "Try again later, or choose another world."


def take_over(w: World, old: Session, new: Session) -> None:
    """The same account comes back by a new log-in: it gets the session that stands in the world."""
    if old.account != new.account:
        w.log("takeover_refused", "error", character=str(old.character), session=str(old.id))
        w.refuse(new.link, "unknown_character", "The account has no such character.", LOG_IN_AGAIN)
        new.character = None
        if new.phase is P.QUEUED:
            new.move(P.WELCOMED, w.now)
        return
    link, new.link = new.link, None
    if link is None:
        return
    take_link(w, old, link, "You have logged in again elsewhere.")
    old.admission, old.is_operator = new.admission, new.is_operator
    editions.take(w, old, new.edition, new.limits)
    muting.on_news(w, old, new.mute)
    old.characters, old.ticket_digest = new.characters, new.ticket_digest
    digest = new.resume_digest
    w.void_resume_tokens(new)
    w.prove_resume_token(old, digest)
    w.by_digest[digest] = old.id
    new.resume_digest = new.proven_digest = b""
    new.character = None
    departure.end(w, new)
    w.by_link[link] = old.id
    w.update_row(old)
    rejoin(w, old)


def on_lease(w: World, s: Session, lease: uplink.Lease) -> None:
    """The character is ours to write: make the session durable before anybody sees it."""
    s.writer = WriteHead.of_lease(lease)
    s.name = lease.name
    standing.note_lease(s, lease)
    s.saved_place = lease.state.places.get(w.catalog.world)
    w.store_head(lease)
    s.place = w.catalog.place_or_entry(s.saved_place)
    s.move(P.RECORDING, w.now)
    if poison.bars(w, s):
        departure.abort_entry(w, s, poison.failure())
        return
    w.record(s)


def on_lease_refused(w: World, s: Session, refusal: uplink.Refusal) -> None:
    """The master does not grant the lease."""
    code, advice = REFUSED_LEASE.get(refusal.code, ("master_unavailable", TRY_AGAIN))
    w.log("lease_refused", "warning", character=str(s.character), code=refusal.code, cause=refusal.detail)
    s.failure = Failure(code, refusal.detail, advice)  # type: ignore[arg-type]
    departure.back_to_choice(w, s)


def on_lease_unanswered(w: World, s: Session) -> None:
    """Ask again with the same op_id until the deadline."""
    s.failures += 1
    s.call, s.retry_at = None, w.now + backoff(s.failures, w.rng)


def repeat_acquire(w: World, s: Session) -> None:
    """Ask again, if it is time."""
    if s.retry_at is not None and w.now >= s.retry_at:
        s.retry_at = None
        w.ask_for_lease(s)


def acquire_failed(w: World, s: Session) -> None:
    """The master did not answer in time. Should it have granted the lease, its late answer is given back."""
    s.failure = Failure("master_unavailable", "The master does not answer at the moment.", TRY_AGAIN)
    departure.back_to_choice(w, s)


def on_recorded(w: World, s: Session) -> None:
    """The row is durable: on to the zone."""
    if s.phase is P.RECORDING:
        s.move(P.OPENING, w.now)
        open_and_admit(w, s)


def open_and_admit(w: World, s: Session) -> None:
    """Ask a cluster to admit, once the instance is open."""
    s.place = editions.place_for(w, s, w.catalog.place_or_entry(s.place))
    instance = placement.open_instance(w, w.catalog.zones[s.place.zone], s) if s.place else None
    if instance is not None and s.place is not None:
        arrival.ask_to_admit(w, s, P.ADMITTING, instance, s.head.state, s.place)


def no_zone(reason: str) -> Failure:
    """Return the failure of a zone that could not be entered."""
    return Failure("world_unavailable", reason, TRY_AGAIN)


# ---------------------------------------------------------------- the link itself


def on_link_lost(w: World, s: Session) -> None:
    """The WebSocket is gone: the player has 60 s to come back."""
    if s.link is not None:
        w.by_link.pop(s.link, None)
    s.link = None
    s.grace_until = w.now + GRACE_S
    if s.phase is P.REDEEMING:
        departure.end(w, s)
    elif s.phase in IN_PLAY:
        arrival.attach(w, s)
