"""Messages of the bus that gateways send and are sent.

Source: docs/protocol.md, section "Bus".
"""

from uuid import UUID

from msgspec import Struct

from zonecluster.protocol.bus_message import BusMessage, Incarnation, Link
from zonecluster.protocol.from_client import ClientMessage, Command
from zonecluster.protocol.to_client import ServerMessage

# ---------------------------------------------------------------- gateway → daemon


class GatewayAlive(BusMessage):
    """Once a second. A new incarnation means that all links of the old one are gone."""

    gateway: str
    incarnation: Incarnation


class LinkMessage(BusMessage):
    """A client message the daemon answers: Hello, Enter, ZoneTokenRequest, Logout, Alliance..."""

    gateway: str
    incarnation: Incarnation
    link: Link
    message: ClientMessage


class LinkClosed(BusMessage):
    """The WebSocket is gone."""

    gateway: str
    incarnation: Incarnation
    link: Link


class OpenLink(Struct, frozen=True):
    """One welcomed world link, and the session whose commands it carries (None: not in play)."""

    link: Link
    session: UUID | None


class LinksOpen(BusMessage):
    """All welcomed links of a gateway, every 5 s and at once after Hail.

    How a restarted daemon learns which link carries which session, and how a lost LinkClosed or Route heals:
    a link that the daemon knows and that is not here is closed.
    """

    gateway: str
    incarnation: Incarnation
    links: list[OpenLink]


# ---------------------------------------------------------------- daemon → gateway


class ToLinks(BusMessage):
    """Deliver `message` to these links (from the daemon or a cluster)."""

    links: list[Link]
    message: ServerMessage


class Route(BusMessage):
    """Commands of this link go to this cluster from now on; empty cluster: they are refused with not_now."""

    link: Link
    session: UUID
    cluster: str


class CloseLink(BusMessage):
    """Close the WebSocket after what was sent to it before."""

    link: Link


# ---------------------------------------------------------------- gateway → cluster


class SessionCommand(BusMessage):
    """A command of a player, to be run by the cluster that owns the player."""

    session: UUID
    command: Command
