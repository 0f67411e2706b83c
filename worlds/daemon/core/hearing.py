"""What gateways and clusters say: which message goes to which part."""

from worlds.daemon.core import (
    arrival,
    costs,
    departure,
    entering,
    exchanges,
    gateways,
    handlers,
    handoff,
    moves,
    pausing,
    placement,
    poison,
    recovery,
    steps,
    supervision,
    writes,
)
from worlds.daemon.core.effects import HailAll
from worlds.daemon.core.session import Phase, Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus

P = Phase


def from_bus(w: World, m: bus.BusMessage) -> None:
    """Take a message of a gateway or cluster."""
    match m:
        case bus.GatewayAlive():
            gateways.hear(w, m.gateway, m.incarnation)
        case bus.LinkMessage() | bus.LinkClosed() | bus.LinksOpen():
            _from_gateway(w, m)
        case bus.ClusterAlive() | bus.Residents() | bus.InstanceOpened() | bus.Admitted() | bus.Removed():
            if _is_of_the_living(w, m.cluster, m.incarnation):
                _from_cluster(w, m)
        case bus.InstanceExported() | bus.InstanceImported():
            if _is_of_the_living(w, m.cluster, m.incarnation):
                _from_cluster(w, m)
        case bus.Unknown():
            if _is_of_the_living(w, m.cluster, m.incarnation):
                _unknown(w, m)
        case bus.Poisoned():
            if _is_of_the_living(w, m.cluster, m.incarnation):
                poison.on_poisoned(w, m)
        case bus.HandlerSlow():
            if _is_of_the_living(w, m.cluster, m.incarnation):
                handlers.on_slow(w, m)
        case bus.Held():
            exchanges.on_held(w, m)
        case bus.Settled():
            exchanges.on_settled(w, m)
        case bus.AdmitRefused() | bus.Frozen() | bus.Checkpoint() | bus.PortalEntered():
            _of_session(w, m)


def _from_gateway(w: World, m: bus.LinkMessage | bus.LinkClosed | bus.LinksOpen) -> None:
    if not gateways.hear(w, m.gateway, m.incarnation):
        return
    match m:
        case bus.LinkMessage():
            gateways.on_link_message(w, m)
        case bus.LinkClosed():
            gateways.link_closed(w, gateways.LinkRef(m.gateway, m.incarnation, m.link))
        case bus.LinksOpen():
            gateways.on_links_open(w, m)


def _is_of_the_living(w: World, name: str, incarnation: int) -> bool:
    """Note the sign of life; whether the message may be believed."""
    if name not in w.catalog.clusters:
        if name not in w.unknown_clusters and len(w.unknown_clusters) < 100:
            w.unknown_clusters.add(name)
            w.log("unknown_cluster", "warning", cluster=name, advice="add it to the world's clusters")
        return False
    if not supervision.is_right(w, name, incarnation):
        return False
    known = w.clusters.by_name.get(name)
    is_news = known is None or not known.is_alive or known.incarnation != incarnation
    is_living, replaced = w.clusters.hear(name, incarnation, w.now)
    if replaced is not None:
        recovery.cluster_lost(w, name, replaced)
    if is_living and is_news:
        w.log("cluster_alive", cluster=name, incarnation=incarnation)
    return is_living


def _from_cluster(w: World, m: bus.BusMessage) -> None:
    match m:
        case bus.ClusterAlive():
            cluster = w.clusters.by_name[m.cluster]
            cluster.instances, cluster.players = frozenset(m.instances), m.players
            cluster.vacant, cluster.exported = frozenset(m.vacant), frozenset(m.exported)
            cluster.tick_ms, cluster.dilation = m.tick_ms, m.dilation
            cluster.figures, cluster.metrics = m.figures, m.metrics
            if m.door:
                cluster.door, cluster.door_at = m.door, w.now
            costs.on_alive(w, m)
            handlers.on_alive(w, m)
            placement.on_reported(w, cluster)
            moves.on_reported(w, cluster)
        case bus.Residents():
            recovery.on_residents(w, m)
        case bus.InstanceOpened():
            if not moves.on_opened(w, m):
                placement.on_opened(w, m)
            for s in list(w.sessions.values()):
                steps.advance(w, s)
        case bus.Admitted():
            _admitted(w, m)
        case bus.Removed():
            _removed(w, m)
        case bus.InstanceExported():
            moves.on_exported(w, m)
        case bus.InstanceImported():
            moves.on_imported(w, m)


def _admitted(w: World, m: bus.Admitted) -> None:
    s = w.sessions.get(m.session)
    if s is None:
        return  # a ghost: the next Residents show it
    if s.mint is not None and s.mint.id == m.request:
        arrival.on_minted(w, s, m)
    elif _answers(s, m) and s.phase in (P.ADMITTING, P.ARRIVING, P.READMITTING):
        arrival.settle(w, s, m)
        handoff.go_on_into_portal(w, s)


def _removed(w: World, m: bus.Removed) -> None:
    s = w.sessions.get(m.session)
    if s is None or s.request is None or not isinstance(s.request.message, bus.Remove):
        return
    if s.request.cluster != m.cluster or s.request.message.order != m.order:
        return
    match s.phase:
        case P.RETURNING:
            handoff.returned(w, s)
        case P.WITHDRAWING:
            departure.withdrawn(w, s)
        case P.REMOVING:
            departure.end(w, s)


def _of_session(w: World, m: bus.AdmitRefused | bus.Frozen | bus.Checkpoint | bus.PortalEntered) -> None:
    s = w.sessions.get(m.session)
    if s is None:
        return
    match m:
        case bus.Checkpoint():
            writes.on_checkpoint(w, s, m)
        case bus.PortalEntered():
            handoff.on_portal(w, s, m)
        case bus.Frozen() if _answers(s, m) and s.phase is P.FREEZING:
            handoff.on_frozen(w, s, m)
        case bus.Frozen() if _answers(s, m) and s.phase is P.PAUSING:
            pausing.on_frozen(w, s, m)
        case bus.Frozen() if _answers(s, m) and s.phase is P.FREEZING_OUT:
            departure.on_frozen(w, s, m)
        case bus.AdmitRefused() if _answers(s, m):
            _admit_refused(w, s, m)


def _admit_refused(w: World, s: Session, m: bus.AdmitRefused) -> None:
    w.log("admit_refused", "warning", session=str(s.id), cluster=m.cluster, cause=m.reason)
    match s.phase:
        case P.ADMITTING:
            departure.abort_entry(w, s, entering.no_zone(f"The zone did not let you in: {m.reason}."))
        case P.ARRIVING:
            s.move(P.RETURNING, w.now)
            s.target = None
            handoff.returned(w, s)
        case P.READMITTING:
            recovery.again(w, s)


def _unknown(w: World, m: bus.Unknown) -> None:
    """The cluster does not have the player we asked about."""
    s = w.sessions.get(m.session)
    if s is None or m.request is None or s.home is None or not s.here.is_at(m.cluster, m.incarnation):
        return
    is_asked = s.request is not None and s.request.id == m.request
    if s.mint is not None and s.mint.id == m.request:
        s.mint = None
    if is_asked and s.phase in (P.FREEZING, P.PAUSING):
        s.home = None
        recovery.begin(w, s)
    elif is_asked and s.phase is P.FREEZING_OUT:
        s.home = None
        departure.freeze_missed(w, s)


def bus_back(w: World) -> None:
    """Our own messages come back to us again."""
    w.is_bus_up = True
    _excuse_all(w)
    w.log("bus_back")
    w.emit(HailAll())


def woke(w: World) -> None:
    """This process was stopped for a while, and goes on."""
    w.woke_at = w.now
    _excuse_all(w)


def _excuse_all(w: World) -> None:
    """Nobody was heard, and that means nothing."""
    w.clusters.excuse_all(w.now)
    for gateway in w.gateways.values():
        gateway.heard_at = w.now


def _answers(s: Session, m: bus.Admitted | bus.AdmitRefused | bus.Frozen) -> bool:
    """Whether a message answers the request that the session waits for."""
    return s.request is not None and s.request.id == m.request and s.request.cluster == m.cluster
