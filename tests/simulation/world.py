"""One world of the simulation: the real core of the daemon, its clusters, its gateway, its bus and its rows.

The daemon's clock is its own: another start, and a little faster or slower than the master's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from tests.model_cluster import Entity
from tests.model_gateway import Gateway
from tests.simulation import trouble, watch
from tests.simulation.cluster import Cluster
from tests.simulation.disk import Disk
from tests.simulation.goods import KINDS
from tests.simulation.ledger import Life
from tests.simulation.promises import Violation
from worlds.daemon.core.catalog import Catalog, ClusterInfo, LinkInfo, ZoneInfo
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import (
    Call,
    CloseSession,
    HailAll,
    Journal,
    LoadReceipts,
    Log,
    ProbeJournal,
    RecordSession,
    SendToCluster,
    SendToGateway,
    SessionRow,
    SetAside,
    StoreExchange,
    StoreHead,
    StoreReceipt,
    StoreTokens,
    UpdateSession,
)
from worlds.daemon.core.events import (
    Answered,
    FromBus,
    JournalLoaded,
    OpenSession,
    ReceiptsLoaded,
    Recorded,
    SessionsLoaded,
    Tick,
)
from worlds.daemon.core.saving import ExchangeUnanswered
from worlds.daemon.core.session import IllegalMove, Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.to_client import Goodbye

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

# How often the daemon looks at the clock: while something is under way; while all play; without players.
TICK_S, QUIET_TICK_S, EMPTY_TICK_S = 0.3, 1.5, 4.0
BEAT_S, EMPTY_BEAT_S = 1.0, 2.0  # of the gateway
REQUEST_FAULTS = ("request_late", "request_lost", "request_doubled", "answer_lost", "answer_doubled")
SLOW_S, LATE_S = 3.0, 90.0
CLUSTERS = ("east", "west")
LOG_KEPT = 400


def catalog_of(world: str) -> Catalog:
    """Three zones on two clusters; ways across clusters and within one."""
    zones, links = {}, {}
    for number, (slug, cluster) in enumerate([("a", "east"), ("b", "east"), ("c", "west")], 1):
        entry = Place(zone=slug, position=(50.0, 50.0, 0.0))
        zones[slug] = ZoneInfo(number, slug, slug.upper(), 100.0, entry, cluster, is_entry=number == 1)
    for source, target in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c"), ("c", "b")]:
        arrival = Place(zone=target, position=(10.0, 10.0, 0.0))
        links[(source, f"to-{target}")] = LinkInfo(source, f"to-{target}", arrival)
    clusters = {name: ClusterInfo(name, 100) for name in CLUSTERS}
    return Catalog(world, "Welcome.", 100, "ws://127.0.0.1:1/", zones, links, clusters, kinds=KINDS)


class SimulatedWorld:
    """A world and everything that runs on its machines."""

    def __init__(self, sim: Simulation, slug: str, tier: str) -> None:
        self.sim, self.slug, self.tier = sim, slug, tier
        self.rng = Random(f"{sim.seed} {slug}")
        self.core_rng = Random(f"{sim.seed} core {slug}")
        self.catalog = catalog_of(slug)
        self.clock_start, self.clock_rate = self.rng.uniform(0, 1e6), self.rng.uniform(0.97, 1.03)
        self.rows: dict[UUID, OpenSession] = {}
        self.leases: dict[UUID, tuple[UUID, int]] = {}  # session → line and epoch, as this process has them
        self.asked: dict[UUID, object] = {}  # of the master, by call
        self.exchanges: set[UUID] = set()  # that are looked at
        self.generation = 0
        self.core: DaemonCore | None = None
        self.paused_until = -1.0
        self.held: list[object] = []
        self.is_restored = False
        self.tick_at = 0.0
        chaos = sim.chaos
        self.bus = chaos.dice(slug, ("bus_lost", "bus_doubled", "bus_slow", "bus_late"))
        self.requests = chaos.dice(slug, REQUEST_FAULTS)
        self.disk = Disk(self)
        self.receipts: dict[tuple[UUID, int], uplink.OfferedVersion] = {}
        self.unsaved_since: dict[UUID, float] = {}  # session → since when it was seen in play and unsaved
        self.refused_since: dict[UUID, float] = {}  # line → since when this process is told no
        self.refusing_until = -1.0  # the master takes nothing of this world: a revoked key, a wrong clock
        self.lost: set[tuple[object, object]] = set()  # processes that a daemon took for dead, by incarnation
        self.woke_at = 0.0  # since when this process runs without a pause
        self.processes = 0
        self.clusters: dict[str, Cluster | None] = {}
        self.open_gateway()
        for name in CLUSTERS:
            self.start_cluster(name)
        self.start_daemon(0)
        trouble.begin(self)

    @property
    def life(self) -> Life:
        """Which process of this world's daemon runs."""
        return self.slug, self.generation

    def clock(self) -> float:
        return self.clock_start + self.sim.now * self.clock_rate

    def entity_of(self, token: bytes) -> tuple[Cluster, Entity] | None:
        """Return the entity that a connect token leads to, and its process, if both still stand."""
        entities = ((c, e) for c in self.clusters.values() if c is not None for e in c.entities.values())
        return next(((cluster, entity) for cluster, entity in entities if entity.token == token), None)

    # ---------------------------------------------------------------- bus

    def carry(self, deliver: Callable[..., object], *args: object) -> None:
        """The bus: loses, doubles, delays."""
        delay, struck = 0.001 + 0.02 * self.rng.random(), self.bus.roll()
        if struck is None:
            self.sim.after(delay, deliver, *args)
            return
        slow = SLOW_S * struck.get("bus_slow", 0.0) + LATE_S * struck.get("bus_late", 0.0)
        if "bus_lost" not in struck:
            self.sim.late(delay + slow, deliver, *args)
        if (force := struck.get("bus_doubled")) is not None:
            self.sim.late(delay + (SLOW_S * force if force < 0.9 else LATE_S * force), deliver, *args)

    def to_daemon(self, message: bus.BusMessage) -> None:
        self.carry(self.feed, FromBus(message))

    def to_cluster(self, name: str, message: bus.BusMessage) -> None:
        """A message is at a cluster, if it lives."""
        cluster = self.clusters.get(name)
        if cluster is not None:
            cluster.take(message)

    def to_gateway(self, message: bus.BusMessage) -> None:
        """A message is at the gateway that runs now."""
        self.gateway.take(message)

    # ---------------------------------------------------------------- processes

    def open_gateway(self) -> None:
        self.gateway = Gateway(self.to_daemon, self.sim.rng, self.rng.getrandbits(60))
        self.beat(self.gateway, 0)

    def beat(self, gateway: Gateway, turn: int) -> None:
        """A gateway says that it lives."""
        if gateway is self.gateway:
            if turn % 5 == 4:
                gateway.announce()
            else:
                self.to_daemon(bus.GatewayAlive("g", gateway.incarnation))
            self.sim.after(BEAT_S if gateway.players else EMPTY_BEAT_S, self.beat, gateway, turn + 1)

    def start_cluster(self, name: str) -> None:
        self.processes += 1
        cluster = Cluster(self, name, self.rng.getrandbits(60), self.processes)
        self.clusters[name] = cluster
        cluster.announce()
        cluster.beat()

    def kill_cluster(self, name: str, seconds: float) -> None:
        """Kill a cluster's process, if it runs; another one starts after so many seconds."""
        if self.clusters.get(name) is not None:
            self.clusters[name] = None
            self.sim.after(seconds, self.start_cluster, name)

    def kill_daemon(self, seconds: float) -> None:
        self.core, self.held, self.is_restored, self.paused_until = None, [], False, -1.0
        self.leases.clear()
        self.asked.clear()
        self.refused_since.clear()
        self.disk.tear()
        self.sim.after(seconds, self.start_daemon, self.generation)

    def start_daemon(self, generation: int) -> None:
        """Start a daemon, if none has been started since that generation."""
        if generation != self.generation:
            return
        self.generation += 1
        self.woke_at = self.sim.now
        self.core = DaemonCore(self.catalog, datetime(2026, 11, 23, tzinfo=UTC), self.generation << 40)
        self.feed(JournalLoaded(list(self.disk.read())))
        self.feed(SessionsLoaded(sorted(self.rows.values(), key=lambda row: row.id)))
        self.tick_in(TICK_S)

    def pause_daemon(self, seconds: float) -> None:
        self.paused_until = self.sim.now + seconds
        self.sim.after(seconds, self.resume_daemon)

    def resume_daemon(self) -> None:
        """After a pause everything comes at once, the time-outs of the uplink among the first."""
        if self.sim.now < self.paused_until or self.paused_until < 0:
            return  # paused again meanwhile, for longer; or killed
        held, self.held, self.paused_until = self.held, [], -1.0
        self.woke_at = self.sim.now
        self.rng.shuffle(held)
        for event in held:
            self.feed(event)

    # ---------------------------------------------------------------- time

    def tick_in(self, seconds: float) -> None:
        self.tick_at = self.sim.now + seconds
        self.sim.after(seconds, self.tick, self.tick_at)

    def tick(self, instant: float) -> None:
        """Let the daemon look at the time, if this is still when it was to."""
        if instant != self.tick_at or self.core is None:
            return
        self.feed(Tick())
        if not self.core.world.sessions and not self.core.world.replays:
            self.tick_in(EMPTY_TICK_S)
        else:
            self.tick_in(TICK_S if self.is_busy() else QUIET_TICK_S)

    def is_used(self) -> bool:
        """Whether anybody is in the world, or on the way."""
        return bool(self.gateway.players or self.rows or (self.core is not None and self.core.world.sessions))

    def is_busy(self) -> bool:
        """Whether the daemon has something under way that time changes."""
        if self.core is None:
            return False
        w = self.core.world
        if w.replays or w.exchanges:
            return True
        for s in w.sessions.values():
            if s.phase is not Phase.PLAYING or s.mint is not None or not s.head.is_idle:
                return True
        return False

    # ---------------------------------------------------------------- the daemon

    def feed(self, event: object) -> None:
        """Give an event to the daemon's core and carry out what it asks for."""
        if self.core is None:
            return
        if self.sim.now < self.paused_until:
            if not isinstance(event, Tick):
                self.held.append(event)
            return
        if isinstance(event, Answered):
            watch.answered(self, event.call, event.answer)
        try:
            effects = self.core.handle(event, self.clock(), self.core_rng)
        except (IllegalMove, ExchangeUnanswered) as error:
            raise Violation("move", f"{self.slug}: {error}") from error
        if self.core.world.exchanges:
            watch.note_exchanges(self)
        for effect in effects:
            self.carry_out(effect)
        if isinstance(event, Tick):
            watch.check_deadlines(self)
        elif effects and self.tick_at > self.sim.now + TICK_S and self.is_busy():
            self.tick_in(TICK_S)

    def carry_out(self, effect: object) -> None:
        match effect:
            case SendToGateway(_, message):
                if isinstance(message, bus.ToLinks) and isinstance(message.message, Goodbye):
                    watch.check_goodbye(self, message.links, message.message)
                self.carry(self.to_gateway, message)
            case SendToCluster(name, message):
                if isinstance(message, bus.Admit):
                    watch.check_admit(self, message)
                elif isinstance(message, bus.Remove):
                    watch.check_remove(self, name, message)
                self.carry(self.to_cluster, name, message)
            case HailAll():
                for name in CLUSTERS:
                    self.carry(self.to_cluster, name, bus.Hail(self.slug))
                self.carry(self.to_gateway, bus.Hail(self.slug))
            case Call():
                self.sim.master.call(self, effect)
            case RecordSession(row):
                self.leases[row.id] = (row.line, row.epoch)
                self.sim.after(0.01, self.record, row, self.generation)
            case UpdateSession(row):
                self.leases[row.id] = (row.line, row.epoch)
                if row.id in self.rows:
                    stay = max(row.stay, self.rows[row.id].stay)
                    self.rows[row.id] = open_session(replace(row, stay=stay))
            case StoreTokens(session, newest, proven):
                if session in self.rows:
                    tokens = {"resume_digest": newest, "proven_digest": proven}
                    self.rows[session] = replace(self.rows[session], **tokens)
            case CloseSession(session, _):
                self.rows.pop(session, None)
            case Journal(_, write):
                self.sim.ledger.offered.setdefault(write.save.op_id, self.life)
                self.disk.take(effect)
            case LoadReceipts(incarnation, _, after):
                versions = [self.receipts[key] for key in sorted(self.receipts)]
                page = ReceiptsLoaded(incarnation, after, versions, None, is_last=True)
                self.sim.after(0.05, self.feed, page)
            case ProbeJournal() | SetAside():
                self.disk.take(effect)
            case StoreReceipt():
                self.store(effect)
            case StoreExchange(receipts):
                for each in receipts:
                    self.store(each)
            case StoreHead(line, version, receipt, state, kind):
                self.receipts.setdefault((line, version), uplink.OfferedVersion(receipt, kind, state))
            case Log(event, _, fields):
                self.note(event, fields)

    def store(self, effect: StoreReceipt) -> None:
        offered = uplink.OfferedVersion(effect.receipt, effect.kind, effect.state)
        self.receipts[(effect.line, effect.version)] = offered
        self.disk.finish(effect.line, effect.version)

    def record(self, row: SessionRow, generation: int) -> None:
        if generation == self.generation and self.core is not None:
            for other in [one.id for one in self.rows.values() if one.character == row.character]:
                del self.rows[other]  # superseded, as rows.py has it
            self.rows[row.id] = open_session(row)
            self.feed(Recorded(row.id))
            session = self.core.world.sessions.get(row.id) if self.core is not None else None
            if session is None or not session.is_recorded:
                self.rows.pop(row.id, None)  # closed meanwhile: the shell writes in order

    def note(self, event: str, fields: dict[str, object]) -> None:
        """Look at a line of the daemon's log."""
        self.sim.counts[event] += 1
        if self.sim.trace is not None:
            text = " ".join(f"{key}={str(value)[:40]}" for key, value in fields.items())
            self.sim.trace.append(f"{self.sim.now:8.2f} {self.slug}: {event} {text}")
        watch.check_log(self, event, fields)


def open_session(row: SessionRow) -> OpenSession:
    """Return what a restarted daemon reads of a row."""
    return OpenSession(
        row.id, row.account, row.admission, row.character, row.name, row.edition, row.line, row.epoch,
        row.zone, row.cluster, row.resume_digest, row.stay, row.has_gap, row.limits,
        row.proven_digest,
    )  # fmt: skip
