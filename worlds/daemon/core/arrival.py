"""Into an instance: ask a cluster to admit, take its answer, tell the client where its zone link leads."""

from dataclasses import replace

from worlds.daemon.core import alliances, departure, maintenance, muting, skies, standing, trades, withholding
from worlds.daemon.core.clusters import Instance
from worlds.daemon.core.session import ClusterRequest, Phase, Session, Stay
from worlds.daemon.core.state import REPEAT_S, World
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place
from zonecluster.protocol.to_client import Entered, ZoneAssigned

CHECKPOINT_S = 30.0  # how often durable changes are saved
MINT_TIMEOUT_S = 10.0  # after that the client asks again by itself
PLACE_SAVE_S = 60.0  # how often the place alone is saved: Residents keep it to the second in memory


def ask_to_admit(
    w: World, s: Session, phase: Phase, instance: Instance, state: CharacterState, place: Place
) -> None:
    """Ask the instance's cluster to take the player; repeated until it answers or the phase ends.

    Args: state: what the master has accepted, or (READMITTING while it is down) what it has been asked to.
    """
    s.move(phase, w.now)
    s.goal = place
    s.target = Stay(instance.cluster, instance.incarnation, instance.number, w.new_order())
    request = w.new_id()
    message = bus.Admit(
        session=s.id,
        request=request,
        instance=instance.number,
        character=s.chosen,
        name=s.name,
        state=departure.with_place(state, w.catalog.world, place),
        gateway=s.link.gateway if s.link else "",
        link=s.link.link if s.link else None,
        order=s.there.order,
        incarnation=instance.incarnation,
        after=s.head.after,
        line=s.line_kind,
        level_cap=s.limits.level_cap,
    )
    w.ask(s, s.target, message, request)


def settle(w: World, s: Session, m: bus.Admitted) -> None:
    """The cluster has the player: this is home now, and the old one may forget the player."""
    old = s.home
    s.move(Phase.PLAYING, w.now)
    s.home, s.target = replace(s.there, entity=m.entity), None
    s.place, s.mint, s.arrival = s.goal, None, 0
    s.copy, s.is_following = s.here.instance, False
    s.is_dirty, s.serial, s.misses, s.is_unsettled = False, 0, 0, False
    s.checkpoint_at = w.now + CHECKPOINT_S * (0.5 + w.rng.random())  # spread, so that saves come evenly
    s.place_save_at = w.now + PLACE_SAVE_S
    attach(w, s)  # the link may be another than when the cluster was asked
    if s.is_withheld:
        withholding.order(w, s)
    if s.alliance:
        alliances.order(w, s)
    if s.mute is not None:
        muting.order(w, s)
    w.route(s, s.here.cluster)
    tell_entered(w, s)
    tell_zone(w, s, m)
    if old is not None and (old.cluster, old.instance) != (s.here.cluster, s.here.instance):
        w.to_cluster(old.cluster, bus.Remove(session=s.id, instance=old.instance, order=w.new_order()))
    w.update_row(s)
    if s.leave is not None:
        departure.begin(w, s, s.leave)


def tell_entered(w: World, s: Session) -> None:
    """Say once per link that the character is in the world."""
    if s.link is not None and not s.has_entered:
        s.has_entered = True
        w.to_link(s.link, Entered(character=s.chosen, name=s.name, line=s.line_kind))
        standing.tell_line(w, s)
        if s.alliance:
            alliances.tell(w, s)
        trades.tell(w, s)
        if s.is_operator:
            maintenance.tell_operator(w, s)


def tell_zone(w: World, s: Session, m: bus.Admitted) -> None:
    """Hand the client its connect token."""
    zone = w.catalog.zone_of_instance(s.here.instance)
    if zone is None:
        w.log("zone_left_the_catalog", "error", session=str(s.id), instance=s.here.instance)
        return
    message = ZoneAssigned(
        zone=zone.slug,
        zone_name=zone.name,
        instance=s.here.instance,
        entity=m.entity,
        size=zone.size,
        connect_token=m.connect_token,
    )
    w.to_link(s.link, message)
    skies.tell(w, s)


def attach(w: World, s: Session) -> None:
    """Tell the cluster which link carries the player's events."""
    if s.home is not None:
        gateway, link = (s.link.gateway, s.link.link) if s.link else ("", None)
        w.to_cluster(s.here.cluster, bus.Attach(session=s.id, gateway=gateway, link=link))


def mint(w: World, s: Session) -> None:
    """Ask for a fresh connect token; Admitted brings it."""
    if s.home is None:
        return
    request = w.new_id()
    message = bus.MintToken(session=s.id, request=request)
    s.mint = ClusterRequest(
        s.here.cluster, s.here.incarnation, request, message, w.now + REPEAT_S, w.now + MINT_TIMEOUT_S
    )
    w.to_cluster(s.here.cluster, message)


def resume_play(w: World, s: Session) -> None:
    """The player goes on at home, perhaps on another link than before."""
    attach(w, s)
    w.route(s, s.here.cluster)
    if s.link is not None and not s.has_entered:
        tell_entered(w, s)
        mint(w, s)


def on_minted(w: World, s: Session, m: bus.Admitted) -> None:
    """Pass the fresh token on, if the player is still where it was minted."""
    s.mint = None
    if s.home is not None and s.here.is_at(m.cluster, m.incarnation):
        s.home = replace(s.here, entity=m.entity)
        tell_entered(w, s)
        tell_zone(w, s, m)
