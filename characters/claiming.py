"""Writes that change which valuables a line has: the slow path of saves, a transaction for each.

The one statement of saves writes only what has the ids that the head has. What differs is decided here, with
the rows of the things locked: characters/valuables.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from characters.budgeting import count_gains, over_budget, weigh
from characters.heads import head_of
from characters.lines import Entry, append_version
from characters.models import Line, Version
from characters.refusals import Refused, only_this
from characters.rules import Write, decide_save
from characters.valuable_rules import kinds_of, unpacked
from characters.valuables import claim
from characters.writers import writer_now
from worlds.models import World
from worlds.uplink.messages import Refusal


@dataclass(frozen=True)
class Claimed:
    """What became of such writes, by op_id; those that are in none of these are decided elsewhere."""

    written: set[UUID]
    refused: dict[UUID, Refusal]
    over: set[UUID]


def claim_all(*, world: World, writes: Sequence[Write], now: datetime) -> Claimed:
    """Write what changes the valuables of a line that this world holds."""
    claimed = Claimed(set(), {}, set())
    lines = Line.objects.filter(id__in={write.line for write in writes}, holder=world)
    has = dict(lines.values_list("id", "valuables")) if writes else {}
    for write in writes:
        if write.line in has and bytes(has[write.line]) != write.valuables:
            with only_this(write.op_id, claimed.refused), transaction.atomic():
                _claim(world, write, now, claimed)
    return claimed


def _claim(world: World, write: Write, now: datetime, claimed: Claimed) -> None:
    writer = writer_now(world)
    line = Line.objects.select_for_update(no_key=True).get(id=write.line)
    decision = decide_save(write, head=head_of(line), earlier=None, writer=writer)
    if decision != "accepted" or Version.objects.filter(op_id=write.op_id).exists():
        return
    is_budgeted = writer.is_budgeted and line.world_id is None
    weighed = weigh({line.pk: line}, [write] if is_budgeted else [])
    if (refusal := weighed.refused.get(write.op_id)) is not None:
        raise Refused(refusal)
    gains = weighed.gains
    if over_budget(world=world, writes=[write], gains=gains, now=now):
        claimed.over.add(write.op_id)
        return
    had = unpacked(bytes(line.valuables))
    entry = Entry(write.kind, write.state, world, epoch=write.epoch, op_id=write.op_id)
    append_version(line=line, entry=entry, now=now)
    claim(line=line, had=had, has=kinds_of(write.document), world=world, op_id=write.op_id, now=now)
    count_gains(world=world, writes=[write], gains=gains, now=now)
    claimed.written.add(write.op_id)
