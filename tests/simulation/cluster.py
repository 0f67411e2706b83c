"""A zone cluster of the simulation. Its game gives gains; who has an entity's connect token plays it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.model_cluster import Entity, ModelCluster
from tests.simulation import watch
from tests.simulation.goods import (
    GEM,
    HERB,
    LAID,
    PICKED,
    gems_in,
    herbs_in,
    laid_down,
    picked_up,
    with_gain,
    with_gem,
    with_herb,
)
from tests.simulation.ledger import gains_of
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

WALKS, GAINS, PORTALS, GROUND = 0.1, 0.15, 0.03, 0.05  # per second
ACTS = WALKS + GAINS + PORTALS + GROUND
HERBS, GEMS = 0.3, 0.1  # of the gains: a herb, a gem besides the coin
MOST_GEMS = 8  # of one player: bags are finite
SAVES_AT_ONCE = 0.3  # of the gains
BEAT_S = 0.7  # between two signs of life, of which every second one is the list of who is here
QUIET_BEAT_S, EMPTY_BEAT_S = 1.2, 2.0  # while nobody is here; while nobody is in the world


class Cluster(ModelCluster):
    """One process."""

    def __init__(self, world: SimulatedWorld, name: str, incarnation: int, process: int) -> None:
        super().__init__(world.slug, name, incarnation)
        self.world, self.process = world, process
        self.paused_until = -1.0
        self.ground: list[Thing] = []

    def say(self, message: bus.BusMessage) -> None:
        self.world.to_daemon(message)

    @property
    def is_current(self) -> bool:
        """Whether it is the process of that name, and runs."""
        return self.world.clusters.get(self.name) is self and self.world.sim.now >= self.paused_until

    def is_deaf(self, message: bus.BusMessage) -> bool:
        wait = self.paused_until - self.world.sim.now
        if wait > 0:  # it waits in the socket, and may be minutes old when it is read
            self.world.sim.after(wait + 0.01, self.take, message)
            self.world.sim.late_until = max(self.world.sim.late_until, self.paused_until + 0.01)
        return wait > 0 or self.world.clusters.get(self.name) is not self

    def source_of(self, number: int) -> str:
        return f"{self.world.slug}-{self.name}{self.process}-{number}"

    def shown(self, entity: Entity, serial: int) -> None:
        """What is durable is shown to the player: from now on it may not be lost."""
        if serial in entity.sent:
            watch.show(self.world, entity, gains_of(entity.sent[serial]))

    def beat(self, turn: int = 0) -> None:
        """Say that it lives, and who is here: often while somebody is."""
        if self.world.clusters.get(self.name) is not self:
            return
        if self.world.sim.now >= self.paused_until:
            if turn % 2:
                self.say_residents()
            else:
                self.say_alive()
        self.world.sim.after(self.beat_s(), self.beat, turn + 1)

    def beat_s(self) -> float:
        """Return seconds until the next sign of life: not much of an empty world depends on it."""
        if self.entities and not self.world.sim.chaos.is_over:
            return BEAT_S
        return QUIET_BEAT_S if self.entities or self.world.is_used() else EMPTY_BEAT_S

    # ---------------------------------------------------------------- the game

    def admit(self, m: bus.Admit) -> None:
        before = self.entities.get((m.session, m.instance))
        super().admit(m)
        entity = self.entities.get((m.session, m.instance))
        if entity is not None and entity is not before:
            self.act_later(entity)

    def act_later(self, entity: Entity) -> None:
        self.world.sim.after(self.world.rng.expovariate(ACTS), self.act, entity)

    def act(self, entity: Entity) -> None:
        """Somebody does something, and soon something else, for as long as this entity stands."""
        world, sim = self.world, self.world.sim
        is_here = self.entities.get((entity.session, entity.instance)) is entity
        if not is_here or world.clusters.get(self.name) is not self or sim.is_still:
            return
        self.act_later(entity)
        player = sim.players[entity.character]
        if sim.now < self.paused_until or entity.is_frozen or player.zone_token != entity.token:
            return
        what = world.rng.random() * ACTS
        if what < WALKS:
            self.walk(entity, world.rng.uniform(0, 100))
        elif what < WALKS + PORTALS:
            zone = self.instances[entity.instance]
            links = sorted(link for source, link in world.catalog.links if source == zone)
            self.say(bus.PortalEntered(self.name, entity.session, world.rng.choice(links), entity.stay))
        elif entity.may_gain:
            if what < WALKS + PORTALS + GROUND:
                self.use_ground(entity, world.rng)
            else:
                watch.check_gives(world, self, entity)
                self.gain(entity, world.rng)
            player.see(self, entity)

    def gain(self, entity: Entity, rng: Random) -> None:
        state, source, is_rare = with_gain(entity.state, entity.source), entity.source, False
        self.happened(source)
        what = rng.random()
        if what < HERBS:
            state = with_herb(state, source)
            self.happened(f"{HERB} {source}")
        elif what < HERBS + GEMS and len(gems_in(state)) < MOST_GEMS:
            state, is_rare = with_gem(state, source, self.world.sim.new_id()), True
            self.happened(f"{GEM} {source}")
        self.changed(entity, state, is_at_once=is_rare or rng.random() < SAVES_AT_ONCE)

    def use_ground(self, entity: Entity, rng: Random) -> None:
        """Pick up what lies here for this line, or else lay something down."""
        found = [
            thing
            for thing in self.ground
            if thing.shown_at is None and (thing.instance, thing.line) == (entity.instance, entity.line)
        ]
        if found:
            self.ground.remove(found[0])
            self.happened(f"{PICKED} {found[0].name}")
            self.changed(entity, picked_up(entity.state, found[0].name), is_at_once=True)
        elif herbs_in(entity.state):
            thing = f"{entity.source}/{entity.serial + 1}"
            self.happened(f"{LAID} {thing}")
            self.changed(entity, laid_down(entity.state, thing), is_at_once=True)
            self.ground.append(Thing(thing, entity.instance, entity.line, (entity.stay, entity.serial)))

    def happened(self, source: str) -> None:
        self.world.sim.ledger.minted[source] += 1

    def changed(self, entity: Entity, state: CharacterState, *, is_at_once: bool) -> None:
        entity.state, entity.is_dirty = state, True
        if is_at_once:
            self.checkpoint(entity, "item")

    def change(self, entity: Entity, m: bus.BusMessage) -> None:
        super().change(entity, m)
        if isinstance(m, bus.Saved):
            self.reveal(entity, m.serial)

    def reveal(self, entity: Entity, serial: int) -> None:
        """The master has the document without what was laid down: now that may be seen."""
        for thing in self.ground:
            if thing.waits_for(entity) and thing.shown_at[1] <= serial:
                thing.line, thing.shown_at = entity.line, None

    def settle(self, entity: Entity, m: bus.Settle) -> None:
        before, held, after = gains_of(entity.state), entity.held, entity.after
        super().settle(entity, m)
        if entity.after != after:  # it has another document
            if held is not None and held.exchange == m.after:  # which was made of what was held
                self.reveal(entity, held.serial)
            self.ground = [thing for thing in self.ground if not thing.waits_for(entity)]  # never laid down
        watch.check_gains_stay(self.world, entity, before)

    def settled(self, entity: Entity) -> None:
        watch.check_settled(self.world, entity)


@dataclass
class Thing:
    """A herb on the ground. `shown_at`: stay and serial of the document that must be saved first."""

    name: str
    instance: int
    line: str
    shown_at: tuple[int, int] | None

    def waits_for(self, entity: Entity) -> bool:
        """Whether it is hidden until a document of that entity is saved."""
        return self.shown_at is not None and self.shown_at[0] == entity.stay
