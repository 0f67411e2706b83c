"""A zone cluster, modelled for the simulation by the contract of zonecluster/protocol/bus.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place

if TYPE_CHECKING:
    from tests.unit.worlds.daemon.simulation import Simulation

WORLD = "demo"


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

    def __init__(self, sim: Simulation, name: str, incarnation: int) -> None:
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
                active = self.of(session)
                if active:
                    entity = max(active, key=lambda e: e.stay)
                    token = b"fresh"
                    self.say(
                        bus.Admitted(
                            session=session,
                            request=request,
                            entity=entity.number,
                            connect_token=token,
                            **rest,
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
            self.say(
                bus.AdmitRefused(cluster=self.name, session=m.session, request=m.request, reason="not open")
            )
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
        self.say(
            bus.Residents(self.name, self.incarnation, [self.resident(e) for e in self.entities.values()])
        )

    def resident(self, e: Entity) -> bus.Resident:
        position, heading = e.place.position, e.place.heading_deg
        return bus.Resident(e.session, e.instance, position, heading, e.is_dirty, e.stay, e.is_frozen, e.link)

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
