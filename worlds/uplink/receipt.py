"""Receipts: the repository's signed acknowledgement of one accepted write. Worlds keep them 14 days.

Pure. Equal writes give equal receipts (Ed25519 is deterministic): a repeated write gets the same answer.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from worlds.uplink.jws import parse_claims, sign, verify
from worlds.uplink.keys import KeyPair

RECEIPT_TYPE = "waystone-receipt+jwt"


class Receipt(Struct, frozen=True):
    """The claims. `world`: slug of the writer; `chain` and `state_hash`: 32 bytes, base64; `at`: RFC 3339."""

    world: str
    line: UUID
    version: int
    epoch: int
    op_id: UUID
    chain: bytes
    state_hash: bytes
    at: datetime


def sign_receipt(key: KeyPair, receipt: Receipt) -> str:
    """Return the receipt as a compact JWS."""
    return sign(key, RECEIPT_TYPE, {name: getattr(receipt, name) for name in receipt.__struct_fields__})


def check_receipt(token: str, key_of: Callable[[str], Ed25519PublicKey | None]) -> Receipt:
    """Return what a receipt says, checked.

    Raises: BadToken: not signed by one of the master's keys, or no receipt.
    """
    payload, _ = verify(token, RECEIPT_TYPE, key_of)
    return parse_claims(payload, Receipt)
