"""The two-phase handoff: freeze and commit at the source, admit at the target; back if it fails.

Memory is never copied to memory: the target gets the state that the master has accepted.
"""

from dataclasses import replace

from worlds.daemon.core import arrival, departure, editions, placement
from worlds.daemon.core.clusters import Instance
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import Notice

P = Phase
UNDER_WAY = frozenset({P.CROSSING, P.FREEZING, P.COMMITTING, P.ARRIVING, P.RETURNING})
PAUSE_S = 3.0  # after a failed handoff, before the next one is tried
EXCHANGING = "Your trade is just being written down. Take the way in a moment."
NOWHERE = "This way leads nowhere. The world's operator has been told."
FAILED = "The way is barred for the moment. Try again in a little while."


def on_portal(w: World, s: Session, m: bus.PortalEntered) -> None:
    """The player went into a portal: see where it leads.

    The cluster asks again until it is told to freeze the player or to let it go on here; whoever cannot go
    now goes then.
    """
    if is_following(s) and s.home is not None and m.cluster == s.here.cluster:
        s.missed_portal = m.link  # it is gone into once the player has arrived
        return
    if s.phase is not P.PLAYING or s.leave is not None or w.now < s.no_handoff_until or s.home is None:
        return
    if m.cluster != s.here.cluster or m.stay not in (0, s.here.order):
        return
    if s.exchange is not None or s.is_unsettled:
        _turn_back(w, s, EXCHANGING)
        return
    here = w.catalog.zone_of_instance(s.here.instance)
    link = w.catalog.links.get((here.slug, m.link)) if here else None
    if link is None or link.arrival.zone not in w.catalog.zones:
        w.log("portal_to_nowhere", "error", zone=here.slug if here else None, link=m.link, session=str(s.id))
        _turn_back(w, s, NOWHERE)
        return
    if not editions.may_enter(s, w.catalog.zones[link.arrival.zone]):
        _turn_back(w, s, editions.why_barred(w.catalog.zones[link.arrival.zone]))
        return
    s.goal, s.is_following, s.missed_portal = link.arrival, False, ""
    s.move(P.CROSSING, w.now)
    cross(w, s)


def _turn_back(w: World, s: Session, why: str) -> None:
    """The player stays on this side until it has left the portal and comes again."""
    s.no_handoff_until = w.now + PAUSE_S
    w.to_link(s.link, Notice(text=why, level="warning"))
    thaw(w, s)


def is_following(s: Session) -> bool:
    """Whether the player is on the way after an instance that has been moved."""
    return s.is_following and s.phase in UNDER_WAY


def go_on_into_portal(w: World, s: Session) -> None:
    """The player has arrived, and had gone into a portal before it was handed over."""
    link, s.missed_portal = s.missed_portal, ""
    if link and s.phase is P.PLAYING and s.home is not None:
        on_portal(w, s, bus.PortalEntered(s.here.cluster, s.id, link, s.here.order))


def follow(w: World, s: Session) -> None:
    """The instance has been moved: hand the player over to where it is now, in its own place."""
    s.goal, s.is_following, s.missed_portal = s.place, True, ""
    s.move(P.CROSSING, w.now)
    cross(w, s)


def cross(w: World, s: Session) -> None:
    """Freeze the player once the target instance is open."""
    instance = _open_destination(w, s)
    if instance is None:
        return
    if s.is_following and s.here.is_at(instance.cluster, instance.incarnation):  # it has come back
        s.is_following = False
        s.move(P.PLAYING, w.now)
        return
    s.move(P.FREEZING, w.now)
    request = w.new_id()
    message = bus.Freeze(session=s.id, request=request, instance=s.here.instance, order=w.new_order())
    w.ask(s, s.here, message, request)


def _open_destination(w: World, s: Session) -> Instance | None:
    """Return the open instance where the player is going; None: not yet, or that zone is no more."""
    zone = w.catalog.zones.get(s.destination.zone)
    return placement.open_instance(w, zone, s) if zone is not None else None


def on_frozen(w: World, s: Session, m: bus.Frozen) -> None:
    """Commit the state, with the new place in it."""
    if departure.is_outdated(w, s, m.after, "frozen"):
        go_on_at_source(w, s)
        return
    if s.is_following:
        own = m.state.places.get(w.catalog.world)
        s.goal = own if own is not None and own.zone == s.destination.zone else s.goal
    state = departure.with_place(m.state, w.catalog.world, s.goal)
    offered = departure.offer(w, s, "handoff", state, m.serial)
    s.serial = max(s.serial, m.serial)
    if offered is None:
        go_on_at_source(w, s)
        return
    s.move(P.COMMITTING, w.now)
    s.commit_op = offered.op_id


def commit_done(w: World, s: Session) -> None:
    """The master has the state: admit at the target as soon as its instance is open (it nearly always is)."""
    s.commit_op = None
    instance = _open_destination(w, s)
    if instance is not None:
        arrival.ask_to_admit(w, s, P.ARRIVING, instance, s.head.state, s.destination)


def arrival_failed(w: World, s: Session) -> None:
    """The target does not answer: it must forget the player before the source goes on."""
    target = s.target
    s.move(P.RETURNING, w.now)
    if target is None or not w.clusters.is_alive(target.cluster, target.incarnation):
        returned(w, s)
        return
    departure.ask_remove(w, s, target)


def returned(w: World, s: Session) -> None:
    """The target has forgotten the player."""
    is_same_spot = (
        s.home is not None
        and s.target is not None
        and (s.here.cluster, s.here.instance) == (s.there.cluster, s.there.instance)
    )
    if is_same_spot:  # a portal within one zone: what was removed was the only entity
        s.home = None
    go_on_at_source(w, s)


def go_on_at_source(w: World, s: Session) -> None:
    """Thaw the player where it was; if that place is gone meanwhile, recover it."""
    _keep_at_source(w, s)
    s.target = s.goal = s.commit_op = None
    s.copy = s.home.instance if s.home is not None else s.copy
    s.no_handoff_until = w.now + PAUSE_S
    if s.home is None or not w.clusters.is_alive(s.here.cluster, s.here.incarnation):
        s.home = None
        w.route(s, "")
        s.move(P.RECOVERING, w.now)
    else:
        thaw(w, s, "" if s.is_following else FAILED)
        s.move(P.PLAYING, w.now)
        arrival.resume_play(w, s)
    s.is_following, s.missed_portal = False, ""  # of the next arrival that portal would be none
    w.log("handoff_failed", "warning", session=str(s.id), place=s.place.zone if s.place else None)
    if s.leave is not None:
        departure.begin(w, s, s.leave)


def _keep_at_source(w: World, s: Session) -> None:
    """A handoff's state that was not sent yet must not move the player; one that was, is soon corrected."""
    waiting = s.head.waiting
    if waiting is not None and waiting.op_id == s.commit_op:
        state = departure.with_place(waiting.state, w.catalog.world, s.place)
        # another write, under an op_id of its own: the journal may have the first, and hand it in later
        s.head.waiting = replace(waiting, op_id=w.new_id(), kind="periodic", state=state)
    s.saved_place = s.goal
    s.place_save_at = w.now


def thaw(w: World, s: Session, text: str = "") -> None:
    """Let the player go on at home. A lost Thaw is repaired when Residents show the player frozen,
    or when the cluster asks again.
    """
    w.to_cluster(
        s.here.cluster, bus.Thaw(session=s.id, text=text, instance=s.here.instance, order=w.new_order())
    )
