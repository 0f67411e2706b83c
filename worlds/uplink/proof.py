"""A world's proof on the uplink: a JWT of 60 s, signed by the world's key, bound to method, path and body.

Both sides: the world daemon signs, the master checks. Pure; the clock is an argument. The proof is checked in
two steps, so that the master reads no large body of a stranger: first the head (who, when, for what), then
the body. Not bound to one use: every uplink request is idempotent or fenced, so a repeated one does no harm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from worlds.uplink.base64url import encode_base64url
from worlds.uplink.jws import BadToken, parse_claims, sign, verify
from worlds.uplink.keys import KeyPair

PROOF_TYPE = "waystone-uplink+jwt"
AUDIENCE = "waystone-uplink"
LIFETIME_S = 60  # long enough for a slow upload, short enough that a leaked proof is soon worthless
LEEWAY_S = 30  # how far the clocks of world and master may differ


class BadProof(BadToken):
    """A request that no world has signed in this form; the message says what is wrong."""


class ProofClaims(Struct, frozen=True):
    """The claims; `htm`, `htu`, `bsh`: method, path, base64url(SHA-256(body))."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    htm: str
    htu: str
    bsh: str


@dataclass(frozen=True)
class Proof:
    """Who sent a request: the world's slug as it calls itself, and the key that signed."""

    world: str
    kid: str
    jti: str
    body_hash: str


def sign_request(key: KeyPair, world: str, method: str, path: str, body: bytes, now: datetime) -> str:
    """Return the proof for one request, for the header `Authorization: Bearer <proof>`.

    Args: path: of the URL, without host and query ("/api/v1/uplink/save/"); body: exactly as sent.
    """
    issued = int(now.timestamp())
    claims = ProofClaims(
        iss=world, aud=AUDIENCE, iat=issued, exp=issued + LIFETIME_S, jti=str(uuid4()),
        htm=method, htu=path, bsh=hash_body(body),
    )  # fmt: skip
    return sign(key, PROOF_TYPE, {name: getattr(claims, name) for name in claims.__struct_fields__})


def hash_body(body: bytes) -> str:
    """Return the claim `bsh` of a body."""
    return encode_base64url(sha256(body).digest())


def check_head(
    token: str, key_of: Callable[[str], Ed25519PublicKey | None], *, method: str, path: str, now: datetime
) -> Proof:
    """Check everything but the body. Whether the key is that world's is left to the caller, who looked it up.

    Args: key_of: returns the public key of a kid, or None if it is unknown or revoked.
    Raises: BadProof.
    """
    try:
        payload, kid = verify(token, PROOF_TYPE, key_of)
        claims = parse_claims(payload, ProofClaims)
    except BadToken as error:
        raise BadProof(str(error)) from error
    problem = _problem(claims, method, path, now.timestamp())
    if problem:
        raise BadProof(problem)
    return Proof(world=claims.iss, kid=kid, jti=claims.jti, body_hash=claims.bsh)


def check_body(proof: Proof, body: bytes) -> None:
    """Check that the body is the one that was signed.

    Raises: BadProof.
    """
    if hash_body(body) != proof.body_hash:
        raise BadProof("the body is not the one that was signed")


def check_request(
    token: str,
    key_of: Callable[[str], Ed25519PublicKey | None],
    *,
    method: str,
    path: str,
    body: bytes,
    now: datetime,
) -> Proof:
    """Check a whole request: head and body.

    Raises: BadProof.
    """
    proof = check_head(token, key_of, method=method, path=path, now=now)
    check_body(proof, body)
    return proof


def _problem(claims: ProofClaims, method: str, path: str, now_s: float) -> str:
    """Return what is wrong with the claims; empty if nothing is."""
    if claims.aud != AUDIENCE:
        return f"the audience is {claims.aud!r}; {AUDIENCE!r} is needed"
    if not 0 < claims.exp - claims.iat <= LIFETIME_S:
        return f"a proof may run for at most {LIFETIME_S} s"
    if claims.iat > now_s + LEEWAY_S:
        return f"the proof is {round(claims.iat - now_s)} s from the future: check the world's clock"
    if now_s >= claims.exp + LEEWAY_S:
        return f"the proof expired {round(now_s - claims.exp)} s ago: check the world's clock"
    if (claims.htm, claims.htu) != (method, path):
        return f"the proof is for {claims.htm} {claims.htu}, not for {method} {path}"
    return ""
