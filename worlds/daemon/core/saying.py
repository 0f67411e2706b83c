"""Saying something to many: one message for each gateway, however many players hear it."""

from collections import defaultdict
from collections.abc import Iterable

from worlds.daemon.core.effects import SendToGateway
from worlds.daemon.core.session import IN_PLAY, Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus
from zonecluster.protocol.to_client import ServerMessage


def to_everybody(w: World, message: ServerMessage) -> int:
    """Tell everybody who is in play. Returns: how many have a link on which they hear it."""
    return to_all(w, (s for s in w.sessions.values() if s.phase in IN_PLAY), message)


def to_all(w: World, sessions: Iterable[Session], message: ServerMessage) -> int:
    """Tell some players. Returns: how many of them have a link on which they hear it."""
    links: dict[str, list[int]] = defaultdict(list)
    for s in sessions:
        if s.link is not None:
            links[s.link.gateway].append(s.link.link)
    for gateway, of_gateway in links.items():
        w.emit(SendToGateway(gateway, bus.ToLinks(links=of_gateway, message=message)))
    return sum(map(len, links.values()))
