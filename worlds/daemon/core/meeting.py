"""Players of one world find each other by name, and ask each other: into an alliance, or to trade.

Invitations are kept by who asks for what (World.invitations, World.trade_invitations); nothing is durable.
"""

from uuid import UUID

from worlds.daemon.core.session import IN_PLAY, Session
from worlds.daemon.core.state import Invitations, World
from zonecluster.protocol.to_client import Refused

MOST_INVITATIONS = 8  # open ones of one player
INVITATION_S = 60.0  # to answer; who declined is not asked again by the same player before


def is_here(s: Session) -> bool:
    """Whether a player is in the world, and not on the way out."""
    return s.phase in IN_PLAY and s.leave is None


def is_session_here(w: World, session: UUID) -> bool:
    """Whether a session is of a player who is in the world, and not on the way out."""
    s = w.find(session)
    return s is not None and is_here(s)


def named(w: World, name: str) -> Session | None:
    """Return who plays the character of that name, in whatever case it is written."""
    key = name.strip().casefold()
    return next((s for s in w.sessions.values() if is_here(s) and s.name.casefold() == key), None)


def refuse_absent(w: World, s: Session, seq: int) -> None:
    """Answer a command of a client whose character is not in the world."""
    advice = "Enter with a character first."
    w.to_link(s.link, Refused("not_now", "No character is in the world.", advice, seq))


# ---------------------------------------------------------------- invitations


def invite(w: World, invitations: Invitations, s: Session, other: Session) -> str:
    """Note that a player asks another one; returns why not, or nothing."""
    forget_old(w, invitations)
    if (s.id, other.id) in invitations:
        return f"{other.name} was asked less than a minute ago."
    if sum(inviter == s.id for inviter, _ in invitations) >= MOST_INVITATIONS:
        return f"You have asked {MOST_INVITATIONS} players already: wait for their answers."
    invitations[(s.id, other.id)] = (w.now + INVITATION_S, False)
    return ""


def inviter(w: World, invitations: Invitations, s: Session, name: str) -> Session | None:
    """Return the player of that name, if it has asked this one and was not declined."""
    forget_old(w, invitations)
    other = named(w, name)
    if other is None:
        return None
    _, is_declined = invitations.get((other.id, s.id), (0.0, True))
    return None if is_declined else other


def decline(invitations: Invitations, s: Session, other: Session) -> None:
    """Note that a player does not want what another one asked for."""
    ends_at, _ = invitations[(other.id, s.id)]
    invitations[(other.id, s.id)] = (ends_at, True)


def forget_old(w: World, invitations: Invitations) -> None:
    """Forget invitations whose time is over, and those of and to players who are gone."""
    for pair, (ends_at, _) in list(invitations.items()):
        if w.now >= ends_at or not all(is_session_here(w, session) for session in pair):
            del invitations[pair]
