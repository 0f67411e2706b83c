"""A zone cluster of this simulation. Money stands for everything durable: it only grows."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec

from tests.model_cluster import ModelCluster
from tests.unit.worlds.daemon.model_master import Violation
from zonecluster.protocol import bus

if TYPE_CHECKING:
    from tests.unit.worlds.daemon.simulation import Simulation

WORLD = "demo"


class Cluster(ModelCluster):
    """One process."""

    def __init__(self, sim: Simulation, name: str, incarnation: int) -> None:
        super().__init__(WORLD, name, incarnation)
        self.sim, self.has_fence = sim, sim.has_fence
        self.stalled_until = self.jammed_until = self.zombies_until = -100.0

    def say(self, message: bus.BusMessage) -> None:
        self.sim.to_daemon(message)

    def is_deaf(self, message: bus.BusMessage) -> bool:
        wait = max(self.stalled_until, self.jammed_until) - self.sim.now
        if wait > 0:
            self.sim.after(wait + 0.01, lambda: self.take(message))
        return wait > 0 or self.sim.clusters.get(self.name) is not self

    def source_of(self, number: int) -> str:
        return f"{self.name}-{number}"

    def live(self, rng: Random) -> None:
        """A step of play: walk, earn, use portals, lay things down and pick them up."""
        self.litter(rng)
        for entity in list(self.entities.values()):
            if entity.is_frozen:
                continue
            if rng.random() < 0.02:
                self.walk(entity, rng.uniform(0, 100))
            if rng.random() < 0.02 and entity.held is None:
                entity.state = msgspec.structs.replace(entity.state, money=entity.state.money + 1)
                entity.is_dirty = True
                if rng.random() < 0.5:
                    self.checkpoint(entity, "item")
            if rng.random() < 0.006:
                zone = self.instances[entity.instance]
                links = sorted(link for source, link in self.sim.catalog.links if source == zone)
                self.say(bus.PortalEntered(self.name, entity.session, rng.choice(links), entity.stay))

    def litter(self, rng: Random) -> None:
        """Things have no owners here: what matters is that nobody picks one up that somebody has."""
        for number in sorted(self.instances):
            lying = self.copies.ground.setdefault(number, [])
            if self.copies.is_still(number) or not self.is_inhabited(number):
                continue
            if rng.random() < 0.02:
                self.sim.things_laid += 1
                lying.append(self.sim.things_laid)
            if lying and rng.random() < 0.02:
                thing = lying.pop(rng.randrange(len(lying)))
                if thing in self.sim.things_taken:
                    raise Violation(f"thing {thing} is picked up a second time, in {number} on {self.name}")
                self.sim.things_taken.add(thing)
