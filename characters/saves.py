"""Saves: accepted writes to lines. One SQL statement decides, moves the head and appends the version.

A batch is one transaction and one round trip while all goes well; each write in it stands or falls by itself.
Every outcome has a name; a refused write changes nothing, and an accepted one is never undone here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
import psycopg
import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from msgspec import Struct

from characters.budgeting import count_gains, gains_of, over_budget
from characters.claiming import claim_all
from characters.falls import fall_all
from characters.heads import head_of, named_head, newest_falls
from characters.models import Fall, Line, Version
from characters.rules import EarlierWrite, Head, Write, Writer, decide_save, first_of_each, write_of
from worlds.models import World
from worlds.signing import signing_keys
from worlds.uplink.keys import KeyPair
from worlds.uplink.messages import Chain, Forked, Number, Refusal, Saved, SaveKind
from worlds.uplink.receipt import Receipt, sign_receipt
from zonecluster.protocol.character import InvalidState, decode_state, encode_state, next_chain

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


# All that rules.decide_save asks for of a write that it calls `accepted`, as one statement. What is to fall
# matches nothing here, nor what changes the valuables of a line (claiming.py). The lines are locked in the
# order of their ids (see leases._RENEW). A world can lock only lines that it holds. An op_id used before is
# left to the classification below; two at the same instant meet at the unique constraint.
_SAVE = """
WITH asked AS (
    SELECT * FROM unnest(
        %(lines)b::uuid[], %(epochs)b::bigint[], %(versions)b::bigint[], %(prev_chains)b::bytea[],
        %(op_ids)b::uuid[], %(kinds)b::text[], %(chains)b::bytea[], %(hashes)b::bytea[], %(states)b::bytea[],
        %(valuables)b::bytea[]
    ) AS given(line, epoch, version, prev_chain, op_id, kind, chain, state_hash, state, valuables)
), held AS (
    SELECT line.id FROM characters_line AS line
    JOIN asked ON asked.line = line.id
    JOIN worlds_world AS world ON world.id = line.holder_id
    WHERE line.holder_id = %(world)b
      AND world.suspended_at IS NULL
      AND (line.world_id = world.id
           OR (line.world_id IS NULL AND %(may_main)b AND world.tier = %(tier)b AND world.limited_at IS NULL))
      AND NOT EXISTS (SELECT FROM characters_version AS seen WHERE seen.op_id = asked.op_id)
    ORDER BY line.id
    FOR NO KEY UPDATE OF line
), head AS (
    UPDATE characters_line AS line
    SET version = line.version + 1, chain = asked.chain, state_hash = asked.state_hash, state = asked.state,
        updated_at = %(now)b
    FROM held, asked
    WHERE line.id = held.id AND line.id = asked.line
      AND line.holder_id = %(world)b AND line.epoch = asked.epoch
      AND line.version = asked.version AND line.chain = asked.prev_chain
      AND line.valuables = asked.valuables
    RETURNING line.id, line.version, asked.op_id
)
INSERT INTO characters_version
    (line_id, version, op_id, epoch, world_id, at, kind, prev_chain, chain, state_hash, state)
SELECT head.id, head.version, asked.op_id, asked.epoch, %(world)b, %(now)b, asked.kind,
       asked.prev_chain, asked.chain, asked.state_hash, asked.state
FROM head JOIN asked ON asked.op_id = head.op_id AND asked.line = head.id
RETURNING op_id
"""


def save_batch(*, world: World, saves: Sequence[IncomingSave], now: datetime) -> list[Saved]:
    """Write each save of the batch, or refuse it; outcomes in the order of the batch.

    Args: saves: of different lines; a further one of the same line is put off (master_fault) or refused.
    """
    key = signing_keys(settings.CONFIG.signing_keys_dir).newest
    writer = _writer(world)
    writes = [_checked(save) for save in saves]
    valid = [write for write in writes if isinstance(write, Write)]
    first = first_of_each(valid)
    written = _write(world, writer, first, now)
    chains = written.chains
    left = [write for write in first if write.op_id not in chains]
    new, refused = _write_otherwise(world, writer, left, written.over, now)
    # What the statement wrote just now is known; only what is left is read from the journal.
    unknown = _without_first(valid, set(chains))
    known = _journal_of([write.op_id for write in unknown])
    heads = _heads_of([write for write in unknown if write.op_id not in new])
    results = []
    for save, write in zip(saves, writes, strict=True):
        if isinstance(write, Refusal):
            result = Saved(op_id=save.op_id, refusal=write)
        elif (chain := chains.pop(write.op_id, None)) is not None:
            result = _written(world, key, write, chain, now)
        else:
            is_new = write.op_id in new
            new.discard(write.op_id)
            row, head = known.get(write.op_id), heads.get((write.line, write.epoch))
            refusal = None if is_new else refused.pop(write.op_id, None) or _why_not(writer, write, row, head)
            result = _answer(world, key, write, row, refusal)
        results.append(result)
    _log_outcomes(world, saves, results)
    return results


def _write_otherwise(
    world: World, writer: Writer, left: Sequence[Write], over: set[UUID], now: datetime
) -> tuple[set[UUID], dict[UUID, Refusal]]:
    """Write what the statement left: what changes a line's valuables, and what falls to the fork.

    Args: over: of these, what is over the world's budget.
    Returns: the op_ids that were written; what was refused by the rules of valuables.
    """
    if not left:
        return set(), {}
    within = [write for write in left if write.op_id not in over]
    claimed = claim_all(world=world, writer=writer, writes=within, now=now)
    rest = [write for write in left if write.op_id not in claimed.written | claimed.refused.keys()]
    fallen = fall_all(world=world, writer=writer, writes=rest, over=over | claimed.over, now=now)
    return claimed.written | fallen.written, claimed.refused | fallen.refused


def _without_first(writes: Sequence[Write], op_ids: set[UUID]) -> list[Write]:
    """Return the writes but the first one of each of these op_ids, which are used up."""
    left = []
    for write in writes:
        if write.op_id in op_ids:
            op_ids.discard(write.op_id)
        else:
            left.append(write)
    return left


def _writer(world: World) -> Writer:
    return Writer(
        world.pk,
        is_official=world.tier == "official",
        is_suspended=world.suspended_at is not None,
        is_limited=world.limited_at is not None,
        is_budgeted=world.tier == "verified",
    )


def _checked(save: IncomingSave) -> Write | Refusal:
    """Return the write with its state checked and made canonical."""
    try:
        document = decode_state(bytes(save.state))
        state = encode_state(document)
    except InvalidState as error:
        return Refusal("invalid_state", str(error))
    return write_of(save, state, document)


@dataclass(frozen=True)
class Written:
    """`chains`: of the writes that the statement accepted, by op_id; `over`: those over the budget."""

    chains: dict[UUID, bytes]
    over: set[UUID]


def _write(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> Written:
    """Run the statement, for a verified world with what its budget lets through."""
    if not writes:
        return Written({}, set())
    try:
        with transaction.atomic():
            if writer.is_budgeted and not writer.is_limited:
                return _write_within_budget(world, writer, writes, now)
            return Written(_run_statement(world, writer, writes, now), set())
    except IntegrityError as error:
        if len(writes) == 1:
            log.info(
                "op_id_taken", world=world.slug, op_id=str(writes[0].op_id), error=str(error).split("\n")[0]
            )
            return Written({}, set())
    # Another request took one of the op_ids at this instant: only that write may fail, so each goes alone.
    written = Written({}, set())
    for write in writes:
        alone = _write(world, writer, [write], now)
        written.chains.update(alone.chains)
        written.over.update(alone.over)
    return written


def _write_within_budget(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> Written:
    """Run the statement with the lines of main locked, so that no gain is counted twice or not at all."""
    ids = {write.line for write in writes}
    held = Line.objects.select_for_update(no_key=True).filter(id__in=ids, holder=world, world=None)
    lines = {line.pk: line for line in held.order_by("id")}
    known = set(_journal_of([write.op_id for write in writes]))
    judged = [
        write
        for write in writes
        if write.line in lines
        and write.op_id not in known
        and decide_save(write, head=head_of(lines[write.line]), earlier=None, writer=writer) == "accepted"
    ]
    gains = gains_of(lines, judged)
    over = set(over_budget(world=world, writes=judged, gains=gains, now=now))
    chains = _run_statement(world, writer, [write for write in writes if write.op_id not in over], now)
    count_gains(
        world=world, writes=[write for write in judged if write.op_id in chains], gains=gains, now=now
    )
    return Written(chains, over)


def _run_statement(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> dict[UUID, bytes]:
    """Run it with values sent in binary: Django's cursors write them into the SQL, states as escaped hex."""
    chains = {
        write.op_id: next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash)
        for write in writes
    }
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            _SAVE,
            {
                "world": world.pk,
                "may_main": writer.is_official or writer.is_budgeted,
                "tier": world.tier,
                "now": now,
                "lines": [write.line for write in writes],
                "epochs": [write.epoch for write in writes],
                "versions": [write.version for write in writes],
                "prev_chains": [write.prev_chain for write in writes],
                "op_ids": [write.op_id for write in writes],
                "kinds": [write.kind for write in writes],
                "chains": list(chains.values()),
                "hashes": [write.state_hash for write in writes],
                "states": [write.state for write in writes],
                "valuables": [write.valuables for write in writes],
            },
        )
        return {op_id: chains[op_id] for (op_id,) in cursor.fetchall()}


def _journal_of(op_ids: Sequence[UUID]) -> dict[UUID, Version]:
    """Return the accepted writes of these op_ids, with their falls, without their states."""
    rows = Version.objects.filter(op_id__in=op_ids).select_related("fall").defer("state")
    return {row.op_id: row for row in rows}


def _heads_of(writes: Sequence[Write]) -> dict[tuple[UUID, int], Head]:
    """Return the head that each write names, by its line and epoch; of unknown lines none."""
    names = {(write.line, write.epoch) for write in writes}
    lines = {line.id: line for line in Line.objects.filter(id__in={line for line, _ in names}).defer("state")}
    falls = newest_falls(names)
    heads = {name: named_head(lines.get(name[0]), falls.get(name)) for name in names}
    return {name: head for name, head in heads.items() if head is not None}


def _why_not(writer: Writer, write: Write, row: Version | None, head: Head | None) -> Refusal | None:
    """Return why a write was not accepted now; None if it was before."""
    earlier = _earlier(row, write) if row is not None else None
    decision = decide_save(write, head=head, earlier=earlier, writer=writer)
    if decision in ("accepted", "falls"):
        # The head came to match after the statement ran, or another write of the batch names the line.
        return Refusal("master_fault", "another request was under way; ask again with the same op_id")
    return decision if isinstance(decision, Refusal) else None


def _fall_of(row: Version) -> Fall | None:
    return getattr(row, "fall", None)  # Django has no row of a one-to-one as an AttributeError


def _earlier(row: Version, write: Write) -> EarlierWrite:
    """Return an accepted write as its world names it: one that fell, by main or by the fork."""
    fall = _fall_of(row)
    is_by_main = fall is not None and write.line == fall.line_id
    named = fall if fall is not None and is_by_main else None
    return EarlierWrite(
        world=row.world_id,
        line=named.line_id if named else row.line_id,
        epoch=named.epoch if named else row.epoch,
        version=named.version + 1 if named else row.version,
        prev_chain=bytes(named.prev_chain if named else row.prev_chain),
        kind=row.kind,
        state_hash=bytes(row.state_hash),
    )


def _answer(world: World, key: KeyPair, write: Write, row: Version | None, refusal: Refusal | None) -> Saved:
    """Return the answer to one write: its receipt, or why not."""
    if refusal is not None:
        return Saved(op_id=write.op_id, refusal=refusal)
    assert row is not None  # accepted and repeated writes are in the journal
    fall = _fall_of(row)
    receipt = _receipt(world, key, row)
    if fall is None or write.line != fall.line_id:
        return Saved(op_id=write.op_id, version=row.version, chain=bytes(row.chain), receipt=receipt)
    return Saved(
        op_id=write.op_id,
        version=fall.version + 1,
        chain=bytes(fall.chain),
        receipt=receipt,
        forked=Forked(row.line_id, row.epoch, row.version, bytes(row.chain), _reason(fall)),
    )


def _reason(fall: Fall) -> Literal["limited", "budget"]:
    return "budget" if fall.reason == Fall.Reason.BUDGET else "limited"


def _written(world: World, key: KeyPair, write: Write, chain: bytes, now: datetime) -> Saved:
    """Return the answer to a write that the statement accepted just now: as _answer would of its row."""
    version = write.version + 1
    receipt = Receipt(
        world=world.slug,
        line=write.line,
        version=version,
        epoch=write.epoch,
        op_id=write.op_id,
        chain=chain,
        state_hash=write.state_hash,
        at=now,
    )
    return Saved(op_id=write.op_id, version=version, chain=chain, receipt=sign_receipt(key, receipt))


def _receipt(world: World, key: KeyPair, row: Version) -> str:
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
        ),
    )


def _log_outcomes(world: World, saves: Sequence[IncomingSave], results: Sequence[Saved]) -> None:
    """A line for all that were accepted, as the journal has the rest about them; one for each refusal."""
    accepted = [str(save.line) for save, result in zip(saves, results, strict=True) if result.refusal is None]
    if accepted:
        log.info("saves_accepted", world=world.slug, saves=len(accepted), lines=accepted)
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
