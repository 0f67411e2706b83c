"""Players with their clients, modelled for the simulation."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.unit.worlds.daemon.model_master import Line
from tests.unit.worlds.daemon.model_traders import Trader
from zonecluster.protocol.character import CharacterState, Item
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import Entered, Goodbye, Queued, Refused, Welcome, ZoneAssigned

if TYPE_CHECKING:
    from tests.unit.worlds.daemon.simulation import Simulation

STEP_S = 0.05


class Player(Trader):
    """A client: logs in, enters, plays, and does what people do to their links."""

    def __init__(self, sim: Simulation, number: int) -> None:
        self.sim = sim
        self.account, self.character = sim.master.new_id(), sim.master.new_id()
        things = [Item("bread", 20), Item("crown", 1, sim.master.new_id())]
        state = CharacterState(bags={"inventory": things})
        self.line = Line(sim.master.new_id(), state=state, name=f"Al {number}")
        sim.master.lines[self.character] = self.line
        super().__init__()
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
            case Queued():
                self.asked_at = self.sim.now
                self.sim.counts["places told"] += 1
            case ZoneAssigned():
                self.zone = message
            case Refused(code):
                if code in ("bad_resume_token", "ticket_used", "bad_ticket"):
                    self.resume = None
                self.asked_at = self.sim.now - 9.0
            case Goodbye():
                self.resume = None
            case _:
                self.hear_of_trade(message)

    def enter(self) -> None:
        self.asked_at = self.sim.now
        self.sim.gateway.forward(self.link, Enter(self.character))

    def is_heard(self) -> bool:
        """Whether there is somebody at the other end of the zone link; a client notices that in time."""
        entities = [e for cluster in self.sim.clusters.values() if cluster for e in cluster.entities.values()]
        place = (self.character, self.zone.instance, self.zone.entity)
        return any((e.character, e.instance, e.number) == place for e in entities)

    def act(self, rng: Random, misbehave: float) -> None:
        if self.link is None:
            if self.wants_to_play and rng.random() < 0.05:
                self.open_link()
            return
        is_waiting = not (self.welcome and self.has_entered and self.zone and self.is_heard())
        if is_waiting and self.wants_to_play and self.sim.now - self.asked_at > 10.0:
            if self.welcome is None:
                self.say_hello()
            elif not self.has_entered:
                self.enter()
            else:
                self.asked_at = self.sim.now
                self.sim.gateway.forward(self.link, ZoneTokenRequest())
        if self.has_entered:
            self.trade_on(rng)
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
