"""Writes that change which valuables a line has: the slow path of saves, one transaction for all of a batch.

The one statement of saves writes only what has the ids that the head has. What differs is decided here, with
the rows of the things locked (characters/valuables.py); then the heads get their new ids, and the same
statement writes. If any of them cannot be, each is tried by itself: a refused write spoils no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from characters.budgeting import count_gains, over_budget, weigh
from characters.heads import head_of
from characters.models import Line, Version
from characters.refusals import Refused, only_this
from characters.rules import Write, Writer, decide_save
from characters.statement import write_batch
from characters.valuable_rules import changed, kinds_of
from characters.valuables import Claim, claim
from characters.writers import writer_now
from worlds.models import World
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import InvalidState, next_chain

log = structlog.get_logger(__name__)

_HAVE = """
UPDATE characters_line AS line SET valuables = new.valuables
FROM unnest(%s::uuid[], %s::bytea[]) AS new(line, valuables) WHERE line.id = new.line
"""


@dataclass(frozen=True)
class Claimed:
    """What became of such writes, by op_id; those that are in none of these are decided elsewhere."""

    written: set[UUID]
    refused: dict[UUID, Refusal]
    over: set[UUID]


def claim_all(*, world: World, writes: Sequence[Write], now: datetime) -> Claimed:
    """Write what changes the valuables of a line that this world holds. Args: writes: of different lines."""
    lines = Line.objects.filter(id__in={write.line for write in writes}, holder=world)
    has = dict(lines.values_list("id", "valuables")) if writes else {}
    changing = [write for write in writes if write.line in has and bytes(has[write.line]) != write.valuables]
    if len(changing) > 1 and (claimed := _together(world, changing, now)) is not None:
        return claimed
    claimed = Claimed(set(), {}, set())
    for write in changing:
        with only_this(write.op_id, claimed.refused), transaction.atomic():
            _claim(world, [write], now, claimed)
    return claimed


def _together(world: World, writes: Sequence[Write], now: datetime) -> Claimed | None:
    """Write all in one transaction. Returns: None: something stands in the way of one; nothing is written."""
    claimed = Claimed(set(), {}, set())
    try:
        with transaction.atomic():
            _claim(world, writes, now, claimed)
    except (Refused, DataError, InvalidState, IntegrityError, OperationalError) as error:
        cause = str(error).split("\n")[0]
        log.info("claims_one_by_one", world=world.slug, writes=len(writes), error=cause)
        return None
    return claimed


def _claim(world: World, writes: Sequence[Write], now: datetime, claimed: Claimed) -> None:
    """Decide and write, with the lines locked in the order of their ids, as whoever locks several does.

    Raises: Refused: one of them cannot be; roll back.
    """
    writer = writer_now(world)
    locked = Line.objects.select_for_update(no_key=True).filter(id__in=[write.line for write in writes])
    if not writer.is_budgeted:
        locked = locked.defer("state")  # which only gains are counted from
    lines = {line.pk: line for line in locked.order_by("id")}
    known = set(
        Version.objects.filter(op_id__in=[write.op_id for write in writes]).values_list("op_id", flat=True)
    )
    judged = [
        write
        for write in writes
        if write.op_id not in known
        and decide_save(write, head=head_of(lines[write.line]), earlier=None, writer=writer) == "accepted"
    ]
    on_main = [write for write in judged if lines[write.line].world_id is None]
    weighed = weigh(lines, on_main if writer.is_budgeted else [])
    for refusal in weighed.refused.values():
        raise Refused(refusal)
    over = over_budget(world=world, writes=judged, gains=weighed.gains, now=now)
    within = [write for write in judged if write.op_id not in over]
    claims = [_claim_of(write, lines[write.line]) for write in within]
    _write(world, writer, within, now)
    claim(claims, world=world, now=now)
    count_gains(world=world, writes=within, gains=weighed.gains, now=now)
    claimed.over.update(over)
    claimed.written.update(write.op_id for write in within)


def _claim_of(write: Write, line: Line) -> Claim:
    lost, new = changed(bytes(line.valuables), write.valuables)
    kinds = kinds_of(write.document) if new else {}
    return Claim(line, lost, {thing: kinds[thing] for thing in new}, write.op_id)


def _write(world: World, writer: Writer, writes: Sequence[Write], now: datetime) -> None:
    """Append the versions and move the heads, which have other ids from now on."""
    if not writes:
        return
    with connection.cursor() as cursor:
        cursor.execute(_HAVE, [[write.line for write in writes], [write.valuables for write in writes]])
    chains = [
        next_chain(write.prev_chain, write.version + 1, write.op_id, write.state_hash) for write in writes
    ]
    if write_batch(world=world, writer=writer, writes=writes, chains=chains, now=now):
        # The lines are locked and were judged: what the world may do has changed at this instant.
        raise Refused(Refusal("master_fault", "another request was under way; ask again with the same op_id"))
