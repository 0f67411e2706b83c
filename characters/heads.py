"""Heads of lines as the rules see them: a row's own, and main's as a world names it after a fall."""

from collections.abc import Collection
from uuid import UUID

from characters import rules
from characters.models import Fall, Line

Named = tuple[UUID, int]  # line and epoch, as a world names its lease


def head_of(line: Line) -> rules.Head:
    """Return a line's head as the rules see it: worlds by primary key."""
    return rules.Head(
        owner=line.world_id,
        grants=line.grants,
        epoch=line.epoch,
        holder=line.holder_id,
        lease_until=line.lease_until,
        acquire_op_id=line.acquire_op_id,
        acquire_order=line.acquire_order,
        version=line.version,
        chain=bytes(line.chain),
    )


def newest_falls(named: Collection[Named]) -> dict[Named, Fall]:
    """Return the newest fall of each lease that had any, with its write and its fork (without states)."""
    if not named:
        return {}
    rows = (
        Fall.objects.filter(line__in={line for line, _ in named}, epoch__in={epoch for _, epoch in named})
        .select_related("write__line")
        .defer("write__state", "write__line__state")
        .order_by("line", "epoch", "-version")
        .distinct("line", "epoch")
    )
    found = {(row.line_id, row.epoch): row for row in rows}
    return {name: found[name] for name in named if name in found}


def named_head(line: Line | None, fall: Fall | None) -> rules.Head | None:
    """Return the head that a write names: the line's own, or main's as it is named after a fall."""
    if fall is None:
        return head_of(line) if line is not None else None
    write = fall.write
    return rules.fallen_head(as_asked(fall), head_of(write.line), epoch=write.epoch, version=write.version)


def as_asked(fall: Fall) -> rules.Fall:
    """Return a write that fell, as its world names it."""
    return rules.Fall(
        line=fall.line_id,
        epoch=fall.epoch,
        version=fall.version,
        prev_chain=bytes(fall.prev_chain),
        chain=bytes(fall.chain),
        reason="budget" if fall.reason == Fall.Reason.BUDGET else "limited",
    )
