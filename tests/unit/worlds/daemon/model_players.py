"""Players with their clients, and the gateway between them and the daemon, modelled for the simulation."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from tests.unit.worlds.daemon.model_master import Line
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import Entered, Goodbye, Refused, Welcome, ZoneAssigned

if TYPE_CHECKING:
    from tests.unit.worlds.daemon.simulation import Simulation

STEP_S = 0.05


class Player:
    """A client: logs in, enters, plays, and does what people do to their links."""

    def __init__(self, sim: Simulation, number: int) -> None:
        self.sim = sim
        self.account, self.character = sim.master.new_id(), sim.master.new_id()
        sim.master.lines[self.character] = Line(sim.master.new_id())
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
            case ZoneAssigned():
                self.zone = message
            case Refused(code):
                if code in ("bad_resume_token", "ticket_used", "bad_ticket"):
                    self.resume = None
                self.asked_at = self.sim.now - 9.0
            case Goodbye():
                self.resume = None

    def enter(self) -> None:
        self.asked_at = self.sim.now
        self.sim.gateway.forward(self.link, Enter(self.character))

    def act(self, rng: Random, misbehave: float) -> None:
        if self.link is None:
            if self.wants_to_play and rng.random() < 0.05:
                self.open_link()
            return
        is_waiting = not (self.welcome and self.has_entered and self.zone)
        if is_waiting and self.wants_to_play and self.sim.now - self.asked_at > 10.0:
            if self.welcome is None:
                self.say_hello()
            elif not self.has_entered:
                self.enter()
            else:
                self.asked_at = self.sim.now
                self.sim.gateway.forward(self.link, ZoneTokenRequest())
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


class Gateway:
    """The gateway process: links and routes."""

    def __init__(self, sim: Simulation, incarnation: int) -> None:
        self.sim, self.incarnation = sim, incarnation
        self.players: dict[int, Player] = {}
        self.routes: dict[int, tuple[UUID, str]] = {}
        self.is_welcomed: set[int] = set()

    def open(self, player: Player) -> int:
        link = self.sim.rng.getrandbits(62)
        self.players[link] = player
        return link

    def close(self, link: int) -> None:
        self.players.pop(link, None)
        self.routes.pop(link, None)
        self.is_welcomed.discard(link)
        self.sim.to_daemon(bus.LinkClosed("g", self.incarnation, link))

    def forward(self, link: int | None, message: object) -> None:
        if link in self.players:
            self.sim.to_daemon(bus.LinkMessage("g", self.incarnation, link, message))

    def take(self, m: bus.BusMessage) -> None:
        match m:
            case bus.ToLinks(links, message):
                for link in links:
                    player = self.players.get(link)
                    if player is not None:
                        if isinstance(message, Welcome):
                            self.is_welcomed.add(link)
                        player.get(message)
            case bus.Route(link, session, cluster):
                if link in self.players:
                    self.routes[link] = (session, cluster)
            case bus.CloseLink(link):
                player = self.players.get(link)
                if player is not None:
                    player.link = None
                    self.close(link)
            case bus.Hail():
                self.announce()

    def announce(self) -> None:
        self.sim.to_daemon(bus.GatewayAlive("g", self.incarnation))
        links = [
            bus.OpenLink(link, self.routes[link][0] if link in self.routes else None)
            for link in sorted(self.is_welcomed)
        ]
        self.sim.to_daemon(bus.LinksOpen("g", self.incarnation, links))
