"""Who has which valuable, decided on plain values. Pure; the repositories in rows and in memory ask these.

Each thing with an id has one owner in its *scope*: main, or the forks of one world. A world may write an id
into a document only if nobody in that scope ever had it (then it comes into being), and what is gone does not
come back but by the staff. From one document to another it goes by an exchange. Owners are strict on main. On
forks they are as good as forks can be: one that begins anew on main has what main has, whoever had it there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import CharacterState

ID_BYTES = 16


@dataclass(frozen=True)
class Owner:
    """Where a thing is: a line, a letter, or neither: it is gone."""

    line: UUID | None = None
    letter: UUID | None = None


GONE = Owner()
Owners = Mapping[UUID, Owner]  # of one scope; things that were never there are not in it


@dataclass(frozen=True)
class Change:
    """What a write does: ids that come into being with it, and such that are gone with it."""

    made: tuple[UUID, ...]
    gone: tuple[UUID, ...]


def decide_kinds(had: Mapping[UUID, str], has: Mapping[UUID, str]) -> Refusal | None:
    """Decide whether a verified world's write to main leaves each thing of the kind that it is of.

    Args: had, has: id → kind, of the head and of the write. What is new there is not looked at.
    """
    for thing in sorted(had.keys() & has.keys()):
        if had[thing] != has[thing]:
            return Refusal(
                "foreign_valuable", f"the thing {thing} is of the kind {had[thing]!r}, not {has[thing]!r}"
            )
    return None


@dataclass(frozen=True)
class Move:
    """A thing that an exchange takes from one place to another. `op_id`: of the write by which it goes."""

    thing: UUID
    kind: str
    source: Owner
    target: Owner
    op_id: UUID | None = None


def kinds_of(state: CharacterState) -> dict[UUID, str]:
    """Return the things with an id in a document, in whatever bag: id → kind."""
    return {item.id: item.kind for bag in state.bags.values() for item in bag if item.id is not None}


def packed(things: Collection[UUID]) -> bytes:
    """Return ids as a line's row keeps them: sorted, 16 bytes each."""
    return b"".join(sorted(thing.bytes for thing in things)) if things else b""


def unpacked(valuables: bytes) -> set[UUID]:
    """Return the ids that a line's row has."""
    return {UUID(bytes=valuables[at : at + ID_BYTES]) for at in range(0, len(valuables), ID_BYTES)}


def changed(had: bytes, has: bytes) -> tuple[set[UUID], set[UUID]]:
    """Return what a write loses and what is new in it. Args: had, has: ids as a line's row keeps them."""
    before = {had[at : at + ID_BYTES] for at in range(0, len(had), ID_BYTES)}
    after = {has[at : at + ID_BYTES] for at in range(0, len(has), ID_BYTES)}
    return {UUID(bytes=each) for each in before - after}, {UUID(bytes=each) for each in after - before}


def decide_claim(
    line: UUID, had: Collection[UUID], has: Collection[UUID], owners: Owners
) -> Change | Refusal:
    """Decide what a world's own write to a line does to the things in it.

    Args: had: what the line's head has; of both, what stays may be left out; owners: of what is in one of the
        two only and known in its scope.
    """
    new = sorted(set(has) - set(had))
    for thing in new:
        if (owner := owners.get(thing)) is not None and owner.line != line:
            where = "is gone" if owner == GONE else "is somebody else's"
            return Refusal("foreign_valuable", f"the thing {thing} {where}; things come by an exchange only")
    lost = sorted(set(had) - set(has))
    return Change(
        made=tuple(thing for thing in new if thing not in owners),
        gone=tuple(thing for thing in lost if owners.get(thing) == Owner(line=line)),
    )


@dataclass(frozen=True)
class Step:
    """One write of an exchange: id → kind of what the line had before it, and has after it."""

    line: UUID
    had: Mapping[UUID, str]
    has: Mapping[UUID, str]
    op_id: UUID


def moves_of(steps: Sequence[Step], letter: UUID | None) -> list[Move]:
    """Return what an exchange moves that conserves: between its lines, and from or to the letter in it."""
    lost = {thing: step for step in steps for thing in step.had.keys() - step.has.keys()}
    moves = []
    for step in steps:
        for thing in step.has.keys() - step.had.keys():
            giver = lost.pop(thing, None)
            source = Owner(line=giver.line) if giver is not None else Owner(letter=letter)
            moves.append(Move(thing, step.has[thing], source, Owner(line=step.line), step.op_id))
    for thing, step in lost.items():
        moves.append(Move(thing, step.had[thing], Owner(line=step.line), Owner(letter=letter), step.op_id))
    return sorted(moves, key=lambda move: move.thing)


def decide_moves(moves: Iterable[Move], owners: Owners) -> Refusal | None:
    """Decide an exchange: who gives a thing away must have it."""
    for move in moves:
        if owners.get(move.thing) != move.source:
            return Refusal("foreign_valuable", f"the thing {move.thing} is not where this takes it from")
    return None


def not_to_bring_back(line: UUID, wanted: Iterable[UUID], owners: Owners) -> set[UUID]:
    """Return what somebody else has by now: what the staff brings back on a line goes without these."""
    return {
        thing
        for thing in wanted
        if (owner := owners.get(thing)) is not None and owner != GONE and owner.line != line
    }


def without(state: CharacterState, things: Collection[UUID]) -> CharacterState:
    """Return a document without these things; one that has none of them is the same."""
    if not things or not any(item.id in things for bag in state.bags.values() for item in bag):
        return state
    bags = {name: [item for item in bag if item.id not in things] for name, bag in state.bags.items()}
    return replace(state, bags=bags)


@dataclass(frozen=True)
class Holding:
    """What a line's head or a lying letter has after a restore of the master, and when that was written."""

    owner: Owner
    at: datetime
    things: Collection[UUID]


def recounted(
    holdings: Iterable[Holding], before: Owners, *, is_main: bool
) -> tuple[dict[UUID, Owner], dict[Owner, set[UUID]]]:
    """Return who has what in one scope, counted anew from what is there.

    Of two that have the same thing, the newer one has it: the older head is from before it went away, and the
    world that could have told so is lost. On forks, where several may have it, who had it before comes first.

    Args: before: owners by the restored backup.
    Returns: owners, with GONE for what nobody has; on main, what each line and letter has to give up. A
        letter gives up all of it: what was in it comes out in one piece.
    """
    owners: dict[UUID, Owner] = {}
    lost: dict[Owner, set[UUID]] = {}
    newest_first = sorted(holdings, key=lambda each: (each.at, str(each.owner)), reverse=True)
    for holding in newest_first:
        if is_main and holding.owner.letter is not None and not owners.keys().isdisjoint(holding.things):
            lost[holding.owner] = set(holding.things)
            continue
        for thing in holding.things:
            if thing not in owners:
                owners[thing] = holding.owner
            elif is_main:
                lost.setdefault(holding.owner, set()).add(thing)
            elif not is_main and before.get(thing) == holding.owner:
                owners[thing] = holding.owner
    return {**dict.fromkeys(before, GONE), **owners}, lost
