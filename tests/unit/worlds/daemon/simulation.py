"""A world around the daemon's core, under invented time: master, clusters, gateway, players, a bad bus.

Everything outside of the core is modelled, with its faults: messages lost, doubled and reordered; a master
that is away, or that did what it was asked but whose answer was lost; clusters, gateways and the daemon
killed at any instant. After each event the rules are checked; a broken one raises Violation. Same seed,
same run.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from uuid import UUID

from tests.model_gateway import Gateway
from tests.unit.worlds.daemon.model_cluster import WORLD, Cluster
from tests.unit.worlds.daemon.model_master import Master, Violation, things_of
from tests.unit.worlds.daemon.model_players import STEP_S, Player
from worlds.daemon.core import entering, queueing
from worlds.daemon.core.catalog import Catalog, ClusterInfo, LinkInfo, ZoneInfo
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import (
    Call,
    CloseSession,
    ForgetWaiting,
    HailAll,
    Journal,
    Log,
    RecordSession,
    SendToCluster,
    SendToGateway,
    StoreTokens,
    StoreWaiting,
    UpdateSession,
    WaitingRow,
)
from worlds.daemon.core.events import (
    Answered,
    CatalogLoaded,
    FromBus,
    Journaled,
    OpenSession,
    Recorded,
    SessionsLoaded,
    Tick,
    Unreachable,
    WaitingSession,
)
from worlds.daemon.core.session import Phase
from worlds.daemon.core.upkeep import MoveRow, NoteMove, UpkeepLoaded
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import Place
from zonecluster.protocol.from_client import Logout
from zonecluster.rules.items import ItemKind

ZOMBIE_S = 6.0
KINDS = {
    "bread": ItemKind("bread", "loaf of bread", stack_size=50),
    "crown": ItemKind("crown", "crown", is_valuable=True),
}
SLACK_S = 0.3  # deadlines are looked at once per tick


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
    return Catalog(WORLD, "Welcome.", 100, "ws://127.0.0.1:1/", zones, links, clusters, kinds=KINDS)


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
    late: float = 0.03  # a write reaches the master long after it was given up
    refused: float = 0.1  # exchanges, for a reason that passes
    moves: float = 0.05  # of an instance, asked for


class Simulation:
    """All of it, and the rules."""

    def __init__(
        self, seed: int, faults: Faults, players: int = 4, *, has_fence: bool = True, places: int = 100
    ) -> None:
        self.rng = Random(seed)
        self.core_rng = Random(seed + 1)
        self.faults, self.has_fence = faults, has_fence
        self.catalog = replace(catalog(), max_players=places)
        self.waiting: dict[UUID, WaitingRow] = {}  # rows of the queue
        self.idle_since: float | None = None  # a place is free, and somebody waits for it
        self.now, self.step_s = 0.0, STEP_S
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.tie = count()
        self.master = Master(self.rng)
        self.rows: dict[UUID, OpenSession] = {}
        self.generation = 0
        self.clusters: dict[str, Cluster | None] = {}
        self.reborn_at: dict[str, float] = {"east": 0.0, "west": 0.0}
        self.gateway = Gateway(self.to_daemon, self.rng, self.rng.getrandbits(60))
        self.core: DaemonCore | None = None
        self.core_reborn_at = self.ghosts_until = 0.0
        self.outstanding: dict[
            tuple[UUID, int], UUID
        ] = {}  # line, epoch → op_id of the write that is not answered
        self.calls: dict[UUID, object] = {}
        self.reported: dict[UUID, int] = defaultdict(int)  # session → money the daemon was told
        self.counts: dict[str, int] = defaultdict(int)
        self.players = [Player(self, number) for number in range(players)]
        self.things = self.master.things()
        self.move_rows: dict[int, MoveRow] = {}  # that are not ended
        self.moved: list[NoteMove] = []
        self.things_laid, self.things_taken = 0, set()
        self.stolen: set[str] = set()  # names of those whose lines another world has had
        self.master.refuses = faults.refused

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
            due = self.now + self.step_s
            while self.queue and self.queue[0][0] <= due:
                self.now, _, action = heapq.heappop(self.queue)
                action()
            self.now = due
            self.step()

    def step(self) -> None:
        rng, f = self.rng, self.faults

        def is_time(seconds: float) -> bool:
            return self.now // seconds > (self.now - self.step_s) // seconds

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
                if is_time(0.5):
                    cluster.say_alive()
                if is_time(1.0):
                    cluster.announce()
                if rng.random() < f.cluster_deaths * STEP_S:
                    self.kill_cluster(name)
        for name, at in list(self.reborn_at.items()):
            if self.now >= at:
                del self.reborn_at[name]
                self.clusters[name] = Cluster(self, name, rng.getrandbits(60))
                self.clusters[name].announce()
        if is_time(1.0):
            self.to_daemon(bus.GatewayAlive("g", self.gateway.incarnation))
        if is_time(5.0):
            self.gateway.announce()
        if rng.random() < f.gateway_deaths * STEP_S:
            self.kill_gateway()
        if rng.random() < f.master_outages * STEP_S:
            self.master.down_until = self.now + rng.uniform(1, 40)
            self.counts["master outages"] += 1
        if rng.random() < f.lease_thefts * STEP_S:
            self.steal_lease()
        if rng.random() < f.moves * STEP_S:
            self.ask_for_move()
        if is_time(1.0):
            self.read_upkeep()
        for player in self.players:
            player.act(rng, f.misbehave)
        if self.core is not None and rng.random() < f.daemon_deaths * STEP_S:
            self.kill_daemon()
        if self.core is None and self.now >= self.core_reborn_at:
            self.start_daemon()
        self.feed(Tick())
        self.check_places()
        if self.master.things() != self.things:
            raise Violation(f"there were {self.things}, and now {self.master.things()}")

    def ask_for_move(self) -> None:
        """Staff or planner write a row."""
        slug, zone = self.rng.choice(sorted(self.catalog.zones.items()))
        target, number = self.rng.choice(["east", "west"]), len(self.moved) + len(self.move_rows) + 1
        number += max(self.move_rows, default=0)
        self.move_rows[number] = MoveRow(number, slug, zone.instance(), "", target, "a test", "waiting")

    def read_upkeep(self) -> None:
        wall = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.now)
        event, generation = UpkeepLoaded(wall, tuple(self.move_rows.values())), self.generation
        self.after(self.rng.uniform(0.001, 0.5), lambda: generation == self.generation and self.feed(event))

    def note_move(self, note: NoteMove) -> None:
        """Write a row. Raises: Violation: one that has ended is written again."""
        if note.row is None:
            return
        if note.row not in self.move_rows:
            raise Violation(f"a move that has ended is written again: {note}")
        if note.state == "moving":
            self.move_rows[note.row] = replace(self.move_rows[note.row], state="moving")
        else:
            del self.move_rows[note.row]
            self.moved.append(note)
            self.counts[f"moves {note.state}"] += 1

    def steal_lease(self) -> None:
        """Another world gets the line, and gives it back: whoever had it must drop the character."""
        self.counts["lease thefts"] += 1
        line = self.rng.choice(list(self.master.lines.values()))
        self.stolen.add(line.name)
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
        self.gateway = Gateway(self.to_daemon, self.rng, self.rng.getrandbits(60))

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
        rows = sorted(self.rows.values(), key=lambda row: row.id)
        waiting = [WaitingSession(**vars(row), waited_s=0.0) for row in self.waiting.values()]
        self.feed(SessionsLoaded(rows, waiting))

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
        self.check_queue()

    def note_report(self, m: bus.Checkpoint) -> None:
        s = self.core.world.sessions.get(m.session)
        if s is None or s.phase is not Phase.PLAYING or s.home is None or s.writer is None:
            return
        if (s.home.cluster, s.home.order) == (m.cluster, m.stay):
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
            case StoreTokens(session, newest, proven):
                for rows in (self.rows, self.waiting):
                    if session in rows:
                        tokens = {"resume_digest": newest, "proven_digest": proven}
                        rows[session] = replace(rows[session], **tokens)
            case CloseSession(session, _):
                self.rows.pop(session, None)
            case StoreWaiting(row):
                others = [each.id for each in self.waiting.values() if each.account == row.account]
                for each in others:  # as the rows are written: an account has one place
                    del self.waiting[each]
                self.waiting[row.id] = row
            case ForgetWaiting(session):
                self.waiting.pop(session, None)
            case Journal(ticket):
                self.after(self.rng.uniform(0.002, 0.03), lambda: self.journaled(ticket, generation))
            case NoteMove():
                core = self.core
                self.after(0.05, lambda: self.core is core and self.note_move(effect))
            case Log(event, _, fields):
                self.counts[event] += 1
                self.check_loss(event, fields)

    def journaled(self, ticket: int, generation: int) -> None:
        if generation == self.generation and self.core is not None:
            self.feed(Journaled((ticket,)))

    def record(self, row: object, generation: int) -> None:
        if generation == self.generation and self.core is not None:
            self.rows[row.id] = open_session(row)
            self.feed(Recorded(row.id))
            if row.id not in self.core.world.sessions or not self.core.world.sessions[row.id].is_recorded:
                self.rows.pop(row.id, None)  # closed meanwhile: the shell writes in order

    def call(self, call: Call) -> None:
        for save in writes_in(call.request):
            other = self.outstanding.setdefault((save.line, save.epoch), save.op_id)
            if other != save.op_id:
                raise Violation(f"two writes are outstanding for one line: {other} and {save.op_id}")
        self.after(self.rng.uniform(0.005, 0.05), lambda: self.reach_master(call, self.generation))

    def reach_master(self, call: Call, generation: int) -> None:
        rng = self.rng
        if self.now < self.master.down_until:
            self.answer(call, Unreachable("down"), generation)
            return
        if writes_in(call.request) and rng.random() < self.faults.late:
            self.after(rng.uniform(0.5, 3), lambda: self.answer(call, Unreachable("late"), generation))
            self.after(3 + rng.expovariate(0.2), lambda: self.master.answer(call.request))
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
        for save in writes_in(call.request):
            lease = (save.line, save.epoch)
            if self.outstanding.get(lease) == save.op_id and not isinstance(answer, Unreachable):
                del self.outstanding[lease]
        self.feed(Answered(call.id, answer))

    # ---------------------------------------------------------------- the rules

    def check_deadlines(self) -> None:
        for s in self.core.world.sessions.values():
            if s.deadline is not None and self.now > s.deadline + SLACK_S:
                raise Violation(f"a session is stuck in {s.phase} since {s.since:.2f}")

    def check_queue(self) -> None:
        """No more are in than there are places, an account waits once, and none waits beside a free place."""
        w = self.core.world
        if len(w.by_character) > w.catalog.max_players:
            raise Violation(f"{len(w.by_character)} have {w.catalog.max_players} places")
        queue = queueing.waiting(w)
        if len({s.account for s in queue}) < len(queue):
            raise Violation("an account waits twice")
        is_open = w.is_loaded and w.is_master_up and entering.closed(w) is None
        can_come = any(queueing.may_come_in(w, s) for s in queue)
        if not (is_open and can_come and not queueing.is_full(w)):
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = self.now
        elif self.now > self.idle_since + 1.0:
            raise Violation("a place is free, and nobody is let in")

    def check_places(self) -> None:
        """A character is in play in at most one place.

        A cluster that was silent for longer than the 2.5 s, and lives, has players who were admitted
        elsewhere meanwhile: it may have them for a few seconds more, until it is told; likewise after a
        daemon was killed between Admit and Admitted. (What such a ghost reports counts for nothing.)
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

    def check_loss(self, event: str, fields: dict[str, object]) -> None:
        """A head moves by what this daemon asked for or another world: nothing else surprises it."""
        name = next((p.line.name for p in self.players if str(p.character) == fields.get("character")), "")
        if event in ("save_lost", "exchange_lost") and name not in self.stolen:
            raise Violation(f"{name}'s head has moved, and the daemon did not know: {fields}")

    def check_admit(self, m: bus.Admit) -> None:
        line = self.master.lines[m.character]
        if m.state.money < line.state.money:
            raise Violation(f"admitted with {m.state.money}, older than the head's {line.state.money}")
        if m.state.money < self.reported[m.session]:
            raise Violation(f"admitted with {m.state.money}; {self.reported[m.session]} had been reported")
        if m.after != line.exchange or things_of(m.state) != things_of(line.state):
            raise Violation(f"admitted with {things_of(m.state)}; the head has {things_of(line.state)}")
        s = self.core.world.sessions[m.session]
        if s.phase in (Phase.ADMITTING, Phase.ARRIVING) and m.state.money != line.state.money:
            raise Violation(f"admitted with {m.state.money}, which the master has not accepted")

    def calm(self) -> None:
        """The faults end; time may pass in larger steps."""
        self.step_s = 4 * STEP_S
        self.faults = Faults(*([0.0] * len(Faults.__dataclass_fields__)))
        self.master.down_until = -1.0
        self.master.refuses = 0.0
        self.catalog = replace(self.catalog, max_players=100)
        self.feed(CatalogLoaded(self.catalog))

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
            if len(here) != 1 or here[0][1].is_frozen or here[0][1].held:
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
        if held or entities or sessions or self.rows or self.core.world.exchanges or self.core.world.trades:
            raise Violation(f"left behind: {held} {entities} {[s.phase for s in sessions]} {self.rows}")
        if self.waiting:
            raise Violation(f"rows of the queue are left behind: {self.waiting}")

    def describe(self, player: Player) -> str:
        s = next((s for s in self.core.world.sessions.values() if s.character == player.character), None)
        state = (s.phase, s.link, s.home, s.leave) if s else None
        return (
            f"link={player.link} entered={player.has_entered} zone={player.zone is not None} session={state}"
        )


def writes_in(request: object) -> list[uplink.Save]:
    """Return the writes that the master is asked for."""
    match request:
        case uplink.Save():
            return [request]
        case uplink.Exchange(_, writes):
            return writes
    return []


def open_session(row: object) -> OpenSession:
    """Return what a restarted daemon reads of a row."""
    return OpenSession(
        row.id, row.account, row.admission, row.character, row.name, row.edition, row.line, row.epoch,
        row.zone, row.cluster, row.resume_digest, row.stay, row.has_gap, row.limits,
        row.proven_digest,
    )  # fmt: skip


def play_through(
    seed: int, faults: Faults | None = None, *, seconds: float = 60.0, **options: int
) -> Simulation:
    """Run a world under faults, let it calm down, and let everybody leave. Raises: Violation."""
    sim = Simulation(seed, faults or Faults(), **options)
    sim.run(seconds)
    sim.calm()
    sim.run(seconds + 75.0)
    for cluster in sim.clusters.values():
        cluster.live = lambda rng: None  # stand still: no handoff is under way when it is looked at
    for player in sim.players:
        player.wants_to_trade = False
    sim.run(seconds + 85.0)
    sim.check_all_play()
    for player in sim.players:
        player.wants_to_play = False
        sim.gateway.forward(player.link, Logout())
    sim.run(seconds + 100.0)
    sim.check_all_gone()
    return sim
