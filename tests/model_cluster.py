"""A zone cluster as the simulations of the world daemon model it, by zonecluster/protocol/bus.py.

Not here: what is played, and what goes wrong. Each simulation adds those.
"""

from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import msgspec

from tests.model_copies import ModelCopies
from zonecluster.protocol import bus
from zonecluster.protocol.character import CharacterState, Place


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
    is_withheld: bool = False
    withhold_order: int = 0
    serial: int = 0
    frozen_by: UUID | None = None
    sent: dict[int, CharacterState] = field(default_factory=dict)  # by serial
    after: UUID | None = None
    line: bus.LineKind = "main"
    level_cap: int | None = None
    held: bus.Held | None = None

    @property
    def may_gain(self) -> bool:
        """Whether anything durable may change."""
        return not (self.is_frozen or self.is_withheld or self.held)

    @property
    def token(self) -> bytes:
        return self.source.encode()


class ModelCluster:
    """One process. Subclasses say how messages travel, when it is deaf, and what is played."""

    has_fence = True  # whether orders below the highest are ignored

    def __init__(self, world_name: str, name: str, incarnation: int) -> None:
        self.world_name, self.name, self.incarnation = world_name, name, incarnation
        self.instances: dict[int, str] = {}
        self.entities: dict[tuple[UUID, int], Entity] = {}
        self.orders: dict[UUID, int] = {}
        self.numbers = count(1)
        self.copies = ModelCopies(self)

    # ---------------------------------------------------------------- for subclasses

    def say(self, message: bus.BusMessage) -> None:
        """Send a message to the daemon."""
        raise NotImplementedError

    def is_deaf(self, message: bus.BusMessage) -> bool:
        """Whether a message is not taken now: kept for later, or the process is dead."""
        raise NotImplementedError

    def source_of(self, number: int) -> str:
        """Return the name of a new entity."""
        raise NotImplementedError

    def shown(self, entity: Entity, serial: int) -> None:
        """The document of that serial may be shown to the player."""

    def settled(self, entity: Entity) -> None:
        """The entity has the document that an exchange has left: the master's."""

    # ---------------------------------------------------------------- the contract

    def is_inhabited(self, instance: int) -> bool:
        return any(e.instance == instance for e in self.entities.values())

    def of(self, session: UUID) -> list[Entity]:
        return [e for e in self.entities.values() if e.session == session]

    def is_late(self, m: bus.BusMessage) -> bool:
        if not self.has_fence or m.order == 0:
            return False
        highest = self.orders.get(m.session, 0)
        self.orders[m.session] = max(highest, m.order)
        return m.order < highest

    def take(self, m: bus.BusMessage) -> None:
        if self.is_deaf(m):
            return
        match m:
            case bus.Hail():
                self.announce()
            case bus.OpenInstance():
                self.copies.open(m)
            case bus.CloseInstance(instance):
                if not self.is_inhabited(instance):
                    self.instances.pop(instance, None)
                    self.copies.forget(instance)
            case bus.ExportInstance() | bus.ImportInstance() | bus.ActivateInstance() | bus.ResumeInstance():
                self.copies.take(m)
            case bus.Admit():
                if m.incarnation == self.incarnation and not self.is_late(m):
                    self.admit(m)
            case bus.Hold() | bus.Settle():
                if not self.is_late(m):
                    self.exchange(m)
            case bus.Freeze() | bus.Thaw() | bus.Remove():
                if not self.is_late(m):
                    self.obey(m)
            case bus.MintToken(session, request):
                self.mint(session, request)
            case bus.HandlersOff():
                pass  # no commands are played here
            case _:
                for entity in self.of(m.session):
                    if getattr(m, "stay", 0) in (0, entity.stay):
                        self.change(entity, m)

    def change(self, entity: Entity, m: bus.BusMessage) -> None:
        match m:
            case bus.Attach(_, _, link):
                entity.link = link
            case bus.TakeCheckpoint(_, kind) if not entity.is_frozen:
                self.checkpoint(entity, kind)
            case bus.LineIs(_, line):
                entity.line = line
            case bus.LimitsAre(_, level_cap):
                entity.level_cap = level_cap
            case bus.Saved(_, serial):
                entity.line = m.line or entity.line
                self.shown(entity, serial)
                if entity.serial == serial:
                    entity.is_dirty = False
            case bus.Journaled(_, serial):
                self.shown(entity, serial)
            case bus.Withhold(_, is_on, order) if order >= entity.withhold_order:
                entity.is_withheld, entity.withhold_order = is_on, order

    def admit(self, m: bus.Admit) -> None:
        if m.instance not in self.instances:
            self.say(bus.AdmitRefused(self.name, m.session, m.request, "not open"))
            return
        entity = self.entities.get((m.session, m.instance))
        if entity is None or entity.request != m.request:
            for other in self.of(m.session):
                other.is_frozen = True
            number = next(self.numbers)
            entity = Entity(
                m.session, m.character, m.instance, m.request, m.order, m.state, m.link, number,
                self.source_of(number), after=m.after, line=m.line, level_cap=m.level_cap,
            )  # fmt: skip
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

    def obey(self, m: bus.Freeze | bus.Thaw | bus.Remove) -> None:
        entity = self.entities.get((m.session, m.instance))
        match m:
            case bus.Freeze() if entity is None:
                self.say(bus.Unknown(self.name, self.incarnation, m.session, m.request))
            case bus.Freeze():
                self.freeze(entity, m.request)
            case bus.Thaw() if entity is not None:
                entity.is_frozen = False
                for other in self.of(m.session):
                    if other is not entity:
                        del self.entities[(other.session, other.instance)]
            case bus.Remove():
                for each in self.of(m.session):
                    if m.instance in (0, each.instance):
                        del self.entities[(each.session, each.instance)]
                self.say(bus.Removed(self.name, self.incarnation, m.session, m.order))

    def freeze(self, entity: Entity, request: UUID) -> None:
        if not (entity.is_frozen and entity.frozen_by == request):
            entity.is_frozen, entity.frozen_by = True, request
            entity.serial += 1
            entity.sent[entity.serial] = entity.state
        answer = bus.Frozen(self.name, entity.session, request, entity.state, entity.serial, entity.after)
        self.say(answer)

    def exchange(self, m: bus.Hold | bus.Settle) -> None:
        entity = next((e for e in self.of(m.session) if m.stay in (0, e.stay)), None)
        if entity is None:
            if isinstance(m, bus.Hold) and not self.of(m.session):
                self.say(bus.Unknown(self.name, self.incarnation, m.session, None))
        elif isinstance(m, bus.Hold):
            self.hold(entity, m.exchange)
        else:
            self.settle(entity, m)
            self.say(bus.Settled(self.name, entity.session, entity.stay, entity.after))

    def hold(self, entity: Entity, exchange: UUID) -> None:
        if entity.held is None or entity.held.exchange != exchange:
            entity.serial += 1
            entity.sent[entity.serial] = entity.state
            entity.held = bus.Held(
                self.name, entity.session, exchange, entity.state, entity.serial, entity.stay, entity.after
            )
        self.say(entity.held)

    def settle(self, entity: Entity, m: bus.Settle) -> None:
        is_new = m.state is not None and m.after != entity.after
        if entity.held is None and not is_new:
            return
        held, entity.held = entity.held, None
        entity.line = m.line or entity.line
        if is_new:
            if held is not None and held.exchange == m.after:  # it was saved before the exchange
                self.shown(entity, held.serial)
            places = {**m.state.places, self.world_name: entity.state.places[self.world_name]}
            entity.state = msgspec.structs.replace(m.state, places=places)
            entity.after, entity.is_dirty = m.after, False
            self.settled(entity)

    def checkpoint(self, entity: Entity, kind: str) -> None:
        entity.serial += 1
        entity.sent[entity.serial] = entity.state
        message = bus.Checkpoint(
            self.name, entity.session, entity.state, kind, entity.serial, entity.stay, entity.after
        )
        self.say(message)

    def announce(self) -> None:
        self.say_alive()
        self.say_residents()

    def say_residents(self) -> None:
        residents = [self.resident(e) for e in self.entities.values()]
        self.say(bus.Residents(self.name, self.incarnation, residents))

    def say_alive(self) -> None:
        instances = sorted(self.instances)
        self.say(
            bus.ClusterAlive(
                self.name, self.incarnation, instances, len(self.entities), 1.0,
                vacant=sorted(self.copies.vacant), exported=sorted(self.copies.exported),
            )
        )  # fmt: skip

    def resident(self, e: Entity) -> bus.Resident:
        place = e.state.places[self.world_name]
        return bus.Resident(
            e.session, e.instance, place.position, place.heading_deg, e.is_dirty, e.stay, e.is_frozen, e.link,
            e.is_withheld, after=e.after, held=e.held.exchange if e.held else None, line=e.line,
            serial=e.serial, level_cap=e.level_cap,
        )  # fmt: skip

    def walk(self, entity: Entity, x: float) -> None:
        """Stand elsewhere in the same zone."""
        place = Place(zone=self.instances[entity.instance], position=(x, x, 0.0))
        places = {**entity.state.places, self.world_name: place}
        entity.state = msgspec.structs.replace(entity.state, places=places)
