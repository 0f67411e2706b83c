"""Budgets of verified worlds, in rows: what their writes have gained a character on main, and what is over.

Decided by budgets.py. Called inside the transaction that then writes, with the lines locked: a gain is
counted exactly if its write is accepted, and two batches at once cannot both spend the rest of a budget.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import QuerySet

from characters import models
from characters.budgets import DEFAULTS, Gain, Limits, added, first_hour_of_day, gain_of, hour_of, over
from characters.models import Line, WorldBudget
from characters.readings import state_if_readable
from characters.rules import Write
from characters.valuable_rules import decide_kinds, kinds_of
from worlds.models import World
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import CharacterState

log = structlog.get_logger(__name__)

KEEP = timedelta(days=14)  # of gains: staff looks back; budgets need a day

_COUNT = """
INSERT INTO characters_gain AS spent (world_id, line_id, hour, xp, money, valuables, items)
SELECT %s, gain.line, %s, gain.xp, gain.money, gain.valuables, gain.items
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS gain(line, xp, money, valuables, items)
ON CONFLICT (world_id, line_id, hour) DO UPDATE
SET xp = spent.xp + excluded.xp, money = spent.money + excluded.money,
    valuables = spent.valuables + excluded.valuables, items = spent.items + excluded.items
"""


@dataclass(frozen=True)
class Weighed:
    """What writes of a verified world to main add, and such as may not be at all; both by op_id."""

    gains: dict[UUID, Gain]
    refused: dict[UUID, Refusal]


def weigh(lines: Mapping[UUID, Line], writes: Sequence[Write]) -> Weighed:
    """Compare each write with the head of its line: what it adds, and whether things keep their kinds.

    Args: lines: locked, with their states.
    """
    weighed = Weighed({}, {})
    for write in writes:
        before, after = _head_of(lines[write.line]), write.document
        if gain := gain_of(before, after):
            weighed.gains[write.op_id] = gain
        had = kinds_of(before) if write.valuables and before.bags != after.bags else {}
        if had and (refusal := decide_kinds(had, kinds_of(after))):
            weighed.refused[write.op_id] = refusal
    return weighed


def gains_of(lines: Mapping[UUID, Line], writes: Sequence[Write]) -> dict[UUID, Gain]:
    """Return what each write adds to the head of its line, by op_id; writes that add nothing are left out.

    Args: lines: locked, with their states.
    """
    return weigh(lines, writes).gains


def _head_of(line: Line) -> CharacterState:
    """Return a head's document. One that cannot be read has nothing: all that comes then is a gain."""
    return state_if_readable(bytes(line.state), line.pk) or CharacterState()


def over_budget(
    *, world: World, writes: Sequence[Write], gains: Mapping[UUID, Gain], now: datetime
) -> dict[UUID, str]:
    """Return the writes that are over the world's budget, by op_id, each with what it is over.

    Args: writes: of different lines of main, all locked; gains: of these (gains_of).
    """
    gaining = [write for write in writes if write.op_id in gains]
    if not gaining:
        return {}
    limits = limits_of(world)
    spent = _spent(world, [write.line for write in gaining], now)
    found = {}
    for write in gaining:
        hours = spent[write.line]
        why = over(hours.get(hour_of(now), Gain()), added(hours.values()), gains[write.op_id], limits)
        if why:
            found[write.op_id] = why
            log.warning(
                "over_budget", world=world.slug, line=str(write.line), op_id=str(write.op_id), over=why
            )
    return found


def count_gains(*, world: World, writes: Sequence[Write], gains: Mapping[UUID, Gain], now: datetime) -> None:
    """Count what accepted writes have gained; in the transaction that writes them."""
    rows = sorted((write.line, *astuple(gains[write.op_id])) for write in writes if write.op_id in gains)
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [world.pk, hour_of(now), *columns])


def limits_of(world: World) -> Limits:
    """Return the most that a world's writes may gain one character."""
    row = WorldBudget.objects.filter(world=world).first()
    if row is None:
        return DEFAULTS
    return Limits(
        hour=Gain(row.xp_hour, row.money_hour, row.valuables_hour, row.items_hour),
        day=Gain(row.xp_day, row.money_day, row.valuables_day, row.items_day),
    )


def gains_of_character(character: UUID, world: int | None, now: datetime) -> QuerySet[models.Gain]:
    """Return what worlds, or one of them, have gained a character on main in the last day, newest first."""
    rows = models.Gain.objects.filter(line__character=character, hour__gte=first_hour_of_day(now))
    if world is not None:
        rows = rows.filter(world=world)
    return rows.select_related("world").order_by("-hour", "world")


def delete_old_gains(*, now: datetime) -> int:
    """Delete what no budget and nobody of the staff needs any more. Returns: how many rows."""
    deleted, _ = models.Gain.objects.filter(hour__lt=hour_of(now) - KEEP).delete()
    return deleted


def _spent(world: World, lines: Collection[UUID], now: datetime) -> dict[UUID, dict[datetime, Gain]]:
    """Return what was gained in each hour of the day so far, by line."""
    rows = models.Gain.objects.filter(world=world, line__in=lines, hour__gte=first_hour_of_day(now))
    spent: dict[UUID, dict[datetime, Gain]] = defaultdict(dict)
    for row in rows:
        spent[row.line_id][row.hour] = Gain(row.xp, row.money, row.valuables, row.items)
    return spent
