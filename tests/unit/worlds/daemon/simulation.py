"""A world around the daemon's core, under invented time: master, clusters, gateways, players, database, a bad bus.

Everything outside of the core is modelled here, with its faults: messages lost, doubled and reordered; a master
that is away, or that did what it was asked but whose answer was lost; clusters, gateways and the daemon killed at
any instant. After each event the rules are checked; a broken one raises Violation. Same seed, same run.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from random import Random
from uuid import UUID

from worlds.daemon.core.catalog import Catalog, ClusterInfo, LinkInfo, ZoneInfo
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import (
    Call,
    CloseSession,
    HailAll,
    Log,
    RecordSession,
    SendToCluster,
    SendToGateway,
    UpdateSession,
)
from worlds.daemon.core.events import (
    Answered,
    FromBus,
    OpenSession,
    Recorded,
    SessionsLoaded,
    Tick,
    Unreachable,
)
from worlds.daemon.core.session import Phase
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import (
    GENESIS_CHAIN,
    CharacterState,
    Place,
    encode_state,
    next_chain,
    state_hash,
)
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import (
    CharacterSummary,
    Entered,
    Goodbye,
    Refused,
    Welcome,
    ZoneAssigned,
)

WORLD = "demo"
STEP_S = 0.05
ZOMBIE_S = 6.0
SLACK_S = 0.3  # deadlines are looked at once per tick


class Violation(AssertionError):
    """A rule that must hold did not."""


def catalog() -> Catalog:
    """Two clusters, four zones; links across clusters, within one, and within one zone."""
    zones, links = {}, {}
    for number, (slug, cluster) in enumerate([("a", "east"), ("b", "east"), ("c", "west"), ("d", "west")], 1):
        entry = Place(zone=slug, position=(50.0, 50.0, 0.0))
        zones[slug] = ZoneInfo(number, slug, slug.upper(), 100.0, entry, cluster, is_entry=number == 1)
    for source, target in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c"), ("b", "b")]:
        arrival = Place(zone=target, position=(10.0, 10.0, 0.0))
        links[(source, f"to-{target}")] = LinkInfo(source, f"to-{target}", arrival)
    clusters = {name: ClusterInfo(name, 100) for name in ("east", "west")}
    return Catalog(WORLD, "Welcome.", 100, "ws://127.0.0.1:1/", zones, links, clusters)


@dataclass
class Faults:
    """How bad the outside is. Probabilities per message or call, rates per second."""

    lost: float = 0.05
    doubled: float = 0.05
    slow: float = 0.05  # delayed by up to three seconds, and so reordered
    unanswered: float = 0.05  # the master did it; its answer is lost
    repeated_answer: float = 0.05
    cluster_deaths: float = 0.02
    cluster_stalls: float = 0.008  # deaf and dumb for some seconds, then goes on as if nothing had been
    cluster_jams: float = 0.008  # its inbox stands still for some seconds, while it announces itself as ever
    lease_thefts: float = 0.004
    daemon_deaths: float = 0.006
    gateway_deaths: float = 0.006
    master_outages: float = 0.01
    database_slow: float = 0.05
    misbehave: float = 0.15  # links cut, ghosts, log-outs, per player


@dataclass
class Line:
    """A line at the master."""

    id: UUID
    epoch: int = 0
    is_held: bool = False
    acquire_op: UUID | None = None
    version: int = 0
    chain: bytes = GENESIS_CHAIN
    state: CharacterState = field(default_factory=CharacterState)
    answers: dict[UUID, tuple[uplink.Save, uplink.Saved]] = field(default_factory=dict)


class Master:
    """The repository, by DESIGN.md section 5."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: dict[UUID, Line] = {}  # by character
        self.tickets: dict[str, tuple[UUID, UUID]] = {}  # account, character
        self.down_until = -1.0

    def new_id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    def by_line(self, line: UUID) -> Line:
        return next(one for one in self.lines.values() if one.id == line)

    def answer(self, request: object) -> object:
        match request:
            case uplink.Redeem(ticket):
                if ticket not in self.tickets:
                    return uplink.Refusal("ticket_used", "The ticket was used.")
                account, character = self.tickets.pop(ticket)
                summary = CharacterSummary(id=character, name="Al", level=1, line="main")
                return uplink.Admission(self.new_id(), account, "free", uplink.Limits(15), [summary])
            case uplink.Acquire():
                return self.acquire(request)
            case uplink.Renew(leases):
                held = [r for r in leases if (one := self.by_line(r.line)).is_held and one.epoch == r.epoch]
                return uplink.Renewed(120.0, held, [r for r in leases if r not in held])
            case uplink.Save():
                return self.save(request)
            case uplink.Release(line, epoch):
                one = self.by_line(line)
                was_held = one.is_held and one.epoch == epoch
                one.is_held = one.is_held and not was_held
                return uplink.Released(was_held)
            case uplink.Report():
                return uplink.Reported("official", False, [])
        raise TypeError(request)

    def acquire(self, request: uplink.Acquire) -> uplink.Lease | uplink.Refusal:
        one = self.lines[request.character]
        if one.acquire_op == request.op_id and not one.is_held:
            return uplink.Refusal("stale", "That lease was released.")
        if one.acquire_op != request.op_id:
            one.epoch, one.is_held, one.acquire_op = one.epoch + 1, True, request.op_id
        return uplink.Lease(
            request.character, "Al", one.id, "main", one.epoch, 120.0, one.version, one.chain, one.state
        )

    def save(self, save: uplink.Save) -> uplink.Saved:
        one = self.by_line(save.line)
        if save.op_id in one.answers:
            known, answer = one.answers[save.op_id]
            if known != save:
                return uplink.Saved(save.op_id, refusal=uplink.Refusal("op_id_reused", "Other content."))
            return answer
        if not one.is_held or (save.epoch, save.version) != (one.epoch, one.version):
            return uplink.Saved(save.op_id, refusal=uplink.Refusal("stale", "The head has moved."))
        if save.prev_chain != one.chain:
            return uplink.Saved(save.op_id, refusal=uplink.Refusal("bad_chain", "Another history."))
        if save.state.money < one.state.money:
            raise Violation(f"a saved state went back from {one.state.money} to {save.state.money}")
        hash_of_state = state_hash(encode_state(save.state))
        one.chain = next_chain(one.chain, one.version + 1, save.op_id, hash_of_state)
        one.version, one.state = one.version + 1, save.state
        answer = uplink.Saved(save.op_id, one.version, one.chain, "receipt")
        one.answers[save.op_id] = (save, answer)
        return answer


@dataclass
class Entity:
    """A player in an instance of a cluster. Money stands for everything durable: it only grows."""

    session: UUID
    character: UUID
    instance: int
    request: UUID
    stay: int
    state: CharacterState
    place: Place
    link: int | None
    number: int
    is_frozen: bool = False
    is_dirty: bool = False
    serial: int = 0
    frozen_by: UUID | None = None


class Cluster:
    """A zone cluster, as the contract of bus.py has it."""

    def __init__(self, sim: "Simulation", name: str, incarnation: int) -> None:
        self.sim, self.name, self.incarnation = sim, name, incarnation
        self.instances: dict[int, str] = {}
        self.entities: dict[tuple[UUID, int], Entity] = {}
        self.orders: dict[UUID, int] = {}
        self.numbers = count(1)
        self.stalled_until = self.jammed_until = self.zombies_until = -100.0

    def say(self, message: bus.BusMessage) -> None:
        self.sim.to_daemon(message)

    def of(self, session: UUID) -> list[Entity]:
        return [e for e in self.entities.values() if e.session == session]

    def is_late(self, m: bus.BusMessage) -> bool:
        if not self.sim.has_fence or m.order == 0:
            return False
        highest = self.orders.get(m.session, 0)
        self.orders[m.session] = max(highest, m.order)
        return m.order < highest

    def take(self, m: bus.BusMessage) -> None:
        wait = max(self.stalled_until, self.jammed_until) - self.sim.now
        if wait > 0:
            self.sim.after(wait + 0.01, lambda: self.take(m))
            return
        if self.sim.clusters.get(self.name) is not self:
            return  # died while it was stalled
        rest = {"cluster": self.name, "incarnation": self.incarnation}
        match m:
            case bus.Hail():
                self.announce()
            case bus.OpenInstance(instance, zone):
                self.instances[instance] = zone
                self.say(bus.InstanceOpened(instance=instance, **rest))
            case bus.CloseInstance(instance):
                if not any(e.instance == instance for e in self.entities.values()):
                    self.instances.pop(instance, None)
            case bus.Admit():
                if m.incarnation == self.incarnation and not self.is_late(m):
                    self.admit(m)
            case bus.Freeze() if not self.is_late(m):
                self.freeze(m)
            case bus.Thaw() if not self.is_late(m):
                entity = self.entities.get((m.session, m.instance))
                if entity is not None:
                    entity.is_frozen = False
                    for other in self.of(m.session):
                        if other is not entity:
                            del self.entities[(other.session, other.instance)]
            case bus.Remove():
                if not self.is_late(m):
                    for entity in self.of(m.session):
                        if m.instance in (0, entity.instance):
                            del self.entities[(entity.session, entity.instance)]
                    self.say(bus.Removed(session=m.session, order=m.order, **rest))
            case bus.MintToken(session, request):
                active = [e for e in self.of(session)]
                if active:
                    entity = max(active, key=lambda e: e.stay)
                    token = b"fresh"
                    self.say(
                        bus.Admitted(
                            session=session, request=request, entity=entity.number, connect_token=token, **rest
                        )
                    )
                else:
                    self.say(bus.Unknown(session=session, request=request, **rest))
            case bus.Attach(session, _, link):
                for entity in self.of(session):
                    entity.link = link
            case bus.TakeCheckpoint(session, kind):
                for entity in self.of(session):
                    if not entity.is_frozen:
                        self.checkpoint(entity, kind)
            case bus.Saved(session, serial):
                for entity in self.of(session):
                    if entity.serial == serial:
                        entity.is_dirty = False

    def admit(self, m: bus.Admit) -> None:
        if m.instance not in self.instances:
            self.say(bus.AdmitRefused(cluster=self.name, session=m.session, request=m.request, reason="not open"))
            return
        entity = self.entities.get((m.session, m.instance))
        if entity is None or entity.request != m.request:
            for other in self.of(m.session):
                other.is_frozen = True
            place = m.state.places[WORLD]
            number = next(self.numbers)
            entity = Entity(
                m.session, m.character, m.instance, m.request, m.order, m.state, place, m.link, number
            )
            self.entities[(m.session, m.instance)] = entity
        self.say(
            bus.Admitted(
                cluster=self.name,
                incarnation=self.incarnation,
                session=m.session,
                request=m.request,
                entity=entity.number,
                connect_token=b"token",
            )
        )

    def freeze(self, m: bus.Freeze) -> None:
        entity = self.entities.get((m.session, m.instance))
        if entity is None:
            self.say(
                bus.Unknown(
                    cluster=self.name, incarnation=self.incarnation, session=m.session, request=m.request
                )
            )
            return
        if not (entity.is_frozen and entity.frozen_by == m.request):
            entity.is_frozen, entity.frozen_by = True, m.request
            entity.serial += 1
        self.say(
            bus.Frozen(
                cluster=self.name,
                session=m.session,
                request=m.request,
                state=self.state_of(entity),
                serial=entity.serial,
            )
        )

    def state_of(self, entity: Entity) -> CharacterState:
        return CharacterState(money=entity.state.money, places={WORLD: entity.place})

    def checkpoint(self, entity: Entity, kind: str) -> None:
        entity.serial += 1
        self.say(
            bus.Checkpoint(
                cluster=self.name,
                session=entity.session,
                state=self.state_of(entity),
                kind=kind,
                serial=entity.serial,
                stay=entity.stay,
            )
        )

    def announce(self) -> None:
        players = len(self.entities)
        self.say(bus.ClusterAlive(self.name, self.incarnation, sorted(self.instances), players, 1.0))
        self.say(bus.Residents(self.name, self.incarnation, [self.resident(e) for e in self.entities.values()]))

    def resident(self, e: Entity) -> bus.Resident:
        position, heading = e.place.position, e.place.heading_deg
        return bus.Resident(
            e.session, e.instance, position, heading, e.is_dirty, e.stay, e.is_frozen, e.link
        )

    def live(self, rng: Random) -> None:
        """A step of play: walk, earn, use portals."""
        for entity in list(self.entities.values()):
            if entity.is_frozen:
                continue
            if rng.random() < 0.02:
                x = rng.uniform(0, 100)
                entity.place = Place(zone=self.instances[entity.instance], position=(x, x, 0.0))
            if rng.random() < 0.02:
                entity.state = CharacterState(money=entity.state.money + 1, places=entity.state.places)
                entity.is_dirty = True
                if rng.random() < 0.5:
                    self.checkpoint(entity, "item")
            if rng.random() < 0.006:
                zone = self.instances[entity.instance]
                links = sorted(link for source, link in self.sim.catalog.links if source == zone)
                self.say(bus.PortalEntered(self.name, entity.session, rng.choice(links), entity.stay))


class Player:
    """A client: logs in, enters, plays, and does what people do to their links."""

    def __init__(self, sim: "Simulation", number: int) -> None:
        self.sim = sim
        self.account, self.character = sim.master.new_id(), sim.master.new_id()
        sim.master.lines[self.character] = Line(sim.master.new_id())
        self.link: int | None = None
        self.resume: str | None = None
        self.zone: ZoneAssigned | None = None
        self.has_entered = False
        self.asked_at = -100.0
        self.wants_to_play = True
        self.welcome: Welcome | None = None

    def open_link(self) -> None:
        self.link = self.sim.gateway.open(self)
        self.zone, self.has_entered, self.welcome = None, False, None
        self.say_hello()

    def say_hello(self) -> None:
        self.asked_at = self.sim.now
        if self.resume is not None:
            hello = Hello(PROTOCOL_VERSION, "sim", None, self.resume)
        else:
            ticket = f"ticket-{self.sim.master.new_id()}"
            self.sim.master.tickets[ticket] = (self.account, self.character)
            hello = Hello(PROTOCOL_VERSION, "sim", ticket, None)
        self.sim.gateway.forward(self.link, hello)

    def cut(self) -> None:
        if self.link is not None:
            self.sim.gateway.close(self.link)
        self.link = None

    def get(self, message: object) -> None:
        match message:
            case Welcome():
                self.welcome, self.resume = message, message.resume
                if message.playing is None and self.wants_to_play:
                    self.enter()
            case Entered():
                self.has_entered = True
            case ZoneAssigned():
                self.zone = message
            case Refused(code):
                if code in ("bad_resume_token", "ticket_used", "bad_ticket"):
                    self.resume = None
                self.asked_at = self.sim.now - 9.0
            case Goodbye():
                self.resume = None

    def enter(self) -> None:
        self.asked_at = self.sim.now
        self.sim.gateway.forward(self.link, Enter(self.character))

    def act(self, rng: Random, misbehave: float) -> None:
        if self.link is None:
            if self.wants_to_play and rng.random() < 0.05:
                self.open_link()
            return
        is_waiting = not (self.welcome and self.has_entered and self.zone)
        if is_waiting and self.wants_to_play and self.sim.now - self.asked_at > 10.0:
            if self.welcome is None:
                self.say_hello()
            elif not self.has_entered:
                self.enter()
            else:
                self.asked_at = self.sim.now
                self.sim.gateway.forward(self.link, ZoneTokenRequest())
        if rng.random() > misbehave * STEP_S:
            return
        match rng.randrange(4):
            case 0:
                self.cut()
            case 1:
                self.cut()
                self.resume = None  # comes back by a new log-in: a ghost
            case 2:
                self.sim.gateway.forward(self.link, Logout())
            case 3:
                self.sim.gateway.forward(self.link, ZoneTokenRequest())


class Gateway:
    """The gateway process: links and routes."""

    def __init__(self, sim: "Simulation", incarnation: int) -> None:
        self.sim, self.incarnation = sim, incarnation
        self.players: dict[int, Player] = {}
        self.routes: dict[int, tuple[UUID, str]] = {}
        self.is_welcomed: set[int] = set()

    def open(self, player: Player) -> int:
        link = self.sim.rng.getrandbits(62)
        self.players[link] = player
        return link

    def close(self, link: int) -> None:
        self.players.pop(link, None)
        self.routes.pop(link, None)
        self.is_welcomed.discard(link)
        self.sim.to_daemon(bus.LinkClosed("g", self.incarnation, link))

    def forward(self, link: int | None, message: object) -> None:
        if link in self.players:
            self.sim.to_daemon(bus.LinkMessage("g", self.incarnation, link, message))

    def take(self, m: bus.BusMessage) -> None:
        match m:
            case bus.ToLinks(links, message):
                for link in links:
                    player = self.players.get(link)
                    if player is not None:
                        if isinstance(message, Welcome):
                            self.is_welcomed.add(link)
                        player.get(message)
            case bus.Route(link, session, cluster):
                if link in self.players:
                    self.routes[link] = (session, cluster)
            case bus.CloseLink(link):
                player = self.players.get(link)
                if player is not None:
                    player.link = None
                    self.close(link)
            case bus.Hail():
                self.announce()

    def announce(self) -> None:
        self.sim.to_daemon(bus.GatewayAlive("g", self.incarnation))
        links = [
            bus.OpenLink(link, self.routes[link][0] if link in self.routes else None)
            for link in sorted(self.is_welcomed)
        ]
        self.sim.to_daemon(bus.LinksOpen("g", self.incarnation, links))


class Simulation:
    """All of it, and the rules."""

    def __init__(self, seed: int, faults: Faults, players: int = 4, *, has_fence: bool = True) -> None:
        self.rng = Random(seed)
        self.core_rng = Random(seed + 1)
        self.faults, self.has_fence = faults, has_fence
        self.catalog = catalog()
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.tie = count()
        self.master = Master(self.rng)
        self.rows: dict[UUID, OpenSession] = {}
        self.generation = 0
        self.clusters: dict[str, Cluster | None] = {}
        self.reborn_at: dict[str, float] = {"east": 0.0, "west": 0.0}
        self.gateway = Gateway(self, self.rng.getrandbits(60))
        self.core: DaemonCore | None = None
        self.core_reborn_at = self.ghosts_until = 0.0
        self.outstanding: dict[tuple[UUID, int], UUID] = {}  # line, epoch → op_id of the write that is not answered
        self.calls: dict[UUID, object] = {}
        self.reported: dict[UUID, int] = defaultdict(int)  # session → money the daemon was told
        self.counts: dict[str, int] = defaultdict(int)
        self.players = [Player(self, number) for number in range(players)]

    # ---------------------------------------------------------------- time and transport

    def after(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + delay, next(self.tie), action))

    def carry(self, deliver: Callable[[], None]) -> None:
        """The bus: loses, doubles, delays."""
        rng, f = self.rng, self.faults
        for _ in range(2 if rng.random() < f.doubled else 1):
            if rng.random() >= f.lost:
                delay = rng.uniform(0.05, 3.0) if rng.random() < f.slow else rng.uniform(0.001, 0.02)
                self.after(delay, deliver)

    def to_daemon(self, message: bus.BusMessage) -> None:
        self.carry(lambda: self.feed(FromBus(message)))

    def run(self, until: float) -> None:
        """Run to an instant."""
        while self.now < until:
            due = self.now + STEP_S
            while self.queue and self.queue[0][0] <= due:
                self.now, _, action = heapq.heappop(self.queue)
                action()
            self.now = due
            self.step()

    def step(self) -> None:
        rng, f = self.rng, self.faults
        tick = round(self.now / STEP_S)
        for name, cluster in sorted(self.clusters.items()):
            if cluster is not None and self.now >= cluster.stalled_until:
                cluster.live(rng)
                if rng.random() < f.cluster_stalls * STEP_S:
                    self.counts["cluster stalls"] += 1
                    cluster.stalled_until = self.now + rng.uniform(1, 6)
                    cluster.zombies_until = cluster.stalled_until + ZOMBIE_S
                if rng.random() < f.cluster_jams * STEP_S:
                    self.counts["cluster jams"] += 1
                    cluster.jammed_until = self.now + rng.uniform(1, 8)
                    if self.now < cluster.zombies_until:  # it cannot be told about them either
                        cluster.zombies_until = cluster.jammed_until + ZOMBIE_S
                if tick % 10 == 0:
                    self.to_daemon(
                        bus.ClusterAlive(
                            name, cluster.incarnation, sorted(cluster.instances), len(cluster.entities), 1.0
                        )
                    )
                if tick % 20 == 0:
                    cluster.announce()
                if rng.random() < f.cluster_deaths * STEP_S:
                    self.kill_cluster(name)
        for name, at in list(self.reborn_at.items()):
            if self.now >= at:
                del self.reborn_at[name]
                self.clusters[name] = Cluster(self, name, rng.getrandbits(60))
                self.clusters[name].announce()
        if tick % 20 == 0:
            self.to_daemon(bus.GatewayAlive("g", self.gateway.incarnation))
        if tick % 100 == 0:
            self.gateway.announce()
        if rng.random() < f.gateway_deaths * STEP_S:
            self.kill_gateway()
        if rng.random() < f.master_outages * STEP_S:
            self.master.down_until = self.now + rng.uniform(1, 40)
            self.counts["master outages"] += 1
        if rng.random() < f.lease_thefts * STEP_S:
            self.steal_lease()
        for player in self.players:
            player.act(rng, f.misbehave)
        if self.core is not None and rng.random() < f.daemon_deaths * STEP_S:
            self.kill_daemon()
        if self.core is None and self.now >= self.core_reborn_at:
            self.start_daemon()
        self.feed(Tick())
        self.check_places()

    def steal_lease(self) -> None:
        """Another world gets the line, and gives it back: whoever had it must drop the character."""
        self.counts["lease thefts"] += 1
        line = self.rng.choice(list(self.master.lines.values()))
        line.epoch, line.is_held, line.acquire_op = line.epoch + 1, False, None

    # ---------------------------------------------------------------- deaths

    def kill_cluster(self, name: str) -> None:
        self.counts["cluster deaths"] += 1
        self.clusters[name] = None
        self.reborn_at[name] = self.now + self.rng.uniform(0.5, 6)

    def kill_gateway(self) -> None:
        self.counts["gateway deaths"] += 1
        for player in self.gateway.players.values():
            player.link = None
        self.gateway = Gateway(self, self.rng.getrandbits(60))

    def kill_daemon(self) -> None:
        self.counts["daemon deaths"] += 1
        self.core = None
        self.core_reborn_at = self.now + self.rng.uniform(1, 5)
        self.outstanding.clear()
        self.calls.clear()
        self.reported.clear()

    def start_daemon(self) -> None:
        self.generation += 1
        self.ghosts_until = self.now + 2 * ZOMBIE_S if self.generation > 1 else 0.0
        self.core = DaemonCore(self.catalog, datetime(2026, 11, 23, tzinfo=UTC), self.generation << 40)
        self.feed(SessionsLoaded(sorted(self.rows.values(), key=lambda row: row.id)))

    # ---------------------------------------------------------------- the daemon

    def feed(self, event: object) -> None:
        if self.core is None:
            return
        if isinstance(event, FromBus) and isinstance(event.message, bus.Checkpoint):
            self.note_report(event.message)
        effects = self.core.handle(event, self.now, self.core_rng)
        for effect in effects:
            self.carry_out(effect)
        self.check_deadlines()

    def note_report(self, m: bus.Checkpoint) -> None:
        s = self.core.world.sessions.get(m.session)
        if s is not None and s.phase is Phase.PLAYING and s.home is not None and s.writer is not None:
            if s.home.cluster == m.cluster and s.home.order == m.stay:
                self.reported[m.session] = max(self.reported[m.session], m.state.money)

    def carry_out(self, effect: object) -> None:
        generation = self.generation
        match effect:
            case SendToGateway(_, message):
                self.carry(lambda: self.gateway.take(message))
            case SendToCluster(name, message):
                if isinstance(message, bus.Admit):
                    self.check_admit(message)
                self.carry(lambda: (cluster := self.clusters.get(name)) and cluster.take(message))
            case HailAll():
                for name in ("east", "west"):
                    self.carry(lambda name=name: (c := self.clusters.get(name)) and c.take(bus.Hail(WORLD)))
                self.carry(lambda: self.gateway.take(bus.Hail(WORLD)))
            case Call():
                self.call(effect)
            case RecordSession(row):
                slow = self.rng.random() < self.faults.database_slow
                self.after(self.rng.uniform(0.5, 15) if slow else 0.01, lambda: self.record(row, generation))
            case UpdateSession(row):
                if row.id in self.rows:
                    self.rows[row.id] = open_session(row)
            case CloseSession(session, _):
                self.rows.pop(session, None)
            case Log(event):
                self.counts[event] += 1

    def record(self, row: object, generation: int) -> None:
        if generation == self.generation and self.core is not None:
            self.rows[row.id] = open_session(row)
            self.feed(Recorded(row.id))
            if row.id not in self.core.world.sessions or not self.core.world.sessions[row.id].is_recorded:
                self.rows.pop(row.id, None)  # closed meanwhile: the shell writes in order

    def call(self, call: Call) -> None:
        request = call.request
        if isinstance(request, uplink.Save):
            other = self.outstanding.setdefault((request.line, request.epoch), request.op_id)
            if other != request.op_id:
                raise Violation(f"two writes are outstanding for one line: {other} and {request.op_id}")
        self.after(self.rng.uniform(0.005, 0.05), lambda: self.reach_master(call, self.generation))

    def reach_master(self, call: Call, generation: int) -> None:
        rng = self.rng
        if self.now < self.master.down_until:
            self.answer(call, Unreachable("down"), generation)
            return
        answer = self.master.answer(call.request)
        if rng.random() < self.faults.unanswered:
            self.after(rng.uniform(1, 8), lambda: self.answer(call, Unreachable("lost"), generation))
            return
        delay = rng.uniform(1, 3) if rng.random() < self.faults.slow else rng.uniform(0.005, 0.05)
        self.after(delay, lambda: self.answer(call, answer, generation))
        if rng.random() < self.faults.repeated_answer:
            self.after(delay + rng.uniform(0.1, 5), lambda: self.answer(call, answer, generation))

    def answer(self, call: Call, answer: object, generation: int) -> None:
        if generation != self.generation or self.core is None:
            return
        request = call.request
        if isinstance(request, uplink.Save) and not isinstance(answer, Unreachable):
            lease = (request.line, request.epoch)
            if self.outstanding.get(lease) == request.op_id:
                del self.outstanding[lease]
        self.feed(Answered(call.id, answer))

    # ---------------------------------------------------------------- the rules

    def check_deadlines(self) -> None:
        for s in self.core.world.sessions.values():
            if s.deadline is not None and self.now > s.deadline + SLACK_S:
                raise Violation(f"a session is stuck in {s.phase} since {s.since:.2f}")

    def check_places(self) -> None:
        """A character is in play in at most one place.

        A cluster that was silent for longer than the 2.5 s, and lives, has players who were admitted elsewhere
        meanwhile: it may have them for a few seconds more, until it is told; likewise after a daemon was killed
        between Admit and Admitted. (What such a ghost reports counts for nothing: that is checked.)
        """
        active: dict[UUID, list[str]] = defaultdict(list)
        for cluster in self.clusters.values():
            is_counted = cluster is not None and self.now > max(cluster.zombies_until, self.ghosts_until)
            for entity in cluster.entities.values() if is_counted else ():
                if not entity.is_frozen:
                    active[entity.character].append(f"{cluster.name}/{entity.instance}")
        for character, places in active.items():
            if len(places) > 1:
                raise Violation(f"character {character} is in play in {places}")

    def check_admit(self, m: bus.Admit) -> None:
        line = self.master.lines[m.character]
        if m.state.money < line.state.money:
            raise Violation(f"admitted with {m.state.money}, older than the head's {line.state.money}")
        if m.state.money < self.reported[m.session]:
            raise Violation(f"admitted with {m.state.money}; {self.reported[m.session]} had been reported")
        s = self.core.world.sessions[m.session]
        if s.phase in (Phase.ADMITTING, Phase.ARRIVING) and m.state.money != line.state.money:
            raise Violation(f"admitted with {m.state.money}, which the master has not accepted")

    def calm(self) -> None:
        """The faults end; everybody wants to play."""
        self.faults = Faults(*([0.0] * len(Faults.__dataclass_fields__)))
        self.master.down_until = -1.0

    def check_all_play(self) -> None:
        """Every player is in the world, moves, and the parts agree on where."""
        for player in self.players:
            if player.link is None or player.zone is None or not player.has_entered:
                raise Violation(f"a player cannot play: {self.describe(player)}")
            here = [
                (cluster.name, e)
                for cluster in self.clusters.values()
                for e in cluster.entities.values()
                if e.character == player.character
            ]
            if len(here) != 1 or here[0][1].is_frozen:
                raise Violation(f"a player stands in {here}: {self.describe(player)}")
            name, entity = here[0]
            session, cluster = self.gateway.routes.get(player.link, (None, ""))
            if (session, cluster) != (entity.session, name) or entity.link != player.link:
                raise Violation(f"commands or events go astray: {self.describe(player)} {name} {entity}")
            if (player.zone.instance, player.zone.entity) != (entity.instance, entity.number):
                raise Violation(f"the client was told another zone: {self.describe(player)} {entity}")

    def check_all_gone(self) -> None:
        """After everybody has left nothing is left behind, and everything is saved."""
        held = [one for one in self.master.lines.values() if one.is_held]
        entities = [e for c in self.clusters.values() for e in c.entities.values()]
        sessions = list(self.core.world.sessions.values())
        if held or entities or sessions or self.rows:
            raise Violation(f"left behind: {held} {entities} {[s.phase for s in sessions]} {self.rows}")

    def describe(self, player: Player) -> str:
        s = next((s for s in self.core.world.sessions.values() if s.character == player.character), None)
        state = (s.phase, s.link, s.home, s.leave) if s else None
        return f"link={player.link} entered={player.has_entered} zone={player.zone is not None} session={state}"


def open_session(row: object) -> OpenSession:
    """Return what a restarted daemon reads of a row."""
    return OpenSession(
        row.id, row.account, row.admission, row.character, row.name, row.edition, row.line, row.epoch, row.zone,
        row.cluster, row.resume_digest,
    )  # fmt: skip


def play_through(seed: int, faults: Faults | None = None, *, seconds: float = 60.0, **options: bool) -> Simulation:
    """Run a world under faults, let it calm down, and let everybody leave. Raises: Violation."""
    sim = Simulation(seed, faults or Faults(), **options)
    sim.run(seconds)
    sim.calm()
    sim.run(seconds + 75.0)
    for cluster in sim.clusters.values():
        cluster.live = lambda rng: None  # stand still: no handoff is under way when it is looked at
    sim.run(seconds + 85.0)
    sim.check_all_play()
    for player in sim.players:
        player.wants_to_play = False
        sim.gateway.forward(player.link, Logout())
    sim.run(seconds + 100.0)
    sim.check_all_gone()
    return sim
