"""Players with their clients, who go from world to world."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.ledger import Gains, gains_of
from tests.simulation.trader import Trader
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, Hello, Logout, ZoneTokenRequest
from zonecluster.protocol.to_client import Entered, Goodbye, Refused, Welcome, ZoneAssigned

if TYPE_CHECKING:
    from tests.model_cluster import Entity
    from tests.simulation.cluster import Cluster
    from tests.simulation.simulation import Simulation
    from tests.simulation.world import SimulatedWorld

PATIENCE_S = 10.0  # after that a client asks again
PAUSE_S = 3.0  # after a refusal
ACTS_S = 1.0  # on average


class Player:
    """A client with one character."""

    def __init__(self, sim: Simulation, name: str, account: UUID, character: UUID) -> None:
        self.sim, self.name, self.account, self.character = sim, name, account, character
        self.world: SimulatedWorld = sim.worlds[0]
        self.link: int | None = None
        self.resume: str | None = None
        self.zone_token = b""
        self.zone: ZoneAssigned | None = None
        self.seen: Gains = {}
        self.seen_in: Cluster | None = None  # the process that showed it
        self.seen_as: UUID | None = None  # the session in which it was
        self.has_entered = False
        self.welcome: Welcome | None = None
        self.asked_at = -100.0
        self.not_before = 0.0
        self.wants_to_play = True
        self.trader = Trader(self)

    # ---------------------------------------------------------------- doing

    def open_link(self) -> None:
        """Open a world link and say Hello, with the resume token or a fresh ticket."""
        self.has_entered, self.welcome, self.zone = False, None, None
        if self.resume is not None:
            hello = Hello(PROTOCOL_VERSION, "sim", None, self.resume)
        else:
            ticket = self.sim.issue_ticket(self)
            if ticket is None:
                self.not_before = self.sim.now + PAUSE_S
                return
            hello = Hello(PROTOCOL_VERSION, "sim", ticket, None)
        self.link = self.world.gateway.open(self)
        self.say(hello)

    def say(self, message: object) -> bool:
        self.asked_at = self.sim.now
        self.world.gateway.forward(self.link, message)
        return True

    def cut(self) -> bool:
        """The world link breaks; the zone link does not."""
        if self.link is not None:
            self.world.gateway.close(self.link)
        self.link = None
        return True

    def quit(self) -> bool:
        """The client ends: both links."""
        self.cut()
        self.resume, self.zone_token, self.trader.trade = None, b"", None
        return True

    def begin(self) -> None:
        """Do from now on what clients and people do."""
        watch, name = self.sim.chaos.watch, self.name
        watch("link_cut", name, lambda force: self.link is not None and self.cut())
        watch("relog", name, lambda force: self.link is not None and self.quit())
        watch("log_out", name, lambda force: self.link is not None and self.say(Logout()))
        watch("travel", name, lambda force: self.link is not None and self.travel(force))
        self.act()
        self.trader.begin()

    def act(self) -> None:
        """Log in if there is no link, ask again what was not answered; soon again."""
        if self.link is not None:
            self.ask_again()
        elif self.wants_to_play and self.sim.now >= self.not_before:
            self.open_link()
        self.sim.after(ACTS_S * (0.5 + self.sim.rng.random()), self.act)

    def ask_again(self) -> None:
        """Repeat what was not answered."""
        if self.sim.now - self.asked_at < PATIENCE_S or not self.wants_to_play:
            return
        if self.welcome is None:
            self.cut()  # the next link asks with the same resume token, or a new ticket
        elif not self.has_entered:
            self.say(Enter(self.character))
        elif self.zone is None or self.world.entity_of(self.zone_token) is None:
            self.say(ZoneTokenRequest())  # there is no zone link, or it has gone silent

    def travel(self, force: float) -> bool:
        """Go to another world: half of the time without a log-out."""
        if force < 0.5:
            self.say(Logout())
        self.quit()
        others = [world for world in self.sim.worlds if world is not self.world]
        if int(force * 10_000) % 2:  # where somebody is
            used = {player.world.slug for player in self.sim.players.values() if player is not self}
            others = [world for world in others if world.slug in used] or others
        self.world = others[int(force * 1000) % len(others)]
        return True

    # ---------------------------------------------------------------- hearing

    def get(self, message: object) -> None:
        match message:
            case Welcome():
                self.welcome, self.resume = message, message.resume
                if message.playing is None and self.wants_to_play:
                    self.say(Enter(self.character))
            case Entered():
                self.has_entered = True
            case ZoneAssigned():
                self.zone, self.zone_token = message, message.connect_token
                found = self.world.entity_of(message.connect_token)
                if found is not None:
                    self.see(*found)
            case Refused(code):
                self.refused(code)
            case Goodbye():
                self.resume, self.zone_token = None, b""
                self.cut()
                self.not_before = self.sim.now + 1.0
            case _:
                self.trader.get(message)

    def see(self, cluster: Cluster, entity: Entity) -> None:
        """The zone shows what the character has."""
        self.seen, self.seen_in, self.seen_as = gains_of(entity.state), cluster, entity.session

    def refused(self, code: str) -> None:
        if code in ("bad_resume_token", "ticket_used", "bad_ticket", "ticket_expired"):
            self.resume = None
        self.not_before = self.sim.now + PAUSE_S
        if self.welcome is None:
            self.cut()
        elif code == "bad_ticket":  # the account was admitted elsewhere since: log in again
            self.quit()
        else:
            self.asked_at = self.sim.now - PATIENCE_S + PAUSE_S
