"""What the two cores tell their shells."""

from enum import Enum

import msgspec

from .addresses import Address
from .states import ClientState


class DisconnectReason(Enum):
    BY_CLIENT = "by_client"
    BY_SERVER = "by_server"
    TIMED_OUT = "timed_out"


class Connected(msgspec.Struct, frozen=True, gc=False):
    """A client has answered its challenge and holds a slot. `user_data`: the token's 256 bytes."""

    client_id: int
    slot: int
    user_data: bytes
    address: Address


class Disconnected(msgspec.Struct, frozen=True, gc=False):
    client_id: int
    slot: int
    reason: DisconnectReason


class Payload(msgspec.Struct, frozen=True, gc=False):
    """1..1300 bytes from a connected client."""

    client_id: int
    data: bytes


class StateChanged(msgspec.Struct, frozen=True, gc=False):
    """The client core is in another state now."""

    state: ClientState


class PayloadReceived(msgspec.Struct, frozen=True, gc=False):
    """1..1300 bytes from the server."""

    data: bytes


ServerEvent = Connected | Disconnected | Payload
ClientCoreEvent = StateChanged | PayloadReceived
