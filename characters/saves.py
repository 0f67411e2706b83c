"""Saves: accepted writes to lines. One SQL statement decides, appends the versions and moves the heads.

A batch is one transaction and one round trip while all goes well; each write in it stands or falls by itself.
Every outcome has a name; a refused write changes nothing, and an accepted one is never undone here.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from msgspec import Struct

from characters.budgeting import count_gains, over_budget, weigh
from characters.checking import checking
from characters.claiming import claim_all
from characters.exchange_rules import EXCHANGE_KINDS
from characters.falls import fall_all
from characters.heads import head_of, named_head, newest_falls
from characters.journal import answer_of, earlier_of, journal_of
from characters.models import Line, Version
from characters.rules import Head, Write, Writer, checked_write_of, decide_save, first_of_each
from characters.statement import write_batch
from characters.writers import writer_of
from worlds.models import World
from worlds.signing import signing_keys
from worlds.uplink.keys import KeyPair
from worlds.uplink.messages import Chain, Number, Refusal, Saved, SaveKind
from worlds.uplink.receipt import Receipt, sign_receipts
from zonecluster.protocol.character import InvalidState, next_chain

log = structlog.get_logger(__name__)


class IncomingSave(Struct, frozen=True):
    """The uplink's Save as received: the state is not parsed yet, so that a bad one spoils no other write."""

    line: UUID
    epoch: Number
    version: Number
    prev_chain: Chain
    op_id: UUID
    kind: SaveKind
    state: msgspec.Raw


def save_batch(*, world: World, saves: Sequence[IncomingSave], now: datetime) -> list[Saved]:
    """Write each save of the batch, or refuse it; outcomes in the order of the batch.

    Args: saves: of different lines; a further one of the same line is put off (master_fault) or refused.
    """
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    writer = writer_of(world)
    writes = [_checked(save) for save in saves]
    valid = [write for write in writes if isinstance(write, Write)]
    first = first_of_each(valid)
    written = _write(world, writer, first, now)
    accepted = first if not written.left else [write for write in first if write.op_id not in written.left]
    answers = _accepted(world, key, accepted, written.chains, now)
    if len(answers) < len(saves):
        fresh = {answer.op_id: answer for answer in answers}
        otherwise = _write_otherwise(world, writer, first, written, now)
        answers = _classified(world, writer, key, saves, writes, fresh, otherwise)
    _log_outcomes(world, saves, answers)
    return answers


def _classified(
    world: World,
    writer: Writer,
    key: KeyPair,
    saves: Sequence[IncomingSave],
    writes: Sequence[Write | Refusal],
    fresh: dict[UUID, Saved],
    otherwise: "Otherwise",
) -> list[Saved]:
    """Return the outcome of each save of a batch of which not everything was accepted by the statement.

    Args: fresh: the answers to what was; used up.
    """
    # What was written just now is known; only what is left is read from the journal.
    valid = [write for write in writes if isinstance(write, Write)]
    unknown = _without_first(valid, set(fresh))
    known = journal_of([write.op_id for write in unknown])
    new, refused = set(otherwise.written), dict(otherwise.refused)
    heads = _heads_of([write for write in unknown if write.op_id not in new])
    answers = []
    for save, write in zip(saves, writes, strict=True):
        if isinstance(write, Refusal):
            answer = Saved(op_id=save.op_id, refusal=write)
        elif write.op_id in fresh:
            answer = fresh.pop(write.op_id)
        else:
            is_new = write.op_id in new
            new.discard(write.op_id)
            row, head = known.get(write.op_id), heads.get((write.line, write.epoch))
            refusal = None if is_new else refused.pop(write.op_id, None) or _why_not(writer, write, row, head)
            answer = _answer(world, key, write, row, refusal)
        answers.append(answer)
    return answers


@dataclass(frozen=True)
class Otherwise:
    """What became of what the statement left, by op_id: written after all, or refused for its valuables."""

    written: set[UUID]
    refused: dict[UUID, Refusal]


def _write_otherwise(
    world: World, writer: Writer, first: Sequence[Write], written: "Written", now: datetime
) -> Otherwise:
    """Write what the statement left: what changes a line's valuables, and what falls to the fork."""
    left = [write for write in first if write.op_id in written.left and write.op_id not in written.refused]
    if not left:
        return Otherwise(set(), written.refused)
    within = [write for write in left if write.op_id not in written.over]
    claimed = claim_all(world=world, writes=within, now=now)
    rest = [write for write in left if write.op_id not in claimed.written | claimed.refused.keys()]
    fallen = fall_all(world=world, writer=writer, writes=rest, over=written.over | claimed.over, now=now)
    refused = written.refused | claimed.refused | fallen.refused
    return Otherwise(claimed.written | fallen.written, refused)


def _without_first(writes: Sequence[Write], op_ids: set[UUID]) -> list[Write]:
    """Return the writes but the first one of each of these op_ids, which are used up."""
    left = []
    for write in writes:
        if write.op_id in op_ids:
            op_ids.discard(write.op_id)
        else:
            left.append(write)
    return left


def _checked(save: IncomingSave) -> Write | Refusal:
    """Return the write with its state checked and made canonical."""
    if save.kind in EXCHANGE_KINDS:
        return Refusal("bad_request", f"a write of kind {save.kind} is part of an exchange")
    try:
        return checked_write_of(save, checking.check(save.state))
    except InvalidState as error:
        return Refusal("invalid_state", str(error))


@dataclass(frozen=True)
class Written:
    """What the statement did: `chains` of the writes that it accepted, in their order, and other op_ids.

    `over`: of those, what is over the world's budget; `refused`: what may not be written at all.
    """

    chains: list[bytes]
    left: set[UUID]
    over: set[UUID]
    refused: dict[UUID, Refusal]


def _write(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> Written:
    """Run the statement, for a verified world with what its budget lets through."""
    if not writes:
        return Written([], set(), set(), {})
    op_ids = {write.op_id for write in writes}
    try:
        if writer.is_budgeted and not writer.is_limited:
            with transaction.atomic():
                return _write_within_budget(world, writer, writes, now)
        # Alone the statement is a transaction; in another one it must be possible to go on without it.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            return _run_statement(world, writer, writes, set(), {}, now)
    except IntegrityError as error:
        used = set(journal_of(op_ids))
        cause = str(error).split("\n")[0]
        log.info("op_id_taken", world=world.slug, op_ids=sorted(map(str, used)), error=cause)
    # An op_id was used before, or another request took it at this instant: only that write may fail.
    if used:
        others = _write(world, writer, [write for write in writes if write.op_id not in used], now)
        return Written(others.chains, others.left | used, others.over, others.refused)
    if len(writes) == 1:
        return Written([], op_ids, set(), {})
    alone = [_write(world, writer, [write], now) for write in writes]
    return Written(
        [chain for each in alone for chain in each.chains],
        {op_id for each in alone for op_id in each.left},
        {op_id for each in alone for op_id in each.over},
        {op_id: refusal for each in alone for op_id, refusal in each.refused.items()},
    )


def _write_within_budget(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> Written:
    """Run the statement with the lines locked, so that no gain is counted twice or not at all.

    Forks are locked as well, in one order with main: as the statement and a renewal (leases._RENEW) do.
    """
    ids = {write.line for write in writes}
    held = Line.objects.select_for_update(no_key=True).filter(id__in=ids, holder=world)
    lines = {line.pk: line for line in held.order_by("id") if line.world_id is None}
    known = set(journal_of([write.op_id for write in writes]))
    judged = [
        write
        for write in writes
        if write.line in lines
        and write.op_id not in known
        and decide_save(write, head=head_of(lines[write.line]), earlier=None, writer=writer) == "accepted"
    ]
    weighed = weigh(lines, judged)
    judged = [write for write in judged if write.op_id not in weighed.refused]
    over = set(over_budget(world=world, writes=judged, gains=weighed.gains, now=now))
    written = _run_statement(world, writer, writes, over, weighed.refused, now)
    counted = [write for write in judged if write.op_id not in written.left]
    count_gains(world=world, writes=counted, gains=weighed.gains, now=now)
    return written


def _run_statement(
    world: World,
    writer: Writer,
    writes: Sequence[Write],
    over: set[UUID],
    refused: dict[UUID, Refusal],
    now: datetime,
) -> Written:
    """Run it with all that is not over the budget, nor refused."""
    without = over | refused.keys()
    within = [write for write in writes if write.op_id not in without] if without else writes
    chains = [
        next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash) for write in within
    ]
    left = write_batch(world=world, writer=writer, writes=within, chains=chains, now=now)
    if left:
        chains = [chain for write, chain in zip(within, chains, strict=True) if write.op_id not in left]
    return Written(chains, left | without, over, refused)


def _heads_of(writes: Sequence[Write]) -> dict[tuple[UUID, int], Head]:
    """Return the head that each write names, by its line and epoch; of unknown lines none."""
    if not writes:
        return {}
    names = {(write.line, write.epoch) for write in writes}
    lines = {line.id: line for line in Line.objects.filter(id__in={line for line, _ in names}).defer("state")}
    falls = newest_falls(names)
    heads = {name: named_head(lines.get(name[0]), falls.get(name)) for name in names}
    return {name: head for name, head in heads.items() if head is not None}


def _why_not(writer: Writer, write: Write, row: Version | None, head: Head | None) -> Refusal | None:
    """Return why a write was not accepted now; None if it was before."""
    earlier = earlier_of(row, write) if row is not None else None
    decision = decide_save(write, head=head, earlier=earlier, writer=writer)
    if decision in ("accepted", "falls"):
        # The head came to match after the statement ran, or another write of the batch names the line.
        return Refusal("master_fault", "another request was under way; ask again with the same op_id")
    return decision if isinstance(decision, Refusal) else None


def _answer(world: World, key: KeyPair, write: Write, row: Version | None, refusal: Refusal | None) -> Saved:
    """Return the answer to a write that was not accepted by the statement just now."""
    if refusal is not None:
        return Saved(write.op_id, refusal=refusal)
    assert row is not None  # accepted and repeated writes are in the journal
    return answer_of(world, key, write, row)


def _accepted(
    world: World, key: KeyPair, writes: Sequence[Write], chains: Sequence[bytes], now: datetime
) -> list[Saved]:
    """Return the answers to what the statement accepted just now: as journal.answer_of of its rows."""
    claims = [
        Receipt(
            world=world.slug,
            line=write.line,
            version=write.version + 1,
            epoch=write.epoch,
            op_id=write.op_id,
            chain=chain,
            state_hash=write.state_hash,
            at=now,
        )
        for write, chain in zip(writes, chains, strict=True)
    ]
    receipts = sign_receipts(key, claims)
    return [
        Saved(claim.op_id, claim.version, claim.chain, receipt)
        for claim, receipt in zip(claims, receipts, strict=True)
    ]


def _log_outcomes(world: World, saves: Sequence[IncomingSave], results: Sequence[Saved]) -> None:
    """A line for all that were accepted, as the journal has the rest about them; one for each refusal."""
    accepted = [save.line for save, result in zip(saves, results, strict=True) if result.refusal is None]
    if accepted:  # str() of a UUID takes eight times as long
        lines = msgspec.to_builtins(accepted)
        log.info("saves_accepted", world=world.slug, saves=len(accepted), lines=lines)
    for save, result in zip(saves, results, strict=True):
        if result.refusal is not None:
            log.warning(
                "save_refused",
                world=world.slug,
                line=str(save.line),
                epoch=save.epoch,
                op_id=str(save.op_id),
                kind=save.kind,
                reason=result.refusal.code,
                detail=result.refusal.detail,
                asked_version=save.version,
            )
