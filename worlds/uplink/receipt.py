"""Receipts: the repository's signed acknowledgement of one accepted write. Worlds keep them 14 days.

Pure. A receipt of its own is a compact JWS. Receipts of a batch share one signature, over the root of their
Merkle tree (ADR 9): `<JWS of the root>~<claims>~<path>`, each part base64url; each can be checked alone. Both
forms say the same. A repeated write gets an equally good receipt: the same claims.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from worlds.uplink.base64url import decode_base64url, encode_base64url
from worlds.uplink.jws import (
    BadToken,
    kid_of,
    parse_claims,
    sign,
    unproven_payload,
    verify,
)
from worlds.uplink.keys import KeyPair, public_bytes
from worlds.uplink.merkle import BadPath, climb, tree

RECEIPT_TYPE = "waystone-receipt+jwt"
BATCH_TYPE = "waystone-receipts+jwt"
MAX_RECEIPT_CHARS = 4096  # the largest of ours has about 1,300

_leaf_encoder = msgspec.json.Encoder()


class Receipt(Struct, frozen=True):
    """The claims. `world`: slug of the writer; `chain` and `state_hash`: 32 bytes, base64; `at`: RFC 3339.

    `exchange`: the trade or mail that the write was part of; `letter`: the one it posted or emptied.
    """

    world: str
    line: UUID
    version: int
    epoch: int
    op_id: UUID
    chain: bytes
    state_hash: bytes
    at: datetime
    exchange: UUID | None = None
    letter: UUID | None = None


# As above, in the order in which claims are signed, without what is not there: so no dict is made and sorted.
class _Claims(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    at: datetime
    chain: bytes
    epoch: int
    exchange: UUID | None = None
    letter: UUID | None = None
    line: UUID
    op_id: UUID
    state_hash: bytes
    version: int
    world: str


class Root(Struct, frozen=True):
    """The claims that are signed for a batch. `root`: 32 bytes, base64."""

    root: bytes


def sign_receipt(key: KeyPair, receipt: Receipt) -> str:
    """Return the receipt as a compact JWS. Equal ones give equal bytes."""
    return sign(key, RECEIPT_TYPE, _claims(receipt))


def sign_receipts(key: KeyPair, receipts: Sequence[Receipt]) -> list[str]:
    """Return the receipts of a batch, in its order, by one signature. One alone is signed as it is."""
    if len(receipts) < 2:
        return [sign_receipt(key, receipt) for receipt in receipts]
    leaves = [_leaf(receipt) for receipt in receipts]
    root, paths = tree(leaves)
    signed = sign(key, BATCH_TYPE, {"root": root})
    return [
        f"{signed}~{encode_base64url(leaf)}~{encode_base64url(path)}"
        for leaf, path in zip(leaves, paths, strict=True)
    ]


def _claims(receipt: Receipt) -> dict[str, object]:
    claims = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    return {name: claim for name, claim in claims.items() if claim is not None}


def _leaf(receipt: Receipt) -> bytes:
    """Return the claims as encode_claims(_claims(receipt)) would."""
    claims = _Claims(
        at=receipt.at,
        chain=receipt.chain,
        epoch=receipt.epoch,
        exchange=receipt.exchange,
        letter=receipt.letter,
        line=receipt.line,
        op_id=receipt.op_id,
        state_hash=receipt.state_hash,
        version=receipt.version,
        world=receipt.world,
    )
    return _leaf_encoder.encode(claims)


def check_receipt(token: str, key_of: Callable[[str], Ed25519PublicKey | None]) -> Receipt:
    """Return what a receipt says, checked.

    Raises: BadToken: not signed by one of the master's keys, or no receipt.
    """
    if len(token) > MAX_RECEIPT_CHARS:
        raise BadToken(f"the receipt has more than {MAX_RECEIPT_CHARS} characters")
    signed, *rest = token.split("~")
    if not rest:
        payload, _ = verify(token, RECEIPT_TYPE, key_of)
        return parse_claims(payload, Receipt)
    if len(rest) != 2:
        raise BadToken("not a receipt: it has too many parts or too few")
    try:
        leaf, path = map(decode_base64url, rest)
        root = climb(leaf, path)
    except (ValueError, BadPath) as error:
        raise BadToken(f"not a receipt: {error}") from error
    if root != _root_in(signed, key_of):
        raise BadToken("the receipt is not one of those that were signed")
    return parse_claims(leaf, Receipt)


def read_receipt(token: str) -> Receipt:
    """Return what a receipt says that was checked before.

    Raises: BadToken: no receipt.
    """
    _, *rest = token.split("~")
    try:
        return parse_claims(decode_base64url(rest[0]) if rest else unproven_payload(token), Receipt)
    except ValueError as error:
        raise BadToken(f"not a receipt: {error}") from error


def _root_in(signed: str, key_of: Callable[[str], Ed25519PublicKey | None]) -> bytes:
    """Return the root that the master signed. Raises: BadToken."""
    kid = kid_of(signed)
    key = key_of(kid) if kid is not None else None
    if key is None:
        raise BadToken("the token's key is unknown or revoked")
    return _root(signed, public_bytes(key))


@lru_cache(maxsize=128)
def _root(signed: str, key: bytes) -> bytes:
    """Return the root that this key has signed. Kept: the receipts of a batch come one after the other."""
    payload, _ = verify(signed, BATCH_TYPE, lambda _: Ed25519PublicKey.from_public_bytes(key))
    return parse_claims(payload, Root).root
