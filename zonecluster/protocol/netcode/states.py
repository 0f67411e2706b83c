"""States of both sides and the tables by which they change. The diagrams in docs/netcode.md are drawn from
these tables.

Source: NETCODE 1.02, sections "Client State Machine" and "Server-Side Connection Process".
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

_State = TypeVar("_State", bound=Enum)
_Event = TypeVar("_Event", bound=Enum)


class ClientState(Enum):
    """The client's states by the standard's names and numbers; negative ones are errors and final."""

    CONNECT_TOKEN_EXPIRED = -6
    INVALID_CONNECT_TOKEN = -5
    CONNECTION_TIMED_OUT = -4
    CONNECTION_RESPONSE_TIMED_OUT = -3
    CONNECTION_REQUEST_TIMED_OUT = -2
    CONNECTION_DENIED = -1
    DISCONNECTED = 0
    SENDING_CONNECTION_REQUEST = 1
    SENDING_CONNECTION_RESPONSE = 2
    CONNECTED = 3


class ClientEvent(Enum):
    TOKEN_ACCEPTED = "token accepted"
    TOKEN_REFUSED = "token refused"
    CHALLENGED = "challenge received"
    ADMITTED = "keep-alive received"
    NEXT_SERVER = "denied or silent, another address is left"
    DENIED = "denied by the last address"
    TIMED_OUT = "silent for the time-out"
    TOKEN_EXPIRED = "token's lifetime over"
    CLOSED_BY_SERVER = "disconnect received"
    CLOSED_BY_US = "we disconnect"


_CS, _CE = ClientState, ClientEvent
CLIENT_TRANSITIONS: Mapping[tuple[ClientState, ClientEvent], ClientState] = {
    (_CS.DISCONNECTED, _CE.TOKEN_ACCEPTED): _CS.SENDING_CONNECTION_REQUEST,
    (_CS.DISCONNECTED, _CE.TOKEN_REFUSED): _CS.INVALID_CONNECT_TOKEN,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.CHALLENGED): _CS.SENDING_CONNECTION_RESPONSE,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.NEXT_SERVER): _CS.SENDING_CONNECTION_REQUEST,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.DENIED): _CS.CONNECTION_DENIED,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.TIMED_OUT): _CS.CONNECTION_REQUEST_TIMED_OUT,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.TOKEN_EXPIRED): _CS.CONNECT_TOKEN_EXPIRED,
    (_CS.SENDING_CONNECTION_REQUEST, _CE.CLOSED_BY_US): _CS.DISCONNECTED,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.ADMITTED): _CS.CONNECTED,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.NEXT_SERVER): _CS.SENDING_CONNECTION_REQUEST,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.DENIED): _CS.CONNECTION_DENIED,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.TIMED_OUT): _CS.CONNECTION_RESPONSE_TIMED_OUT,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.TOKEN_EXPIRED): _CS.CONNECT_TOKEN_EXPIRED,
    (_CS.SENDING_CONNECTION_RESPONSE, _CE.CLOSED_BY_US): _CS.DISCONNECTED,
    (_CS.CONNECTED, _CE.TIMED_OUT): _CS.CONNECTION_TIMED_OUT,
    (_CS.CONNECTED, _CE.CLOSED_BY_SERVER): _CS.DISCONNECTED,
    (_CS.CONNECTED, _CE.CLOSED_BY_US): _CS.DISCONNECTED,
}


class LinkState(Enum):
    """What the server knows of one address."""

    NONE = "none"  # nothing is kept of an address like this
    CHALLENGED = "challenged"  # keys are known (the encryption mapping), the address is not proved
    UNCONFIRMED = "unconfirmed"  # has a slot; every payload to it is preceded by a keep-alive
    CONFIRMED = "confirmed"  # has a slot and has sent something from it


class LinkEvent(Enum):
    REQUEST_ACCEPTED = "valid request"
    RESPONSE_ACCEPTED = "valid response, slot free"
    FIRST_PACKET = "first keep-alive or payload"
    CLOSED_BY_CLIENT = "disconnect received"
    CLOSED_BY_SERVER = "we disconnect"
    TIMED_OUT = "silent for the time-out"


_LS, _LE = LinkState, LinkEvent
LINK_TRANSITIONS: Mapping[tuple[LinkState, LinkEvent], LinkState] = {
    (_LS.NONE, _LE.REQUEST_ACCEPTED): _LS.CHALLENGED,
    (_LS.CHALLENGED, _LE.REQUEST_ACCEPTED): _LS.CHALLENGED,
    (_LS.CHALLENGED, _LE.RESPONSE_ACCEPTED): _LS.UNCONFIRMED,
    (_LS.CHALLENGED, _LE.TIMED_OUT): _LS.NONE,
    (_LS.UNCONFIRMED, _LE.FIRST_PACKET): _LS.CONFIRMED,
    (_LS.UNCONFIRMED, _LE.CLOSED_BY_CLIENT): _LS.NONE,
    (_LS.UNCONFIRMED, _LE.CLOSED_BY_SERVER): _LS.NONE,
    (_LS.UNCONFIRMED, _LE.TIMED_OUT): _LS.NONE,
    (_LS.CONFIRMED, _LE.CLOSED_BY_CLIENT): _LS.NONE,
    (_LS.CONFIRMED, _LE.CLOSED_BY_SERVER): _LS.NONE,
    (_LS.CONFIRMED, _LE.TIMED_OUT): _LS.NONE,
}


class ForbiddenTransition(RuntimeError):
    """Our own code asked for a change of state that the table does not hold."""


def following(transitions: Mapping[tuple[_State, _Event], _State], state: _State, event: _Event) -> _State:
    """Return the state after `event`. Raises: ForbiddenTransition: the table has no such change."""
    try:
        return transitions[state, event]
    except KeyError:
        raise ForbiddenTransition(f"{event.name} in state {state.name}") from None


def state_diagram(transitions: Mapping[tuple[_State, _Event], _State], first: _State) -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [
        f"    {source.name} --> {target.name}: {event.value}"
        for (source, event), target in transitions.items()
    ]
    return "\n".join(lines)
