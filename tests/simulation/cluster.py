"""A zone cluster of the simulation. Its game gives gains; who has an entity's connect token plays it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec

from tests.model_cluster import Entity, ModelCluster
from tests.simulation.ledger import gains_of
from zonecluster.protocol import bus

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

WALKS, GAINS, SAVES_AT_ONCE, PORTALS = 0.1, 0.15, 0.3, 0.03  # per second; SAVES_AT_ONCE: of the gains


class Cluster(ModelCluster):
    """One process."""

    def __init__(self, world: SimulatedWorld, name: str, incarnation: int, process: int) -> None:
        super().__init__(world.slug, name, incarnation)
        self.world, self.process = world, process
        self.paused_until = -1.0

    def say(self, message: bus.BusMessage) -> None:
        self.world.to_daemon(message)

    def is_deaf(self, message: bus.BusMessage) -> bool:
        wait = self.paused_until - self.world.sim.now
        if wait > 0:
            self.world.sim.after(wait + 0.01, lambda: self.take(message))
        return wait > 0 or self.world.clusters.get(self.name) is not self

    def source_of(self, number: int) -> str:
        return f"{self.world.slug}-{self.name}{self.process}-{number}"

    def shown(self, entity: Entity, serial: int) -> None:
        """What is durable is shown to the player: from now on it may not be lost."""
        if serial in entity.sent:
            self.world.show(entity, gains_of(entity.sent[serial]))

    # ---------------------------------------------------------------- the game

    def live(self, rng: Random, seconds: float) -> None:
        """A step of play."""
        for entity in list(self.entities.values()):
            player = self.world.sim.players[entity.character]
            if entity.is_frozen or player.zone_token != entity.token:
                continue
            if rng.random() < WALKS * seconds:
                self.walk(entity, rng.uniform(0, 100))
            if rng.random() < GAINS * seconds and not entity.is_withheld:
                self.world.check_gives(self, entity)
                self.gain(entity, rng)
                player.seen = gains_of(entity.state)
            if rng.random() < PORTALS * seconds:
                zone = self.instances[entity.instance]
                links = sorted(link for source, link in self.world.catalog.links if source == zone)
                self.say(bus.PortalEntered(self.name, entity.session, rng.choice(links), entity.stay))

    def gain(self, entity: Entity, rng: Random) -> None:
        gains = dict(gains_of(entity.state))
        gains[entity.source] = gains.get(entity.source, 0) + 1
        self.world.sim.ledger.minted[entity.source] += 1
        money = entity.state.money + 1
        entity.state = msgspec.structs.replace(entity.state, skills=gains, money=money)
        entity.is_dirty = True
        if rng.random() < SAVES_AT_ONCE:
            self.checkpoint(entity, "item")
