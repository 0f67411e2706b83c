"""The connection request packet: built by the client, read by the server up to the opened private token.

Source: NETCODE 1.02, section "Processing Connection Requests".
"""

from collections.abc import Callable
from typing import NamedTuple

from .drops import Drop
from .tokens import BadToken, ConnectToken, PrivateToken, open_private_token, parse_private_token
from .wire import REQUEST, REQUEST_BYTES, REQUEST_LAYOUT, TAG_BYTES, VERSION_INFO


class Request(NamedTuple):
    """A connection request whose private token opened."""

    token: PrivateToken
    expire_at: int
    tag: bytes  # of the private token: its name in the history


def write_request(token: ConnectToken) -> bytes:
    """Return the 1078 bytes by which a client asks to connect."""
    return REQUEST_LAYOUT.pack(
        REQUEST, VERSION_INFO, token.protocol_id, token.expire_at, token.nonce, token.sealed_private
    )


def read_request(
    data: bytes, *, protocol_id: int, private_key: bytes, unix_now: float, may_open: Callable[[], bool]
) -> Request | Drop:
    """Check a connection request in the standard's order and open its token.

    Args: may_open: asked once, after all cheap checks and before decryption; False drops the request.
    """
    if len(data) != REQUEST_BYTES:
        return Drop.BAD_REQUEST_SIZE
    _, version, claimed_protocol_id, expire_at, nonce, sealed = REQUEST_LAYOUT.unpack(data)
    if version != VERSION_INFO:
        return Drop.BAD_VERSION
    if claimed_protocol_id != protocol_id:
        return Drop.BAD_PROTOCOL_ID
    if expire_at <= unix_now:
        return Drop.TOKEN_EXPIRED
    if not may_open():
        return Drop.RATE_LIMITED
    plain = open_private_token(sealed, protocol_id, expire_at, nonce, private_key)
    if plain is None:
        return Drop.TOKEN_FORGED
    try:
        token = parse_private_token(plain)
    except BadToken:
        return Drop.TOKEN_MALFORMED
    return Request(token, expire_at, sealed[-TAG_BYTES:])
