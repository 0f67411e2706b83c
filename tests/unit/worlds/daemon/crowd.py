"""A daemon's core with many players, each of an account of its own: for the queue and what all hear."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from accounts.rules import Edition
from characters.rules import limits_message
from tests.unit.worlds.daemon.simulation import catalog
from tests.unit.worlds.daemon.test_core import Core
from worlds.daemon.core.effects import RecordSession
from worlds.daemon.core.events import Recorded
from worlds.daemon.core.session import Phase, Session
from worlds.uplink import messages as uplink
from zonecluster.protocol import bus
from zonecluster.protocol.character import GENESIS_CHAIN, CharacterState
from zonecluster.protocol.from_client import Enter, Hello
from zonecluster.protocol.to_client import CharacterSummary, Queued, Welcome


@dataclass
class Person:
    """Somebody with one character, on one link."""

    name: str
    link: int
    edition: str = "free"
    is_operator: bool = False
    account: UUID = field(default_factory=uuid4)
    hero: UUID = field(default_factory=uuid4)
    line: UUID = field(default_factory=uuid4)

    def admission(self) -> uplink.Admission:
        summary = CharacterSummary(id=self.hero, name=self.name, level=1, line="main")
        limits = limits_message(Edition(self.edition))
        return uplink.Admission(uuid4(), self.account, self.edition, limits, [summary], self.is_operator)

    def lease(self) -> uplink.Lease:
        state = CharacterState()
        return uplink.Lease(self.hero, self.name, self.line, "main", 1, 120.0, 4, GENESIS_CHAIN, state)


class Crowd(Core):
    """The core of a world with few places."""

    def __init__(self, **about: Any) -> None:
        super().__init__()
        self.core.world.catalog = replace(catalog(), **about)

    @property
    def world(self):
        return self.core.world

    def session(self, person: Person) -> Session | None:
        found = (s for s in self.world.sessions.values() if s.account == person.account)
        return next(found, None)

    def phase(self, person: Person) -> Phase:
        s = self.session(person)
        return s.phase if s is not None else Phase.ENDED

    def hello(self, person: Person) -> Welcome:
        self.say(Hello(1, "test", f"a fresh ticket of {person.name} {uuid4()}"), person.link)
        self.answer(self.asked(uplink.Redeem), person.admission())
        return self.told(Welcome, person.link)

    def ask_in(self, person: Person) -> None:
        """Say hello and enter: the person waits, or its lease is asked for."""
        self.hello(person)
        self.say(Enter(person.hero), person.link)

    def let_in(self, person: Person) -> None:
        """The master grants the lease that was just asked for, and the cluster admits."""
        s = self.session(person)
        assert s is not None and s.phase is Phase.ACQUIRING
        self.answer(self.asked(uplink.Acquire), person.lease())
        record = next(e for e in self.effects if isinstance(e, RecordSession))
        self.do(Recorded(record.row.id))
        if s.phase is Phase.OPENING:
            self.hear(bus.InstanceOpened("east", 1, 1001))
        self.admitted(self.ordered(bus.Admit))
        assert s.phase is Phase.PLAYING

    def play(self, person: Person) -> None:
        self.ask_in(person)
        self.let_in(person)

    def places(self, *people: Person) -> list[tuple[int, int]]:
        """Return (place, ahead) that each was told last, of the effects at hand."""
        return [(told.place, told.ahead) for told in (self.told(Queued, one.link) for one in people)]
