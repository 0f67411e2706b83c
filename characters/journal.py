"""Accepted writes as the journal has them, and what is answered about them: the same however often asked."""

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from characters.models import Fall, Version
from characters.rules import EarlierWrite, Write
from worlds.models import World
from worlds.uplink.keys import KeyPair
from worlds.uplink.messages import Forked, Saved
from worlds.uplink.receipt import Receipt, sign_receipt


def journal_of(op_ids: Collection[UUID]) -> dict[UUID, Version]:
    """Return the accepted writes of these op_ids, with their falls, without their states."""
    if not op_ids:
        return {}
    rows = Version.objects.filter(op_id__in=op_ids).select_related("fall").defer("state")
    return {row.op_id: row for row in rows}


def earlier_of(row: Version, write: Write) -> EarlierWrite:
    """Return an accepted write as its world names it: one that fell, by main or by the fork."""
    fall = fall_of(row)
    named = fall if fall is not None and write.line == fall.line_id else None
    return EarlierWrite(
        world=row.world_id,
        line=named.line_id if named else row.line_id,
        epoch=named.epoch if named else row.epoch,
        version=named.version + 1 if named else row.version,
        prev_chain=bytes(named.prev_chain if named else row.prev_chain),
        kind=row.kind,
        state_hash=bytes(row.state_hash),
    )


def answer_of(world: World, key: KeyPair, write: Write, row: Version) -> Saved:
    """Return the answer to a write that was accepted, under the names that it has for its world."""
    fall = fall_of(row)
    receipt = receipt_of(world, key, row)
    if fall is None or write.line != fall.line_id:
        return Saved(op_id=write.op_id, version=row.version, chain=bytes(row.chain), receipt=receipt)
    return Saved(
        op_id=write.op_id,
        version=fall.version + 1,
        chain=bytes(fall.chain),
        receipt=receipt,
        forked=Forked(row.line_id, row.epoch, row.version, bytes(row.chain), _reason(fall)),
    )


def fall_of(row: Version) -> Fall | None:
    """Return how a write fell, if it did."""
    return getattr(row, "fall", None)  # Django has no row of a one-to-one as an AttributeError


def _reason(fall: Fall) -> Literal["limited", "budget"]:
    return "budget" if fall.reason == Fall.Reason.BUDGET else "limited"


def receipt_of(world: World, key: KeyPair, row: Version) -> str:
    """Return the receipt of an accepted write of a world."""
    return sign_receipt(
        key,
        Receipt(
            world=world.slug,
            line=row.line_id,
            version=row.version,
            epoch=row.epoch,
            op_id=row.op_id,
            chain=bytes(row.chain),
            state_hash=bytes(row.state_hash),
            at=row.at,
            exchange=row.exchange,
            letter=row.letter,
        ),
    )
