"""A gateway as the simulations of the world daemon model it: it knows links and routes, and no rules."""

from collections.abc import Callable
from random import Random
from typing import Protocol
from uuid import UUID

from zonecluster.protocol import bus
from zonecluster.protocol.from_client import ClientMessage
from zonecluster.protocol.to_client import ServerMessage, Welcome


class Client(Protocol):
    """A player's client at the other end of a link."""

    link: int | None

    def get(self, message: ServerMessage) -> None:
        """Take a message of the server."""


class Gateway:
    """A gateway process: links and routes. `to_daemon` is its way to the daemon; `rng` names its links."""

    def __init__(self, to_daemon: Callable[[bus.BusMessage], None], rng: Random, incarnation: int) -> None:
        self.to_daemon, self.rng, self.incarnation = to_daemon, rng, incarnation
        self.players: dict[int, Client] = {}
        self.routes: dict[int, tuple[UUID, str]] = {}
        self.is_welcomed: set[int] = set()

    def open(self, player: Client) -> int:
        link = self.rng.getrandbits(62)
        self.players[link] = player
        return link

    def close(self, link: int) -> None:
        self.players.pop(link, None)
        self.routes.pop(link, None)
        self.is_welcomed.discard(link)
        self.to_daemon(bus.LinkClosed("g", self.incarnation, link))

    def forward(self, link: int | None, message: ClientMessage) -> None:
        if link in self.players:
            self.to_daemon(bus.LinkMessage("g", self.incarnation, link, message))

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
        self.to_daemon(bus.GatewayAlive("g", self.incarnation))
        links = [
            bus.OpenLink(link, self.routes[link][0] if link in self.routes else None)
            for link in sorted(self.is_welcomed)
        ]
        self.to_daemon(bus.LinksOpen("g", self.incarnation, links))
