"""Gateways and their links: who is connected, and which session a link carries. LinksOpen heals lost news."""

from uuid import UUID

from worlds.daemon.core import alliances, arrival, departure, entering, mail, queueing, trades
from worlds.daemon.core.session import IN_PLAY, PLAYABLE, LinkRef, Phase, Session
from worlds.daemon.core.state import Gateway, World
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import (
    AllianceAnswer,
    AllianceInvite,
    AllianceLeave,
    Enter,
    Hello,
    Logout,
    Mailing,
    Trading,
    ZoneTokenRequest,
)
from zonecluster.protocol.to_client import Goodbye

SILENCE_S = 4.0  # a gateway says that it lives once a second
SETTLED_S = 2.0  # older than any list still under way
RESTARTED = "The world was restarted while you chose a character. Log in again, please."


def hear(w: World, name: str, incarnation: int) -> bool:
    """Note a sign of life; a new incarnation means that the old links are gone.

    Returns: whether it is of the living process.
    """
    known = w.gateways.get(name)
    if known is not None and (name, incarnation) in w.dead_gateways:
        return (
            False  # late; if it was the other way round, the one we believe in falls silent and is forgotten
        )
    if known is None:
        w.gateways[name] = Gateway(incarnation, w.now)
        w.dead_gateways.discard((name, incarnation))
        return True
    if known.incarnation != incarnation:
        w.dead_gateways.add((name, known.incarnation))
        gateway_lost(w, name, known.incarnation)
        known.incarnation = incarnation
    known.heard_at = w.now
    return True


def silent(w: World) -> None:
    """A gateway that has gone silent has no links any more."""
    for name, gateway in list(w.gateways.items()):
        if w.now - gateway.heard_at > SILENCE_S:
            del w.gateways[name]
            gateway_lost(w, name, gateway.incarnation)


def gateway_lost(w: World, name: str, incarnation: int) -> None:
    """All links of that process are gone: their players have 60 s to come back by another."""
    w.log("gateway_lost", "warning", gateway=name, incarnation=incarnation)
    for link in [one for one in w.by_link if (one.gateway, one.incarnation) == (name, incarnation)]:
        link_closed(w, link)


def link_closed(w: World, link: LinkRef) -> None:
    """One link is gone."""
    s = w.of_link(link)
    w.by_link.pop(link, None)
    if s is not None and s.link == link:
        entering.on_link_lost(w, s)


def on_link_message(w: World, m: bus.LinkMessage) -> None:
    """A client says something that the daemon answers."""
    link = LinkRef(m.gateway, m.incarnation, m.link)
    if isinstance(m.message, Hello):
        entering.on_hello(w, link, m.message)
        return
    s = w.of_link(link)
    if s is None:
        w.refuse(link, "not_now", "This link has no log-in.", "Say Hello first.")
        return
    if s.resume_digest != s.proven_digest:  # a client that goes on after Welcome has read it
        w.prove_resume_token(s, s.resume_digest)
        w.store_tokens(s)
    match m.message:
        case Enter():
            entering.on_enter(w, s, m.message)
        case ZoneTokenRequest():
            _on_token_request(w, s)
        case Logout():
            departure.begin(w, s, departure.LOGOUT)
        case AllianceInvite() | AllianceAnswer() | AllianceLeave():
            alliances.on_message(w, s, m.message)
        case message if isinstance(message, Trading | Mailing) and not s.heard.is_new(link, message.seq):
            w.log("copy_ignored", kind=type(message).__name__, seq=message.seq)  # its answer is on its way
        case message if isinstance(message, Trading):
            trades.on_message(w, s, message)
        case message if isinstance(message, Mailing):
            mail.on_message(w, s, message)
        case other:
            w.log("unexpected_link_message", "warning", kind=type(other).__name__)


def _on_token_request(w: World, s: Session) -> None:
    if s.home is not None and (s.phase in PLAYABLE or s.phase is Phase.RESTORING):
        arrival.mint(w, s)
    elif s.phase not in IN_PLAY:
        w.refuse(s.link, "not_now", "No character is in the world.", "Enter with a character first.")
    # else: a ZoneAssigned follows by itself when the handoff or the recovery is done


def on_links_open(w: World, m: bus.LinksOpen) -> None:
    """Compare the gateway's links with ours."""
    if not w.is_loaded:
        return
    listed = {one.link: one.session for one in m.links}
    for link, session_id in list(w.by_link.items()):
        if (link.gateway, link.incarnation) != (m.gateway, m.incarnation) or link.link in listed:
            continue
        s = w.sessions.get(session_id)
        if s is None or s.phase is Phase.REDEEMING:  # not welcomed yet: no gateway lists it
            continue
        if w.now - s.attached_at > SETTLED_S and w.now - s.since > SETTLED_S:
            link_closed(w, link)
    for number, carried in listed.items():
        _check_link(w, LinkRef(m.gateway, m.incarnation, number), carried)


def _check_link(w: World, link: LinkRef, session_id: UUID | None) -> None:
    known = w.of_link(link)
    if known is not None:
        if known.phase in PLAYABLE:  # said again each time: a lost or late Route would send commands astray
            w.route(known, known.here.cluster)
        return
    s = w.find(session_id)
    if s is not None and s.link is None and s.can_come_back:
        # the daemon was restarted under a link that stayed open
        s.link, s.grace_until, s.attached_at, s.has_entered = link, None, w.now, s.phase is not Phase.WAITING
        w.by_link[link] = s.id
        if s.phase is Phase.WAITING:
            queueing.came_back(w, s)
            return
        arrival.attach(w, s)
        alliances.tell(w, s)
        trades.tell(w, s)
        return
    # a session that is not known here was in play when its end was lost: nobody can say what it had
    w.to_link(link, Goodbye(reason=RESTARTED, is_saved=session_id is None))
    w.close_link(link)
