"""NETCODE 1.02, the zone link: server and client as cores without I/O, written from the text of the standard.

Not here: sockets, clocks, randomness (zonecluster/daemon and clients/python bring them), and what payloads
mean (zone_payloads.py). docs/netcode.md tells which clause of the standard is kept where, and what was
checked.
"""

from .addresses import Address
from .client import ClientCore
from .drops import Drop, Statistics
from .events import (
    ClientCoreEvent,
    Connected,
    Disconnected,
    DisconnectReason,
    Payload,
    PayloadReceived,
    ServerEvent,
    StateChanged,
)
from .links import Handover, Limits
from .server import ServerCore
from .states import ClientState, LinkEvent
from .tokens import mint_connect_token
from .wire import CONNECT_TOKEN_BYTES, MAX_PAYLOAD_SENT_BYTES

# "WAYSTN" and a version: a client with another one is not answered. Raise it when zone_payloads.py changes so
# that old clients would misread it.
PROTOCOL_ID = 0x5741_5953_544E_0002

__all__ = [
    "CONNECT_TOKEN_BYTES",
    "MAX_PAYLOAD_SENT_BYTES",
    "PROTOCOL_ID",
    "Address",
    "ClientCore",
    "ClientCoreEvent",
    "ClientState",
    "Connected",
    "DisconnectReason",
    "Disconnected",
    "Drop",
    "Handover",
    "Limits",
    "LinkEvent",
    "Payload",
    "PayloadReceived",
    "ServerCore",
    "ServerEvent",
    "StateChanged",
    "Statistics",
    "mint_connect_token",
]
