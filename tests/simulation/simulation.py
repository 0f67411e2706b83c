"""Several worlds around one master, in a hostile network, under invented time. Same seed, same run.

Real are the core of the world daemon (worlds.daemon.core) and the core of the repository (characters.core).
Modelled are clusters, gateways, clients and whatever carries messages, with all their faults. The ledger
looks at every step; a broken promise raises Violation.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from random import Random
from uuid import UUID

from characters.core import Account, Line, World
from characters.rules import line_kind
from tests.simulation import trouble
from tests.simulation.chaos import PEOPLE, Chaos, Fault, Faults, faults_of
from tests.simulation.master import Master
from tests.simulation.people import Player
from tests.simulation.promises import Violation
from tests.simulation.schedule import Schedule
from tests.simulation.world import SimulatedWorld
from zonecluster.protocol.from_client import Logout

WORLDS = (("aurora", "official"), ("borealis", "official"), ("wilds", "open"))
PEOPLE_NAMES = ("Alice", "Bob", "Carol")
COMPANY = 0.6  # of the players begin in the same world
TROUBLE_S = 240.0  # how long faults strike: a lease runs out, and messages of 90 s arrive
CALM_S = 230.0  # how long all may take to come right: a lease, and a client that waits
LOOK_S = 5.0  # how often it is looked whether all has come right
STILL_S = 10.0  # after that players stand still, so that nobody is on the way when it is looked at
LEAVE_S = 20.0
LEASE_S = 130.0  # a lease that was left behind lapses, unless somebody renews it


class Simulation(Schedule):
    """All of it."""

    def __init__(
        self, seed: int, faults: Faults | None = None, only: Collection[Fault] | None = None
    ) -> None:
        super().__init__()
        self.seed = seed
        self.rng = Random(seed)
        self.chaos = Chaos(seed, faults_of(seed) if faults is None else faults, self, only)
        self.is_still = False
        self.trace: list[str] | None = None
        self.counts: dict[str, int] = defaultdict(int)
        self.master = Master(self)
        self.ledger = self.master.ledger
        repository = self.master.repository
        self.worlds = []
        for slug, tier in WORLDS:
            repository.worlds[slug] = World(tier)
            self.worlds.append(SimulatedWorld(self, slug, tier))
        self.players: dict[UUID, Player] = {}
        first = self.rng.choice(self.worlds)
        for name in PEOPLE_NAMES:
            account, character = self.new_id(), self.new_id()
            repository.accounts[account] = Account()
            repository.create_character(account=account, character=character, name=name, now=self.master.now)
            player = Player(self, name, account, character)
            player.world = first if self.rng.random() < COMPANY else self.rng.choice(self.worlds)
            self.players[character] = player
        self.ledger.after(None, None, 0.0)
        for player in self.players.values():
            player.begin()
        self.master.begin()

    def new_id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    # ---------------------------------------------------------------- players

    def issue_ticket(self, player: Player) -> str | None:
        """Return a ticket of the website; None while the master is down."""
        if self.master.is_down:
            return None
        return self.master.repository.issue_ticket(
            account=player.account, world=player.world.slug, jti=self.new_id(), now=self.master.now
        )

    def line_of(self, player: Player) -> Line | None:
        """Return the line that the player's present world plays."""
        repository, slug = self.master.repository, player.world.slug
        is_limited = repository.worlds[slug].is_limited
        main = repository.line_of(player.character, None)
        if line_kind(player.world.tier, is_limited=is_limited) == "main":
            return main
        fork = repository.line_of(player.character, slug)
        return main if fork is None and is_limited else fork  # limited, and nothing was written since

    # ---------------------------------------------------------------- the end

    def calm(self) -> None:
        """The faults end, what is paused goes on, and restored machines are started afresh."""
        self.chaos.end()
        self.master.down_until = -1.0
        for world in self.worlds:
            world.disk.full_until = world.refusing_until = -1.0
            for cluster in world.clusters.values():
                if cluster is not None:
                    cluster.paused_until = -1.0
            trouble.end(world)

    def come_right(self) -> None:
        """Wait until all messages have arrived and everybody plays. Raises: Violation: it takes too long."""
        until = self.now + CALM_S
        self.run(max(0.0, self.late_until - self.now))
        while self.now < until:
            self.run(LOOK_S)
            if self._is(self.check_all_play):
                break
        self.is_still = True
        self.run(STILL_S)
        self.check_all_play()

    def leave(self) -> None:
        """Let everybody log out. Raises: Violation: something is left behind."""
        for player in self.players.values():
            player.wants_to_play = False
            player.say(Logout())
        until = self.now + LEAVE_S
        while self.now < until and not self._is(self.check_all_gone):
            self.run(LOOK_S)
        until = self.now + LEASE_S
        while self.now < until and not self._is(self.check_all_gone):
            self.run(LOOK_S)
        self.check_all_gone()

    def _is(self, check: Callable[[], None]) -> bool:
        try:
            check()
        except Violation:
            return False
        return True

    def check_all_play(self) -> None:
        """Every player is in the world, and all parts agree on where."""
        for player in self.players.values():
            world = player.world
            if player.link is None or player.zone is None or not player.has_entered:
                raise Violation("astray", self.describe(player))
            here = [
                (cluster.name, entity)
                for cluster in world.clusters.values()
                if cluster is not None
                for entity in cluster.entities.values()
                if entity.character == player.character
            ]
            if len(here) != 1 or here[0][1].is_frozen or here[0][1].token != player.zone_token:
                raise Violation("astray", f"stands in {here}: {self.describe(player)}")
            name, entity = here[0]
            line = self.line_of(player)
            if entity.held is not None or (line is not None and entity.after != line.exchange):
                raise Violation("astray", f"waits for an exchange: {self.describe(player)}")
            if world.gateway.routes.get(player.link) != (entity.session, name) or entity.link != player.link:
                raise Violation("astray", f"commands or events go elsewhere: {self.describe(player)}")

    def check_all_gone(self) -> None:
        """After everybody has left nothing is left behind."""
        held = [line.head for line in self.master.repository.lines.values() if line.head.holder is not None]
        for world in self.worlds:
            entities = [e for c in world.clusters.values() if c is not None for e in c.entities.values()]
            sessions = [s.phase for s in world.core.world.sessions.values()]
            if entities or sessions or world.rows:
                raise Violation("left behind", f"{world.slug}: {entities} {sessions} {list(world.rows)}")
        if any(head.lease_until > self.master.now for head in held):
            raise Violation("left behind", f"leases: {held}")

    def describe(self, player: Player) -> str:
        world = player.world
        sessions = world.core.world.sessions.values() if world.core is not None else ()
        mine = [(s.phase, s.link is not None, s.leave) for s in sessions if s.character == player.character]
        asked = self.now - player.asked_at
        return (
            f"{player.name} in {world.slug}: link={player.link is not None} welcome={bool(player.welcome)} "
            f"entered={player.has_entered} zone={player.zone is not None} asked {asked:.0f} s ago, {mine}"
        )


def play_through(
    seed: int,
    faults: Faults | None = None,
    only: Collection[Fault] | None = None,
    *,
    trace: bool = False,
    on_made: Callable[[Simulation], None] | None = None,
) -> Simulation:
    """Run a seed: trouble, calm, everybody plays, everybody leaves, all is compared.

    Args: faults: None: the seed's own mixture; on_made: is given the simulation before it begins.
    Raises: Violation.
    """
    sim = Simulation(seed, faults, only)
    if trace:
        sim.trace = []
    if on_made is not None:
        on_made(sim)
    sim.run(TROUBLE_S)
    harmless = all(
        fault.kind.startswith(("bus_", "request_", "answer_")) or fault.kind in (*PEOPLE, "attack")
        for _, fault in sim.chaos.struck
    )
    sim.calm()
    sim.come_right()
    sim.leave()
    sim.ledger.check_end(is_harmless=harmless)
    return sim
