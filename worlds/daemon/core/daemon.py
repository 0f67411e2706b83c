"""The core's one way in: which event goes to which part. Owns the order of things within a tick."""

from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from worlds.daemon.core import (
    arrival,
    departure,
    entering,
    gateways,
    handoff,
    leases,
    placement,
    recovery,
    writes,
)
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.effects import Effect, HailAll
from worlds.daemon.core.events import (
    Answered,
    BusBack,
    BusLost,
    CatalogLoaded,
    Event,
    FromBus,
    Recorded,
    SessionsLoaded,
    Stopping,
    Tick,
    Unreachable,
)
from worlds.daemon.core.session import IN_PLAY, PLAYABLE, Failure, Phase, Session
from worlds.daemon.core.state import World
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus

P = Phase
HOUSEKEEPING_S = 1.0


class DaemonCore:
    """The world daemon as a function of its events."""

    def __init__(self, catalog: Catalog, started_at: datetime, first_order: int) -> None:
        """Make an empty world. `first_order`: above every order of an earlier daemon of this world."""
        self.world = World(catalog, started_at, first_order)
        self._housekeeping_at = 0.0

    def handle(self, event: Event, now: float, rng: Random) -> list[Effect]:
        """Take one event; return what is to be done.

        Args: now: seconds, monotonic, never less than before.
        """
        w = self.world
        w.now, w.rng, w.effects = now, rng, []
        match event:
            case FromBus(message):
                self._from_bus(message)
            case Tick():
                self._tick()
            case Answered(call, answer):
                self._answered(call, answer)
            case Recorded(session):
                self._recorded(session)
            case CatalogLoaded(catalog):
                w.catalog = catalog
            case SessionsLoaded(rows):
                recovery.load(w, rows)
                w.emit(HailAll())
            case BusLost():
                w.is_bus_up = False
                w.log("bus_lost", "warning")
            case BusBack():
                self._bus_back()
            case Stopping():
                w.is_stopping = True
        for s in list(w.sessions.values()):
            if s.writer is not None and not s.head.is_idle:
                writes.push(w, s)
        return w.effects

    # ---------------------------------------------------------------- bus

    def _from_bus(self, m: bus.BusMessage) -> None:
        match m:
            case bus.GatewayAlive():
                gateways.hear(self.world, m.gateway, m.incarnation)
            case bus.LinkMessage() | bus.LinkClosed() | bus.LinksOpen():
                self._from_gateway(m)
            case bus.ClusterAlive() | bus.Residents() | bus.InstanceOpened() | bus.Admitted() | bus.Removed():
                if self._is_of_the_living(m.cluster, m.incarnation):
                    self._from_cluster(m)
            case bus.Unknown():
                if self._is_of_the_living(m.cluster, m.incarnation):
                    self._unknown(m)
            case bus.AdmitRefused() | bus.Frozen() | bus.Checkpoint() | bus.PortalEntered():
                self._of_session(m)

    def _from_gateway(self, m: bus.LinkMessage | bus.LinkClosed | bus.LinksOpen) -> None:
        w = self.world
        if not gateways.hear(w, m.gateway, m.incarnation):
            return
        match m:
            case bus.LinkMessage():
                gateways.on_link_message(w, m)
            case bus.LinkClosed():
                gateways.link_closed(w, gateways.LinkRef(m.gateway, m.incarnation, m.link))
            case bus.LinksOpen():
                gateways.on_links_open(w, m)

    def _is_of_the_living(self, name: str, incarnation: int) -> bool:
        """Note the sign of life; whether the message may be believed."""
        w = self.world
        if name not in w.catalog.clusters:
            if name not in w.unknown_clusters and len(w.unknown_clusters) < 100:
                w.unknown_clusters.add(name)
                w.log("unknown_cluster", "warning", cluster=name, advice="add it to the world's clusters")
            return False
        known = w.clusters.by_name.get(name)
        is_news = known is None or not known.is_alive or known.incarnation != incarnation
        is_living, replaced = w.clusters.hear(name, incarnation, w.now)
        if replaced is not None:
            recovery.cluster_lost(w, name, replaced)
        if is_living and is_news:
            w.log("cluster_alive", cluster=name, incarnation=incarnation)
        return is_living

    def _from_cluster(self, m: bus.BusMessage) -> None:
        w = self.world
        match m:
            case bus.ClusterAlive():
                cluster = w.clusters.by_name[m.cluster]
                cluster.instances, cluster.players = frozenset(m.instances), m.players
                cluster.tick_ms, cluster.dilation = m.tick_ms, m.dilation
                placement.on_reported(w, cluster)
            case bus.Residents():
                recovery.on_residents(w, m)
            case bus.InstanceOpened():
                placement.on_opened(w, m)
                for s in list(w.sessions.values()):
                    self._advance(s)
            case bus.Admitted():
                self._admitted(m)
            case bus.Removed():
                self._removed(m)

    def _admitted(self, m: bus.Admitted) -> None:
        w = self.world
        s = w.sessions.get(m.session)
        if s is None:
            return  # a ghost: the next Residents show it
        if s.mint is not None and s.mint.id == m.request:
            arrival.on_minted(w, s, m)
        elif _answers(s, m) and s.phase in (P.ADMITTING, P.ARRIVING, P.READMITTING):
            arrival.settle(w, s, m)

    def _removed(self, m: bus.Removed) -> None:
        w = self.world
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

    def _of_session(self, m: bus.AdmitRefused | bus.Frozen | bus.Checkpoint | bus.PortalEntered) -> None:
        w = self.world
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
            case bus.Frozen() if _answers(s, m) and s.phase is P.FREEZING_OUT:
                departure.save_out(w, s, m.state, m.serial)
            case bus.AdmitRefused() if _answers(s, m):
                self._admit_refused(s, m)

    def _admit_refused(self, s: Session, m: bus.AdmitRefused) -> None:
        w = self.world
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

    def _unknown(self, m: bus.Unknown) -> None:
        """The cluster does not have the player we asked about."""
        w = self.world
        s = w.sessions.get(m.session)
        if s is None or m.request is None or s.home is None or not s.here.is_at(m.cluster, m.incarnation):
            return
        is_asked = s.request is not None and s.request.id == m.request
        if s.mint is not None and s.mint.id == m.request:
            s.mint = None
        if is_asked and s.phase is P.FREEZING:
            s.home = None
            recovery.begin(w, s)
        elif is_asked and s.phase is P.FREEZING_OUT:
            s.home = None
            departure.freeze_missed(w, s)

    def _bus_back(self) -> None:
        w = self.world
        w.is_bus_up = True
        w.clusters.excuse_all(w.now)
        for gateway in w.gateways.values():
            gateway.heard_at = w.now
        w.log("bus_back")
        w.emit(HailAll())

    # ---------------------------------------------------------------- master

    def _answered(self, call: UUID, answer: Any) -> None:
        w = self.world
        self._note_master(answer)
        owner = w.calls.pop(call, None)
        if call in w.renew_calls:
            leases.on_renewed(w, call, answer)
            return
        if call == w.report_call:
            leases.on_reported(w, answer)
            return
        s = w.sessions.get(owner) if owner else None
        if s is not None and s.call == call:
            s.call = None
            self._own_call(s, answer)
        elif isinstance(answer, uplink.Saved) or (
            s is not None and s.writer is not None and s.head.call == call
        ):
            if s is not None:
                writes.on_answer(w, s, call, answer)
                self._advance(s)
        elif isinstance(answer, uplink.Lease):
            self._give_back(answer)

    def _note_master(self, answer: Any) -> None:
        w = self.world
        is_up = not isinstance(answer, Unreachable)
        if is_up != w.is_master_up:
            w.is_master_up = is_up
            if is_up:
                w.log("master_back")
                w.renew_at = w.now
            else:
                w.log("master_unreachable", "warning", cause=answer.cause)

    def _own_call(self, s: Session, answer: Any) -> None:
        w = self.world
        match s.phase, answer:
            case P.REDEEMING, uplink.Admission():
                entering.on_admission(w, s, answer)
            case P.REDEEMING, uplink.Refusal():
                entering.on_ticket_refused(w, s, answer)
            case P.REDEEMING, Unreachable():
                entering.redeem_failed(w, s, answer.cause)
            case P.ACQUIRING, uplink.Lease():
                entering.on_lease(w, s, answer)
            case P.ACQUIRING, uplink.Refusal() if answer.code != "master_fault":
                entering.on_lease_refused(w, s, answer)
            case P.ACQUIRING, _:
                entering.on_lease_unanswered(w, s)
            case P.RESTORING, uplink.Lease():
                recovery.on_lease(w, s, answer)
                recovery.restore(w, s)
            case P.RESTORING, uplink.Refusal() if answer.code not in (
                "master_fault",
                "bad_proof",
                "bad_request",
            ):
                w.log("lease_not_regained", "error", character=str(s.character), cause=answer.detail)
                is_suspended = answer.code == "world_suspended"
                departure.drop(w, s, departure.SUSPENDED if is_suspended else departure.STALE)
            case P.RESTORING, _:
                recovery.on_lease_unanswered(w, s)
            case P.RELEASING, uplink.Released() | uplink.Refusal():
                departure.released(w, s)
            case P.RELEASING, _:
                departure.on_release_unanswered(w, s)

    def _give_back(self, lease: uplink.Lease) -> None:
        """A lease came too late for whoever asked: nobody here plays it."""
        w = self.world
        if not any(s.writer is not None and s.head.line == lease.line for s in w.sessions.values()):
            w.call(None, uplink.Release(line=lease.line, epoch=lease.epoch))

    def _recorded(self, session: UUID) -> None:
        s = self.world.sessions.get(session)
        if s is not None:
            entering.on_recorded(self.world, s)

    # ---------------------------------------------------------------- time

    def _tick(self) -> None:
        w = self.world
        if w.is_bus_up and w.is_loaded:
            for cluster in w.clusters.silent(w.now):
                recovery.cluster_lost(w, cluster.name, cluster.incarnation)
            gateways.silent(w)
        for s in list(w.sessions.values()):
            self._tick_session(s)
        if w.is_loaded:
            leases.renew(w)
            leases.report(w)
        if w.now >= self._housekeeping_at:
            self._housekeeping_at = w.now + HOUSEKEEPING_S
            placement.send_idle_home(w)

    def _tick_session(self, s: Session) -> None:
        w = self.world
        if s.grace_until is not None and w.now >= s.grace_until and s.link is None and s.leave is None:
            departure.begin(w, s, departure.LINK_LOST)
        if s.deadline is not None and w.now >= s.deadline:
            self._overdue(s)
        self._advance(s)
        w.repeat_requests(s)

    def _advance(self, s: Session) -> None:
        """Do what a phase waits for, if it can be done now."""
        w = self.world
        match s.phase:
            case P.QUEUED:
                entering.choose(w, s)
            case P.ACQUIRING:
                entering.repeat_acquire(w, s)
            case P.OPENING:
                entering.open_and_admit(w, s)
            case P.CROSSING:
                handoff.cross(w, s)
            case P.COMMITTING if s.commit_op is None:
                handoff.commit_done(w, s)
            case P.RECOVERING:
                recovery.recover(w, s)
            case P.RESTORING:
                recovery.restore(w, s)
            case P.SAVING_OUT | P.KEEPING if s.head.is_idle:
                departure.release(w, s)
            case P.RELEASING:
                departure.repeat_release(w, s)
        if s.phase in PLAYABLE and s.writer is not None:
            writes.keep_saved(w, s)

    def _overdue(self, s: Session) -> None:
        """A phase has lasted too long: do what DEADLINES says."""
        w = self.world
        w.log("deadline_passed", "warning", session=str(s.id), phase=str(s.phase))
        match s.phase:
            case P.REDEEMING:
                entering.redeem_failed(w, s, "no answer in 10 s")
            case P.WELCOMED:
                departure.begin(w, s, departure.IDLE)
            case P.QUEUED:
                s.failure = Failure("not_now", "The character is still leaving.", entering.TRY_AGAIN)
                departure.back_to_choice(w, s)
            case P.ACQUIRING:
                entering.acquire_failed(w, s)
            case P.RECORDING:
                departure.abort_entry(w, s, entering.no_zone("The world's database does not answer."))
            case P.OPENING:
                departure.abort_entry(w, s, entering.no_zone("The zone did not open."))
            case P.ADMITTING:
                departure.withdraw(w, s, entering.no_zone("The zone did not answer."))
            case P.CROSSING | P.FREEZING | P.COMMITTING:
                handoff.go_on_at_source(w, s)
            case P.ARRIVING:
                handoff.arrival_failed(w, s)
            case P.RETURNING:
                handoff.returned(w, s)
            case P.RECOVERING:
                departure.begin(w, s, departure.NO_CLUSTER)
            case P.READMITTING:
                recovery.again(w, s)
            case P.RESTORING:
                departure.drop(w, s, departure.STALE)
            case P.FREEZING_OUT:
                departure.freeze_missed(w, s)
            case P.SAVING_OUT:
                departure.keep(w, s)
            case P.KEEPING:
                w.log("final_state_given_up", "error", session=str(s.id), character=str(s.character))
                departure.drop(w, s, departure.STALE)
            case P.RELEASING:
                departure.released(w, s)
            case P.REMOVING:
                departure.end(w, s)
            case P.WITHDRAWING:
                departure.withdrawn(w, s)

    @property
    def is_quiet(self) -> bool:
        """Whether no write is outstanding or waiting."""
        return all(s.writer is None or s.head.is_idle for s in self.world.sessions.values())

    @property
    def players(self) -> int:
        """How many sessions are in play."""
        return sum(s.phase in IN_PLAY for s in self.world.sessions.values())


def _answers(s: Session, m: bus.Admitted | bus.AdmitRefused | bus.Frozen) -> bool:
    """Whether a message answers the request that the session waits for."""
    return s.request is not None and s.request.id == m.request and s.request.cluster == m.cluster
