"""Who has which valuable, in rows: decided by valuable_rules, locked and written here, inside a transaction.

Whoever calls has locked the lines. Here the rows of the things are locked after them, in the order of their
ids, so that two writes that touch the same things come one after the other. ValuableEvent keeps each step.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

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

# In the order of the ids, so that two writes that make the same things wait for each other one way round.
_MAKE = """
INSERT INTO characters_valuable (thing, world_id, kind, line_id)
SELECT made.thing, %s, made.kind, %s FROM unnest(%s::uuid[], %s::text[]) AS made(thing, kind)
ON CONFLICT DO NOTHING
RETURNING thing
"""


def claim(
    *, line: Line, had: Set[UUID], has: Mapping[UUID, str], world: World, op_id: UUID, now: datetime
) -> None:
    """Note what a world's own write to a line makes, and what is gone with it.

    Args: had: ids in the head; has: id → kind of what the write has; op_id: of the write.
    Raises: Refused: foreign_valuable; roll back.
    """
    made = _make(line, has.keys() - had, has)
    # What stays needs no look: who moves it has to lock the line first, as was done here.
    rows = _locked(line.world_id, had ^ has.keys())
    known = {thing: owner for thing, owner in owners_of(rows).items() if thing not in made}
    decision = decide_claim(line.pk, had, has, known)
    if isinstance(decision, Refusal):
        raise Refused(decision)
    _put([rows[thing] for thing in decision.gone], GONE)
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
    goes: dict[Owner, list[Valuable]] = defaultdict(list)
    for move in moves:
        goes[move.target].append(rows[move.thing])
    for target, things in goes.items():
        _put(things, target)
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

    `has`: id → kind of the valuables in it; `left_out`: of those that are missing; `renamed`: of those among
    the latter that nobody else has, but that were made as something else.
    """

    state: bytes
    has: Mapping[UUID, str]
    left_out: Mapping[UUID, str]
    renamed: Collection[UUID] = ()

    @property
    def note(self) -> str:
        """Say what is left out, for staff; empty: nothing is."""
        taken = [thing for thing in self.left_out if thing not in self.renamed]
        whys = {
            "without what somebody else has by now": taken,
            "without what was made as something else": self.renamed,
        }
        return "; ".join(
            f"{why}: {', '.join(f'{self.left_out[thing]} {thing}' for thing in sorted(things))}"
            for why, things in whys.items()
            if things
        )


def to_bring_back(line: Line, state: bytes, *, is_locked: bool) -> BroughtBack:
    """Return what of a state can be brought back on a line.

    Args: is_locked: keep it so until the end of the transaction; a look needs none.
    """
    document = decode_state(state)
    wanted = kinds_of(document)
    rows = _locked(line.world_id, wanted) if is_locked else _rows(line.world_id, wanted)
    taken = not_to_bring_back(line.pk, wanted, owners_of(rows))
    # On its fork a world may call a thing what it likes; main gets none that was made as something else.
    is_main = line.world_id is None
    renamed = {
        thing
        for thing, row in rows.items()
        if is_main and thing not in taken and row.kind != as_text(wanted[thing])
    }
    out = taken | renamed
    return BroughtBack(
        state=encode_state(without(document, out)) if out else state,
        has={thing: kind for thing, kind in wanted.items() if thing not in out},
        left_out={thing: wanted[thing] for thing in out},
        renamed=renamed,
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
    _put([rows[thing] for thing in given], Owner(line=line.pk))
    _put([rows[thing] for thing in gone], GONE)
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
    if not things:
        return set()
    made = sorted(things)
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, [line.world_id, line.pk, made, [as_text(kinds[thing]) for thing in made]])
        return {thing for (thing,) in cursor.fetchall()}


def as_text(kind: str) -> str:
    """Return a kind as a row can have it: older documents may have U+0000 in it."""
    return kind.replace("\0", "\ufffd")


def _put(rows: Iterable[Valuable], where: Owner) -> None:
    if keys := [row.pk for row in rows]:
        Valuable.objects.filter(pk__in=keys).update(line=where.line, letter=where.letter)


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
