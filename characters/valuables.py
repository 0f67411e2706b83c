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
SELECT made.thing, %s, made.kind, made.line
FROM unnest(%s::uuid[], %s::text[], %s::uuid[]) AS made(thing, kind, line)
ON CONFLICT DO NOTHING
RETURNING thing
"""
_NOTE = """
INSERT INTO characters_valuableevent (valuable_id, at, kind, world_id, line_id, op_id)
SELECT step.valuable, %s, step.kind, %s, step.line, step.op_id
FROM unnest(%s::bigint[], %s::text[], %s::uuid[], %s::uuid[]) AS step(valuable, kind, line, op_id)
"""


@dataclass(frozen=True)
class Claim:
    """A world's own write to a line: what the head had and the write has not; id → kind of what is new."""

    line: Line
    lost: Set[UUID]
    new: Mapping[UUID, str]
    op_id: UUID


@dataclass(frozen=True)
class Noted:
    """A step of a thing's way that is to be kept. `op_id`: of the write by which it went."""

    thing: UUID
    kind: ValuableEvent.Kind
    line: UUID | None
    op_id: UUID | None


def claim(claims: Sequence[Claim], *, world: World, now: datetime) -> None:
    """Note what a world's own writes to lines make, and what is gone with them.

    Raises: Refused: foreign_valuable; or master_fault: two of them touch the same thing, and which came first
        is not for this to say: ask for one after the other. Roll back.
    """
    changed = [thing for each in claims for thing in (*each.lost, *each.new)]
    if len(set(changed)) < len(changed):
        raise Refused(Refusal("master_fault", "two writes at once change the same thing; ask again"))
    for scope in sorted({each.line.world_id for each in claims}, key=lambda world_id: world_id or 0):
        _claim_in(scope, [each for each in claims if each.line.world_id == scope], world, now)


def _claim_in(scope: int | None, claims: Sequence[Claim], world: World, now: datetime) -> None:
    new = [(thing, kind, each.line.pk) for each in claims for thing, kind in each.new.items()]
    made = _make(scope, new)
    # What stays needs no look: who moves it has to lock the line first, as was done here.
    rows = _locked(scope, [thing for each in claims for thing in (*each.lost, *each.new)])
    known = {thing: owner for thing, owner in owners_of(rows).items() if thing not in made}
    steps = []
    for each in claims:
        decision = decide_claim(each.line.pk, each.lost, each.new, known)
        if isinstance(decision, Refusal):
            raise Refused(decision)
        steps += [Noted(thing, Kind.MADE, each.line.pk, each.op_id) for thing in decision.made]
        steps += [Noted(thing, Kind.GONE, each.line.pk, each.op_id) for thing in decision.gone]
    _put([rows[step.thing] for step in steps if step.kind == Kind.GONE], GONE)
    _note(rows, steps, world=world, now=now)


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
    steps = [
        Noted(
            move.thing,
            Kind.POSTED if move.target.letter else Kind.TAKEN if move.source.letter else Kind.MOVED,
            move.target.line or move.source.line,
            move.op_id,
        )
        for move in moves
    ]
    _note(rows, steps, world=world, now=now)


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
    new = _make(line.world_id, [(thing, each, line.pk) for thing, each in has.items()])
    rows = _locked(line.world_id, {*had, *has})
    given = [thing for thing in has if thing in new or rows[thing].line_id != line.pk]
    gone = [thing for thing, row in rows.items() if thing not in has and row.line_id == line.pk]
    _put([rows[thing] for thing in given], Owner(line=line.pk))
    _put([rows[thing] for thing in gone], GONE)
    steps = [Noted(thing, kind, line.pk, op_id) for thing in given]
    steps += [Noted(thing, Kind.GONE, line.pk, op_id) for thing in gone]
    _note(rows, steps, world=world, now=now)


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


def _make(scope: int | None, things: Collection[tuple[UUID, str, UUID]]) -> set[UUID]:
    """Make rows of things that never were in a scope, each with its kind and line; return those that are new.

    Two writes that make the same thing at once meet at the unique constraint.
    """
    if not things:
        return set()
    made = sorted(things)
    ids, kinds, lines = [row[0] for row in made], [as_text(row[1]) for row in made], [row[2] for row in made]
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, [scope, ids, kinds, lines])
        return {thing for (thing,) in cursor.fetchall()}


def as_text(kind: str) -> str:
    """Return a kind as a row can have it: older documents may have U+0000 in it."""
    return kind.replace("\0", "\ufffd")


def _put(rows: Iterable[Valuable], where: Owner) -> None:
    if keys := [row.pk for row in rows]:
        Valuable.objects.filter(pk__in=keys).update(line=where.line, letter=where.letter)


def _note(rows: Rows, steps: Sequence[Noted], *, world: World | None, now: datetime) -> None:
    """Keep how things came to be where they are."""
    if not steps:
        return
    columns = (
        [rows[step.thing].pk for step in steps],
        [step.kind.value for step in steps],
        [step.line for step in steps],
        [step.op_id for step in steps],
    )
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [now, world.pk if world else None, *columns])
