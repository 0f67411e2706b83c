"""Who has which valuable, in rows: decided by valuable_rules, locked and written here, inside a transaction.

Whoever calls has locked the lines. Here the rows of the things are locked after them, in the order of their
ids, so that two writes that touch the same things come one after the other. ValuableEvent keeps each step.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from characters.models import Line, Valuable, ValuableEvent
from characters.refusals import Refused
from characters.valuable_rules import (
    GONE,
    Move,
    Owner,
    decide_claim,
    decide_moves,
    kinds_of,
    not_to_bring_back,
    without,
)
from worlds.models import World
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import decode_state, encode_state

Kind = ValuableEvent.Kind
Rows = dict[UUID, Valuable]


def claim(
    *, line: Line, had: Collection[UUID], has: Mapping[UUID, str], world: World, op_id: UUID, now: datetime
) -> None:
    """Note what a world's own write to a line makes, and what is gone with it.

    Args: had: ids in the head; has: id → kind of what the write has; op_id: of the write.
    Raises: Refused: foreign_valuable; roll back.
    """
    made = _make(line, has.keys() - set(had), has)
    rows = _locked(line.world_id, {*had, *has})
    known = {thing: owner for thing, owner in owners_of(rows).items() if thing not in made}
    decision = decide_claim(line.pk, had, has, known)
    if isinstance(decision, Refusal):
        raise Refused(decision)
    for thing in decision.gone:
        _put(rows[thing], GONE)
    _note(rows, decision.made, Kind.MADE, line=line, world=world, op_id=op_id, now=now)
    _note(rows, decision.gone, Kind.GONE, line=line, world=world, op_id=op_id, now=now)


def move_valuables(moves: Sequence[Move], *, scope: World | None, world: World, now: datetime) -> None:
    """Let things change hands by an exchange.

    Args: scope: None: among main lines; else the world among whose forks it is; world: where it happens.
    Raises: Refused: foreign_valuable: one of them is not where it is taken from; roll back.
    """
    rows = _locked(scope.pk if scope else None, {move.thing for move in moves})
    if (refusal := decide_moves(moves, owners_of(rows))) is not None:
        raise Refused(refusal)
    for move in moves:
        _put(rows[move.thing], move.target)
    ValuableEvent.objects.bulk_create(
        ValuableEvent(
            valuable=rows[move.thing],
            at=now,
            kind=Kind.POSTED if move.target.letter else Kind.TAKEN if move.source.letter else Kind.MOVED,
            world=world,
            line_id=move.target.line or move.source.line,
            op_id=move.op_id,
        )
        for move in moves
    )


def take_over(*, fork: Line, had: Collection[UUID], has: Mapping[UUID, str], now: datetime) -> None:
    """Let a fork that begins (anew) on main have what main has, whoever had it among that world's forks."""
    _give(fork, had, has, Kind.FORKED, fork.world, now)


def bring_back(
    *, line: Line, had: Collection[UUID], has: Mapping[UUID, str], op_id: UUID, now: datetime
) -> None:
    """Let a line have again what the staff brings back on it, and lose what it had since.

    Args: has: nothing of what somebody else has (`to_bring_back`); op_id: of the version that brings it back.
    """
    _give(line, had, has, Kind.RESTORED, None, now, op_id)


@dataclass(frozen=True)
class BroughtBack:
    """What a line gets of an old or another line's state: without what somebody else has by now.

    `has`: id → kind of the valuables in it; `left_out`: of those that are missing.
    """

    state: bytes
    has: Mapping[UUID, str]
    left_out: Mapping[UUID, str]

    @property
    def note(self) -> str:
        """Say what is left out, for staff; empty: nothing is."""
        things = [f"{kind} {thing}" for thing, kind in sorted(self.left_out.items())]
        return f"without what somebody else has by now: {', '.join(things)}" if things else ""


def to_bring_back(line: Line, state: bytes, *, is_locked: bool) -> BroughtBack:
    """Return what of a state can be brought back on a line.

    Args: is_locked: keep it so until the end of the transaction; a look needs none.
    """
    document = decode_state(state)
    wanted = kinds_of(document)
    rows = _locked(line.world_id, wanted) if is_locked else _rows(line.world_id, wanted)
    taken = not_to_bring_back(line.pk, wanted, owners_of(rows))
    return BroughtBack(
        state=encode_state(without(document, taken)) if taken else state,
        has={thing: kind for thing, kind in wanted.items() if thing not in taken},
        left_out={thing: wanted[thing] for thing in taken},
    )


def _give(
    line: Line,
    had: Collection[UUID],
    has: Mapping[UUID, str],
    kind: ValuableEvent.Kind,
    world: World | None,
    now: datetime,
    op_id: UUID | None = None,
) -> None:
    """Let a line have these things and no others, whoever had them."""
    new = _make(line, has, has)
    rows = _locked(line.world_id, {*had, *has})
    given = [thing for thing in has if thing in new or rows[thing].line_id != line.pk]
    gone = [thing for thing, row in rows.items() if thing not in has and row.line_id == line.pk]
    for thing in given:
        _put(rows[thing], Owner(line=line.pk))
    for thing in gone:
        _put(rows[thing], GONE)
    _note(rows, given, kind, line=line, world=world, op_id=op_id, now=now)
    _note(rows, gone, Kind.GONE, line=line, world=world, op_id=op_id, now=now)


def owners_of(rows: Rows) -> dict[UUID, Owner]:
    """Return where things are, as the rules see it."""
    return {thing: Owner(line=row.line_id, letter=row.letter_id) for thing, row in rows.items()}


def _rows(scope: int | None, things: Collection[UUID]) -> Rows:
    if not things:
        return {}
    return {row.thing: row for row in Valuable.objects.filter(thing__in=things, world=scope)}


def _locked(scope: int | None, things: Collection[UUID]) -> Rows:
    """Return the rows of these things in a scope, locked in the order of their ids."""
    if not things:
        return {}
    rows = Valuable.objects.select_for_update(no_key=True).filter(thing__in=things, world=scope)
    return {row.thing: row for row in rows.order_by("thing")}


def _make(line: Line, things: Collection[UUID], kinds: Mapping[UUID, str]) -> set[UUID]:
    """Make rows of things that never were in the line's scope; return those that are new.

    Two writes that make the same thing at once meet at the unique constraint.
    """
    new = set()
    for thing in sorted(things):
        row, is_new = Valuable.objects.get_or_create(
            thing=thing, world=line.world, defaults={"kind": kinds[thing], "line": line}
        )
        if is_new:
            new.add(row.thing)
    return new


def _put(row: Valuable, where: Owner) -> None:
    row.line_id, row.letter_id = where.line, where.letter
    row.save(update_fields=["line", "letter"])


def _note(
    rows: Rows,
    things: Collection[UUID],
    kind: ValuableEvent.Kind,
    *,
    line: Line,
    world: World | None,
    op_id: UUID | None,
    now: datetime,
) -> None:
    """Keep how things came to be where they are."""
    ValuableEvent.objects.bulk_create(
        ValuableEvent(valuable=rows[thing], at=now, kind=kind, world=world, line=line, op_id=op_id)
        for thing in things
    )
