"""One world of the simulation: the real core of the daemon, its clusters, its gateway, its bus and its rows.

The daemon's clock is its own: another start, and a little faster or slower than the master's.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from tests.model_cluster import Entity
from tests.model_gateway import Gateway
from tests.simulation.cluster import Cluster
from tests.simulation.disk import Disk
from tests.simulation.ledger import Gains, Life, Violation, gains_of, has_all
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
    StoreReceipt,
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
    Unreachable,
)
from worlds.daemon.core.session import PLAYABLE, IllegalMove, Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.to_client import Goodbye

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

SLACK_S = 1.1  # deadlines are looked at once per tick, and ticks are coarse when all is calm
WITHHOLD_S = 5.0 + 12.0  # rule 9, and how long news may take on a bus that loses
PUT_OUT_S = (110.0, 128.0)  # not earlier, not later: two minutes, by clocks that are wrong
LONG_S, SHORT_S = (125.0, 200.0), (0.5, 8.0)
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
    return Catalog(world, "Welcome.", 100, "ws://127.0.0.1:1/", zones, links, clusters)


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
        self.generation = 0
        self.core: DaemonCore | None = None
        self.reborn_at = 0.0
        self.paused_until = -1.0
        self.held: list[object] = []
        self.is_restored = False
        self.snapshot: tuple[int, object, bytes] | None = None
        self.disk = Disk(self)
        self.receipts: dict[tuple[UUID, int], uplink.OfferedVersion] = {}
        self.unsaved_since: dict[UUID, float] = {}  # session → since when it was seen in play and unsaved
        self.refused_since: dict[UUID, float] = {}  # line → since when this process is told no
        self.refusing_until = -1.0  # the master takes nothing of this world: a revoked key, a wrong clock
        self.woke_at = 0.0  # since when this process runs without a pause
        self.processes = 0
        self.clusters: dict[str, Cluster | None] = {}
        self.cluster_reborn_at: dict[str, float] = dict.fromkeys(CLUSTERS, 0.0)
        self.gateway = Gateway(self.to_daemon, self.sim.rng, self.rng.getrandbits(60))

    @property
    def life(self) -> Life:
        """Which process of this world's daemon runs."""
        return self.slug, self.generation

    def clock(self) -> float:
        return self.clock_start + self.sim.now * self.clock_rate

    def entity_of(self, token: bytes) -> Entity | None:
        """Return the entity that a connect token leads to, if it still stands."""
        entities = (e for c in self.clusters.values() if c is not None for e in c.entities.values())
        return next((entity for entity in entities if entity.token == token), None)

    # ---------------------------------------------------------------- bus

    def carry(self, deliver: Callable[[], None]) -> None:
        """The bus: loses, doubles, delays."""
        strikes, now = self.sim.chaos.strikes, self.sim.now
        if strikes("bus_lost", self.slug, now) is None:
            self.sim.after(self._delay(), deliver)
        if strikes("bus_doubled", self.slug, now) is not None:
            self.sim.after(self._delay(), deliver)

    def _delay(self) -> float:
        strikes, now = self.sim.chaos.strikes, self.sim.now
        delay = 0.001 + 0.02 * self.rng.random()
        if (force := strikes("bus_slow", self.slug, now)) is not None:
            delay += 3.0 * force
        if (force := strikes("bus_late", self.slug, now)) is not None:
            delay += 90.0 * force
        return delay

    def to_daemon(self, message: bus.BusMessage) -> None:
        self.carry(lambda: self.feed(FromBus(message)))

    # ---------------------------------------------------------------- time

    def step(self, seconds: float) -> None:
        """Let everything on this world's machines live for a step."""
        for name, cluster in self.clusters.items():
            if cluster is not None and self.sim.now >= cluster.paused_until:
                cluster.live(self.rng, seconds)
                if self.sim.is_time(0.5):
                    cluster.say_alive()
                if self.sim.is_time(1.0):
                    cluster.announce()
                self.trouble_cluster(cluster, name, seconds)
        for name, at in list(self.cluster_reborn_at.items()):
            if self.sim.now >= at:
                del self.cluster_reborn_at[name]
                self.processes += 1
                self.clusters[name] = Cluster(self, name, self.rng.getrandbits(60), self.processes)
                self.clusters[name].announce()
        if self.sim.is_time(1.0):
            self.to_daemon(bus.GatewayAlive("g", self.gateway.incarnation))
        if self.sim.is_time(5.0):
            self.gateway.announce()
        self.trouble_daemon(seconds)
        if self.core is None and self.sim.now >= self.reborn_at:
            self.start_daemon()
        if self.held and self.sim.now >= self.paused_until:
            self.resume_daemon()
        self.feed(Tick())

    # ---------------------------------------------------------------- deaths

    def trouble_cluster(self, cluster: Cluster, name: str, seconds: float) -> None:
        strikes, now, place = self.sim.chaos.strikes, self.sim.now, f"{self.slug}/{name}"
        if (force := strikes("cluster_pause", place, now, seconds)) is not None:
            cluster.paused_until = now + (SHORT_S[1] * force if force < 0.75 else LONG_S[1] * force)
        if (force := strikes("cluster_death", place, now, seconds)) is not None:
            self.clusters[name] = None
            self.cluster_reborn_at[name] = now + 0.5 + 6 * force

    def trouble_daemon(self, seconds: float) -> None:
        strikes, now = self.sim.chaos.strikes, self.sim.now
        if strikes("gateway_death", self.slug, now, seconds) is not None:
            for player in self.gateway.players.values():
                player.link = None
            self.gateway = Gateway(self.to_daemon, self.sim.rng, self.rng.getrandbits(60))
        if self.core is None or now < self.paused_until:
            return
        if (force := strikes("disk_full", self.slug, now, seconds)) is not None:
            length = 20 * force if force < 0.5 else 240 * force
            self.disk.full_until = max(self.disk.full_until, now + length)
        if (force := strikes("refusal", self.slug, now, seconds)) is not None:
            length = 20 * force if force < 0.5 else 240 * force
            self.refusing_until = max(self.refusing_until, now + length)
        if (force := strikes("daemon_pause", self.slug, now, seconds)) is not None:
            self.paused_until = now + (SHORT_S[1] * force if force < 0.67 else LONG_S[1] * force)
        if (force := strikes("daemon_death", self.slug, now, seconds)) is not None:
            if self.is_restored:
                self.end_restored()
            else:
                self.kill_daemon(1 + 5 * force)
        elif (force := strikes("daemon_restored", self.slug, now, seconds)) is not None:
            self.restore_daemon(force)
        elif self.sim.chaos.faults.daemon_restored and self.sim.is_time(10.0) and self.core is not None:
            self.snapshot = (self.generation, deepcopy(self.core.world), self.disk.snapshot())

    def kill_daemon(self, seconds: float) -> None:
        self.core, self.held, self.is_restored, self.paused_until = None, [], False, -1.0
        self.leases.clear()
        self.refused_since.clear()
        self.disk.tear()
        self.reborn_at = self.sim.now + seconds

    def start_daemon(self) -> None:
        self.generation += 1
        self.woke_at = self.sim.now
        self.core = DaemonCore(self.catalog, datetime(2026, 11, 23, tzinfo=UTC), self.generation << 40)
        self.feed(JournalLoaded(list(self.disk.read())))
        self.feed(SessionsLoaded(sorted(self.rows.values(), key=lambda row: row.id)))

    def restore_daemon(self, force: float) -> None:
        """The machine goes back to a snapshot, its database does not.

        People notice it within a minute, and start the whole world again: clusters may have been told to
        admit players with states of the snapshot, and a daemon that comes later cannot see that.
        """
        if self.snapshot is None or self.snapshot[0] != self.generation or self.core is None:
            return
        self.core.world = deepcopy(self.snapshot[1])
        self.disk.restore(self.snapshot[2])
        self.is_restored = True
        self.sim.ledger.excused.add(self.slug)
        for call in list(self.core.world.calls):
            self.feed(Answered(call, Unreachable("the connection is of another time")))
        generation = self.generation
        self.sim.after(5 + 55 * force, lambda: self.end_restored() if generation == self.generation else None)

    def end_restored(self) -> None:
        """Start daemon and clusters afresh."""
        self.kill_daemon(2.0)
        for name in CLUSTERS:
            self.clusters[name] = None
            self.cluster_reborn_at[name] = self.sim.now + 1.0

    def resume_daemon(self) -> None:
        """After a pause everything comes at once, the time-outs of the uplink among the first."""
        held, self.held = self.held, []
        self.woke_at = self.sim.now
        self.rng.shuffle(held)
        for event in held:
            self.feed(event)

    # ---------------------------------------------------------------- the daemon

    def feed(self, event: object) -> None:
        """Give an event to the daemon's core and carry out what it asks for."""
        if self.core is None:
            return
        if self.sim.now < self.paused_until:
            if not isinstance(event, Tick):
                self.held.append(event)
            return
        try:
            effects = self.core.handle(event, self.clock(), self.core_rng)
        except IllegalMove as error:
            raise Violation("move", f"{self.slug}: {error}") from error
        for effect in effects:
            self.carry_out(effect)
        if isinstance(event, Tick):
            self.check_deadlines()

    def carry_out(self, effect: object) -> None:
        match effect:
            case SendToGateway(_, message):
                if isinstance(message, bus.ToLinks) and isinstance(message.message, Goodbye):
                    self.check_goodbye(message.links, message.message)
                self.carry(lambda: self.gateway.take(message))
            case SendToCluster(name, message):
                if isinstance(message, bus.Admit):
                    self.check_admit(message)
                elif isinstance(message, bus.Remove):
                    self.check_remove(name, message)
                self.carry(lambda: (cluster := self.clusters.get(name)) and cluster.take(message))
            case HailAll():
                for name in CLUSTERS:
                    self.carry(
                        lambda name=name: (c := self.clusters.get(name)) and c.take(bus.Hail(self.slug))
                    )
                self.carry(lambda: self.gateway.take(bus.Hail(self.slug)))
            case Call():
                self.sim.master.call(self, effect)
            case RecordSession(row):
                self.leases[row.id] = (row.line, row.epoch)
                generation = self.generation
                self.sim.after(0.01, lambda: self.record(row, generation))
            case UpdateSession(row):
                self.leases[row.id] = (row.line, row.epoch)
                if row.id in self.rows:
                    stay = max(row.stay, self.rows[row.id].stay)
                    self.rows[row.id] = open_session(replace(row, stay=stay))
            case CloseSession(session, _):
                self.rows.pop(session, None)
            case Journal(_, write):
                self.sim.ledger.offered.setdefault(write.save.op_id, self.life)
                self.disk.take(effect)
            case LoadReceipts(incarnation, _, after):
                versions = [self.receipts[key] for key in sorted(self.receipts)]
                page = ReceiptsLoaded(incarnation, after, versions, None, is_last=True)
                self.sim.after(0.05, lambda: self.feed(page))
            case ProbeJournal() | SetAside():
                self.disk.take(effect)
            case StoreReceipt(line, version, _, receipt, state, kind):
                self.receipts[(line, version)] = uplink.OfferedVersion(receipt, kind, state)
                self.disk.finish(effect.line, effect.version)
            case Log(event, _, fields):
                self.note(event, fields)

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
        if event == "session_dropped" and not self.is_restored:
            session = UUID(str(fields["session"]))
            if fields["reason"] == "stale" and session in self.leases:
                self.sim.ledger.check_put_out(self.life, *self.leases[session], str(fields["reason"]))
        elif event == "put_out_unsaved" and not self.is_restored:
            since = self.failing_since(self.leases[UUID(str(fields["session"]))][0])
            if since is None or self.sim.now - since < PUT_OUT_S[0]:
                raise Violation("put out", f"{self.slug}: saves fail since {since}, it is {self.sim.now:.2f}")

    # ---------------------------------------------------------------- what must be true

    def show(self, entity: Entity, gains: Gains) -> None:
        """A player is shown gains that are durable."""
        s = self.core.world.sessions.get(entity.session) if self.core is not None else None
        if s is not None and s.writer is not None and not self.is_restored:
            self.sim.ledger.show(
                self.slug, s.head.line, s.head.epoch, gains, self.disk.gains.get(s.head.line, {})
            )

    def failing_since(self, line: UUID) -> float | None:
        """Return since when this process knows that a line cannot be saved."""
        since = [self.refused_since.get(line), self.disk.failing_since]
        return min((instant for instant in since if instant is not None), default=None)

    def answered_save(self, line: UUID, answer: object) -> None:
        """The daemon hears what became of a write."""
        if isinstance(answer, uplink.Refusal) or (isinstance(answer, uplink.Saved) and answer.refusal):
            self.refused_since.setdefault(line, self.sim.now)
        else:
            self.refused_since.pop(line, None)

    def check_gives(self, cluster: Cluster, entity: Entity) -> None:
        """Nobody gains anything that cannot be saved."""
        s = self.core.world.sessions.get(entity.session) if self.core is not None else None
        if s is None or s.phase not in PLAYABLE or s.writer is None or self.home_entity(s) is not entity:
            return
        since = self.failing_since(s.head.line)
        if since is None or self.is_restored or self.sim.now < self.paused_until:
            return
        playing_since = self.sim.now - (self.clock() - s.since) / self.clock_rate
        known_at = max(since, self.woke_at, cluster.paused_until, playing_since)
        if self.sim.now - known_at > WITHHOLD_S:
            raise Violation("given", f"{self.slug}: saves fail since {since:.2f}, it is {self.sim.now:.2f}")

    def check_stays(self, s: Session) -> None:
        """Nobody stays for minutes who cannot be saved."""
        if s.writer is None or s.phase not in PLAYABLE:
            return
        if s.head.is_idle and not s.is_dirty:
            self.refused_since.pop(s.head.line, None)  # there is nothing to save any more
        since = self.failing_since(s.head.line)
        if since is None or self.is_restored or not s.is_dirty:
            self.unsaved_since.pop(s.id, None)
            return
        known_at = self.unsaved_since.setdefault(s.id, self.sim.now)
        if self.sim.now - max(since, self.woke_at, known_at) > PUT_OUT_S[1]:
            raise Violation("stayed", f"{self.slug}: saves fail since {since:.2f}, {s.phase}")

    def check_deadlines(self) -> None:
        if self.core is None:
            return
        now = self.clock()
        for s in self.core.world.sessions.values():
            self.check_stays(s)
            if s.deadline is not None and now > s.deadline + SLACK_S:
                raise Violation("stuck", f"{self.slug}: in {s.phase} since {s.since:.2f}, it is {now:.2f}")

    def is_rightful(self, s: Session) -> bool:
        """Whether a session has its line's newest lease, and its memory is of this time."""
        grant = self.sim.ledger.grants.get(s.head.line)
        is_mine = grant is not None and (grant.life, grant.epoch) == (self.life, s.head.epoch)
        return is_mine and not grant.is_over and not self.is_restored

    def check_admit(self, m: bus.Admit) -> None:
        s = self.core.world.sessions[m.session]
        if not self.is_rightful(s):
            return
        state, head = gains_of(m.state), self.sim.ledger.head_of(s.head.line)
        if not has_all(state, head):
            raise Violation(
                "admitted", f"{self.slug}: {s.phase} with {dict(state)}, the head has {dict(head)}"
            )
        if s.phase in (Phase.ADMITTING, Phase.ARRIVING) and not has_all(head, state):
            raise Violation(
                "admitted", f"{self.slug}: {s.phase} with {dict(state)}, the head has {dict(head)}"
            )
        self.sim.ledger.check_entry(s.head.line, m.state)
        source = self.home_entity(s)
        if s.phase is Phase.ARRIVING and source is not None and not has_all(state, gains_of(source.state)):
            lost = f"{dict(gains_of(source.state))}, taken along {dict(state)}"
            raise Violation("handoff", f"{self.slug}: the source has {lost}")

    def check_remove(self, name: str, m: bus.Remove) -> None:
        """Whoever leaves stands in the zone until the master has all, or is told that it has not."""
        s = self.core.world.sessions.get(m.session)
        if s is None or s.phase not in (Phase.FREEZING_OUT, Phase.SAVING_OUT):
            return
        entity = (
            self.home_entity(s)
            if s.home and (s.home.cluster, s.home.instance) == (name, m.instance)
            else None
        )
        if entity is not None and self.is_rightful(s):
            here, head = gains_of(entity.state), self.sim.ledger.head_of(s.head.line)
            if not has_all(head, here):
                raise Violation("removed", f"{self.slug}: {s.phase}, {dict(here)}, the head has {dict(head)}")

    def home_entity(self, s: Session) -> Entity | None:
        """Return the entity where a session is at home, if it is still that."""
        home = s.home
        cluster = self.clusters.get(home.cluster) if home is not None else None
        if home is None or cluster is None or cluster.incarnation != home.incarnation:
            return None
        entity = cluster.entities.get((s.id, home.instance))
        return entity if entity is not None and entity.stay == home.order else None

    def check_goodbye(self, links: list[int], goodbye: Goodbye) -> None:
        """Whoever is told that all is saved, and does not play on, must have all saved."""
        if self.core is None or not goodbye.is_saved or self.is_restored:
            return
        for link in links:
            player = self.gateway.players.get(link)
            if player is None or player.link != link or not player.has_entered or not player.zone_token:
                continue  # nothing was played on this link
            s = self.core.world.sessions.get(self.core.world.by_character.get(player.character))
            if s is not None and (s.phase in PLAYABLE or s.leave is None):
                continue  # taken over by another link
            line = self.sim.line_of(player)
            if line is not None:
                self.sim.ledger.promise(line.id, player.seen)


def open_session(row: SessionRow) -> OpenSession:
    """Return what a restarted daemon reads of a row."""
    return OpenSession(
        row.id, row.account, row.admission, row.character, row.name, row.edition, row.line, row.epoch,
        row.zone, row.cluster, row.resume_digest, row.stay,
    )  # fmt: skip
