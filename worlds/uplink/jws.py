"""Signed JSON under tickets, receipts and uplink proofs: compact JWS by Ed25519.

Pure. The only accepted algorithm is EdDSA with an Ed25519 key; the type in the header keeps a token made for
one purpose from being used for another (RFC 8725, section 3.11). Times are checked by the callers, who have
the clock.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS

from worlds.uplink.base64url import decode_base64url, encode_base64url
from worlds.uplink.keys import KeyPair

MAX_TOKEN_CHARS = 4096  # the largest of ours has about 700
KID = re.compile(r"[A-Za-z0-9_-]{43}")  # a thumbprint (keys.thumbprint); nothing else is looked up

_jws = PyJWS(algorithms=["EdDSA"])
_encoder = msgspec.json.Encoder(order="sorted")
Claims = TypeVar("Claims")


class BadToken(ValueError):
    """A token that proves nothing; the message says why. For logs and for the peer."""


def encode_claims(claims: dict[str, Any]) -> bytes:
    """Return claims as the JSON that is signed: keys sorted, no white space."""
    return _encoder.encode(claims)


def sign(key: KeyPair, kind: str, claims: dict[str, Any]) -> str:
    """Return a compact JWS of the claims with header `typ` = kind. Equal claims give equal bytes."""
    signed = f"{_head(kind, key.kid)}.{encode_base64url(encode_claims(claims))}"
    return f"{signed}.{encode_base64url(key.private.sign(signed.encode()))}"


@lru_cache(maxsize=64)
def _head(kind: str, kid: str) -> str:
    """Return a token's first part. A receipt for each save: the library's way takes as long as to sign."""
    return encode_base64url(_encoder.encode({"alg": "EdDSA", "kid": kid, "typ": kind}))


def verify(token: str, kind: str, key_of: Callable[[str], Ed25519PublicKey | None]) -> tuple[bytes, str]:
    """Check the form, the type, the algorithm, the key and the signature of a token of any origin.

    Args: key_of: returns the public key of a kid, or None if it is unknown or revoked.
    Returns: the payload (JSON bytes, not yet parsed) and the kid.
    Raises: BadToken.
    """
    header = _header(token)
    if header.get("alg") != "EdDSA":
        raise BadToken(f"the algorithm is {header.get('alg')!r}; only EdDSA is accepted")
    if header.get("typ") != kind:
        raise BadToken(f"the token's type is {header.get('typ')!r}; {kind!r} is needed")
    kid = _kid_in(header)
    key = key_of(kid) if kid is not None else None
    if key is None or kid is None:
        raise BadToken("the token's key is unknown or revoked")
    try:
        return _jws.decode(token, key, algorithms=["EdDSA"]), kid
    except jwt.PyJWTError as error:
        raise BadToken(f"the signature does not hold: {error}") from error


def kid_of(token: str) -> str | None:
    """Return the key that a token of any origin names; nothing is checked but the form.

    Raises: BadToken: not a token.
    """
    return _kid_in(_header(token))


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_CHARS:
        raise BadToken(f"the token has more than {MAX_TOKEN_CHARS} characters")
    try:
        return _jws.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeEncodeError, RecursionError) as error:
        raise BadToken(f"not a signed token: {error}") from error


def _kid_in(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    return kid if isinstance(kid, str) and KID.fullmatch(kid) else None


def unproven_payload(token: str) -> bytes:
    """Return the payload of a token that was checked before, without checking it again.

    Raises: BadToken: not a token.
    """
    _header(token)
    try:
        return decode_base64url(token.split(".")[1])
    except ValueError as error:
        raise BadToken(f"not a signed token: {error}") from error


def parse_claims(payload: bytes, kind: type[Claims]) -> Claims:
    """Return the payload as a struct.

    Raises: BadToken: a claim is missing or of the wrong type.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadToken(f"the claims are not right: {error}") from error
