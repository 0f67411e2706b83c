"""What a ticket says, and its check without a database: for the master and, offline, for world daemons.

Pure; the clock is an argument. That a ticket is used once is the master's business (worlds/tickets.py).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from worlds.uplink.base64url import decode_base64url
from worlds.uplink.jws import BadToken, parse_claims, verify
from worlds.uplink.messages import RefusalCode

TICKET_TYPE = "waystone-ticket+jwt"
ISSUER = "waystone-master"
TICKET_LIFETIME_S = 60


class TicketRefused(Exception):
    """A ticket that lets nobody in; `code` names why, the message is for the player's client."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code: RefusalCode = code
        self.detail = detail


class TicketClaims(Struct, frozen=True):
    """The claims. `aud`: the world's slug; `sub`: its pseudonym of the account; times in Unix seconds."""

    iss: str
    aud: str
    sub: UUID
    jti: UUID
    iat: int
    nbf: int
    exp: int
    edition: str


def check_ticket(
    token: str,
    key_of: Callable[[str], Ed25519PublicKey | None],
    *,
    world: str,
    now: datetime,
    leeway_s: float = 0,
) -> TicketClaims:
    """Check signature, type, issuer, audience and times of a ticket of any origin.

    Args: key_of: the master's public key of a kid (see keys_of_jwks), or None; leeway_s: how far this
        machine's clock may be off: 0 at the master, 30 at a world.
    Raises: TicketRefused: bad_ticket or ticket_expired.
    """
    try:
        payload, _ = verify(token, TICKET_TYPE, key_of)
        claims = parse_claims(payload, TicketClaims)
    except BadToken as error:
        raise TicketRefused("bad_ticket", str(error)) from error
    now_s = now.timestamp()
    if claims.iss != ISSUER:
        raise TicketRefused("bad_ticket", f"the ticket was issued by {claims.iss!r}, not by the master")
    if claims.aud != world:
        raise TicketRefused("bad_ticket", f"the ticket is for the world {claims.aud!r}, not for {world!r}")
    if not 0 < claims.exp - claims.iat <= TICKET_LIFETIME_S or claims.nbf != claims.iat:
        raise TicketRefused("bad_ticket", f"a ticket runs for {TICKET_LIFETIME_S} s")
    if claims.iat > now_s + 1 + leeway_s:  # 1 s: `iat` of the same second, seen by another process
        raise TicketRefused("bad_ticket", "the ticket is from the future")
    if now_s >= claims.exp + leeway_s:
        raise TicketRefused("ticket_expired", "the ticket has expired; get a new one and connect at once")
    return claims


def keys_of_jwks(jwks: dict[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of the master's JWKS by kid. Keys of other kinds are left out.

    Raises: ValueError: not a JWKS, or an Ed25519 key in it is malformed.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list):
        raise ValueError("not a JWKS: no list of keys")
    found = {}
    for jwk in keys:
        if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
            continue
        if not isinstance(jwk.get("kid"), str) or not isinstance(jwk.get("x"), str):
            raise ValueError("not a JWKS: a key without kid or x")
        found[jwk["kid"]] = Ed25519PublicKey.from_public_bytes(decode_base64url(jwk["x"]))
    return found
