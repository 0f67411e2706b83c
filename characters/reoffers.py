"""Worlds offer what they hold after a restore: each receipt is the master's own word, checked by its key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from msgspec import Meta, Struct

from characters.collecting import collecting, finish_if_complete
from characters.collecting_rules import Outcome, decide_offer
from characters.heads import head_of
from characters.letter_replay import replay_letter
from characters.lines import Entry, append_version
from characters.models import Incarnation, Line, Reoffer, Version, WaitingOffer
from characters.refusals import Refused
from characters.rules import LEASE
from worlds.models import World
from worlds.signing import signing_keys
from worlds.uplink.jws import BadToken
from worlds.uplink.messages import MAX_BATCH, Number, ReceiptText, Refusal, Reoffered, SaveKind
from worlds.uplink.receipt import Receipt, check_receipt
from zonecluster.protocol.character import InvalidState, canonical_state, state_hash

log = structlog.get_logger(__name__)


class IncomingOffer(Struct, frozen=True):
    """The uplink's OfferedVersion as received: the state is not parsed yet."""

    receipt: ReceiptText
    kind: SaveKind
    state: msgspec.Raw


class IncomingReoffer(Struct, frozen=True):
    """The uplink's Reoffer as it is received."""

    incarnation: Number
    versions: Annotated[list[IncomingOffer], Meta(max_length=MAX_BATCH)]
    is_last: bool


class Refuted(ValueError):
    """An offer that proves nothing; the message says why."""


def take_reoffer(*, world: World, request: IncomingReoffer, now: datetime) -> Reoffered:
    """Take back what continues a head; remember what cannot be placed yet. Repeating is harmless.

    Raises: Refused: stale: nothing is collected under that incarnation.
    """
    counts = dict.fromkeys(("replayed", "known", "waiting", "overtaken", "unknown", "refused"), 0)
    with transaction.atomic():
        row = collecting()
        if row is None or row.number != request.incarnation:
            raise Refused(Refusal("stale", "no such restore is under way"))
        for receipt, kind, state in _proved(world, request.versions, counts):
            counts[_take(world, receipt, kind, state, now)] += 1
        _note(world, row, counts, now if request.is_last else None)
    if request.is_last:
        finish_if_complete(now=now)
    log.info("reoffer_taken", world=world.slug, incarnation=request.incarnation, **counts)
    return Reoffered(
        incarnation=request.incarnation,
        replayed=counts["replayed"],
        known=counts["known"],
        waiting=counts["waiting"],
        refused=counts["refused"] + counts["overtaken"] + counts["unknown"],
    )


def _proved(
    world: World, offers: Sequence[IncomingOffer], counts: dict[str, int]
) -> list[tuple[Receipt, str, bytes]]:
    """Return what the offers prove, of each line in its order; count and log those that prove nothing."""
    proved = []
    for offer in offers:
        try:
            receipt, state = _check(world, offer)
        except Refuted as error:
            counts["refused"] += 1
            log.warning("reoffer_refused", world=world.slug, error=str(error))
        else:
            proved.append((receipt, offer.kind, state))
    return sorted(proved, key=lambda each: (each[0].line, each[0].version))


def _check(world: World, offer: IncomingOffer) -> tuple[Receipt, bytes]:
    """Return the receipt's claims and the state that they are about. Raises: Refuted."""
    try:
        receipt = check_receipt(offer.receipt, signing_keys(settings.CONFIG.signing_keys_dir).key_of)
        state = canonical_state(bytes(offer.state))
    except (BadToken, InvalidState) as error:
        raise Refuted(str(error)) from error
    if receipt.world != world.slug:
        raise Refuted(f"the receipt is world {receipt.world}'s")
    if state_hash(state) != receipt.state_hash:
        raise Refuted("the state is not the one that was acknowledged")
    return receipt, state


def _take(world: World, receipt: Receipt, kind: str, state: bytes, now: datetime) -> Outcome:
    line = Line.objects.select_for_update(no_key=True).filter(id=receipt.line).first()
    is_known = Version.objects.filter(op_id=receipt.op_id).exists()
    outcome = decide_offer(head_of(line) if line else None, receipt, is_known=is_known)
    if outcome == "replayed" and line is not None:
        entry = Entry(
            kind,
            state,
            world,
            receipt.epoch,
            receipt.op_id,
            exchange=receipt.exchange,
            letter=receipt.letter,
        )
        before = bytes(line.state)
        append_version(line=line, entry=entry, now=receipt.at)
        replay_letter(line=line, before=before, receipt=receipt, world=world, now=now)
        # Who wrote last goes on under the lease of that write, if it is still there to renew it.
        Line.objects.filter(pk=line.pk).update(
            epoch=max(line.epoch, receipt.epoch), holder=world, lease_until=now + LEASE, acquire_op_id=None
        )
        WaitingOffer.objects.filter(line=line.id, version__lte=receipt.version).delete()
    elif outcome == "waiting":
        _wait(world, receipt, state)
    elif outcome == "unknown":
        log.error("restored_line_unknown", line=str(receipt.line), world=world.slug, version=receipt.version)
    return outcome


def _wait(world: World, receipt: Receipt, state: bytes) -> None:
    """Remember the newest state of a line that cannot be placed."""
    known = WaitingOffer.objects.select_for_update().filter(line=receipt.line).first()
    if known is None or known.version < receipt.version:
        WaitingOffer.objects.update_or_create(
            line=receipt.line, defaults={"version": receipt.version, "world": world, "state": state}
        )


def _note(world: World, row: Incarnation, counts: dict[str, int], completed_at: datetime | None) -> None:
    offer, _ = Reoffer.objects.get_or_create(incarnation=row, world=world)
    changes: dict[str, object] = {"replayed": F("replayed") + counts["replayed"]}
    if completed_at is not None:
        changes["completed_at"] = completed_at
    Reoffer.objects.filter(pk=offer.pk).update(**changes)
