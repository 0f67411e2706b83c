"""A zone cluster of the simulation, by the contract of zonecluster/protocol/bus.py. Its game gives gains."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from tests.simulation.ledger import gains_of
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

WALKS, GAINS, SAVES_AT_ONCE, PORTALS = 0.1, 0.15, 0.3, 0.03  # per second; SAVES_AT_ONCE: of the gains


@dataclass
class Entity:
    """A player in an instance. `source` names it in the character's gains."""

    session: UUID
    character: UUID
    instance: int
    request: UUID
    stay: int
    state: CharacterState
    link: int | None
    number: int
    source: str
    is_frozen: bool = False
    is_dirty: bool = False
    serial: int = 0
    frozen_by: UUID | None = None

    @property
    def token(self) -> bytes:
        return f"{self.source}".encode()


class Cluster:
    """One process."""

    def __init__(self, world: SimulatedWorld, name: str, incarnation: int, process: int) -> None:
        self.world, self.name, self.incarnation, self.process = world, name, incarnation, process
        self.instances: dict[int, str] = {}
        self.entities: dict[tuple[UUID, int], Entity] = {}
        self.orders: dict[UUID, int] = {}
        self.numbers = count(1)
        self.paused_until = -1.0

    def say(self, message: bus.BusMessage) -> None:
        self.world.to_daemon(message)

    def of(self, session: UUID) -> list[Entity]:
        return [e for e in self.entities.values() if e.session == session]

    def is_late(self, session: UUID, order: int) -> bool:
        highest = self.orders.get(session, 0)
        self.orders[session] = max(highest, order)
        return order < highest

    def take(self, m: bus.BusMessage) -> None:
        wait = self.paused_until - self.world.sim.now
        if wait > 0:
            self.world.sim.after(wait + 0.01, lambda: self.take(m))
            return
        if self.world.clusters.get(self.name) is not self:
            return  # died meanwhile
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
                if m.incarnation == self.incarnation and not self.is_late(m.session, m.order):
                    self.admit(m)
            case bus.Freeze():
                if not self.is_late(m.session, m.order):
                    self.freeze(m)
            case bus.Thaw():
                if not self.is_late(m.session, m.order):
                    self.thaw(m)
            case bus.Remove():
                if not self.is_late(m.session, m.order):
                    for entity in self.of(m.session):
                        if m.instance in (0, entity.instance):
                            del self.entities[(entity.session, entity.instance)]
                    self.say(bus.Removed(session=m.session, order=m.order, **rest))
            case bus.MintToken(session, request):
                self.mint(session, request)
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
            refusal = bus.AdmitRefused(self.name, m.session, m.request, "not open")
            self.say(refusal)
            return
        entity = self.entities.get((m.session, m.instance))
        if entity is None or entity.request != m.request:
            for other in self.of(m.session):
                other.is_frozen = True
            number = next(self.numbers)
            source = f"{self.world.slug}-{self.name}{self.process}-{number}"
            entity = Entity(
                m.session, m.character, m.instance, m.request, m.order, m.state, m.link, number, source
            )
            self.entities[(m.session, m.instance)] = entity
        self.say_admitted(entity, m.request)

    def say_admitted(self, entity: Entity, request: UUID) -> None:
        answer = bus.Admitted(
            self.name, self.incarnation, entity.session, request, entity.number, entity.token
        )
        self.say(answer)

    def mint(self, session: UUID, request: UUID) -> None:
        found = self.of(session)
        if found:
            self.say_admitted(max(found, key=lambda e: e.stay), request)
        else:
            self.say(bus.Unknown(self.name, self.incarnation, session, request))

    def freeze(self, m: bus.Freeze) -> None:
        entity = self.entities.get((m.session, m.instance))
        if entity is None:
            self.say(bus.Unknown(self.name, self.incarnation, m.session, m.request))
            return
        if not (entity.is_frozen and entity.frozen_by == m.request):
            entity.is_frozen, entity.frozen_by = True, m.request
            entity.serial += 1
        self.say(bus.Frozen(self.name, m.session, m.request, entity.state, entity.serial))

    def thaw(self, m: bus.Thaw) -> None:
        entity = self.entities.get((m.session, m.instance))
        if entity is not None:
            entity.is_frozen = False
            for other in self.of(m.session):
                if other is not entity:
                    del self.entities[(other.session, other.instance)]

    def checkpoint(self, entity: Entity, kind: str) -> None:
        entity.serial += 1
        self.say(bus.Checkpoint(self.name, entity.session, entity.state, kind, entity.serial, entity.stay))

    def announce(self) -> None:
        self.say_alive()
        self.say(
            bus.Residents(self.name, self.incarnation, [self.resident(e) for e in self.entities.values()])
        )

    def say_alive(self) -> None:
        instances = sorted(self.instances)
        self.say(bus.ClusterAlive(self.name, self.incarnation, instances, len(self.entities), 1.0))

    def resident(self, e: Entity) -> bus.Resident:
        place = e.state.places[self.world.slug]
        return bus.Resident(
            e.session, e.instance, place.position, place.heading_deg, e.is_dirty, e.stay, e.is_frozen, e.link
        )

    # ---------------------------------------------------------------- the game

    def live(self, rng: Random, seconds: float) -> None:
        """A step of play. An entity is played by a client that has its connect token."""
        for entity in list(self.entities.values()):
            player = self.world.sim.players[entity.character]
            if entity.is_frozen or player.zone_token != entity.token:
                continue
            if rng.random() < WALKS * seconds:
                self.walk(entity, rng)
            if rng.random() < GAINS * seconds:
                self.gain(entity, rng)
                player.seen = gains_of(entity.state)
            if rng.random() < PORTALS * seconds:
                zone = self.instances[entity.instance]
                links = sorted(link for source, link in self.world.catalog.links if source == zone)
                self.say(bus.PortalEntered(self.name, entity.session, rng.choice(links), entity.stay))

    def walk(self, entity: Entity, rng: Random) -> None:
        x = rng.uniform(0, 100)
        place = Place(zone=self.instances[entity.instance], position=(x, x, 0.0))
        places = {**entity.state.places, self.world.slug: place}
        entity.state = msgspec.structs.replace(entity.state, places=places)

    def gain(self, entity: Entity, rng: Random) -> None:
        gains = dict(gains_of(entity.state))
        gains[entity.source] = gains.get(entity.source, 0) + 1
        self.world.sim.ledger.minted[entity.source] += 1
        money = entity.state.money + 1
        entity.state = msgspec.structs.replace(entity.state, skills=gains, money=money)
        entity.is_dirty = True
        if rng.random() < SAVES_AT_ONCE:
            self.checkpoint(entity, "item")
