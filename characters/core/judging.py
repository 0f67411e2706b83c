"""Valuables and budgets over plain values; over rows they are in characters.valuables and budgeting."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from characters.budgets import Gain, added, first_hour_of_day, gain_of, hour_of, over
from characters.core.records import Line
from characters.core.store import HAS_ID, Store, line_scope, things_in
from characters.rules import Head, Write, Writer
from characters.valuable_rules import (
    GONE,
    Change,
    Move,
    Owner,
    decide_claim,
    decide_kinds,
    kinds_of,
    unpacked,
)
from worlds.uplink.messages import Refusal
from zonecluster.protocol.character import decode_state


def claimed(store: Store, line: Line, write: Write) -> Change | Refusal:
    """Decide what a world's own write does to the valuables of the line that it goes to."""
    owners = store.things.get(line_scope(line), {})
    had = things_in(line) if write.valuables or HAS_ID in line.state else set()
    return decide_claim(line.id, had, unpacked(write.valuables), owners)


def claimed_on_fork(
    store: Store, world: str, main: Line, fork: Line | None, write: Write, *, is_first: bool
) -> Change | Refusal:
    """Decide what a write that falls does to the valuables of the fork.

    Args: is_first: the fork is brought to the head of main before, and has what main has (Store.give).
    """
    if fork is not None and not is_first:
        return claimed(store, fork, write)
    owners = dict(store.things.get(world, {}))
    line = as_forked(owners, main, fork)
    return decide_claim(line, things_in(main), unpacked(write.valuables), owners)


def as_forked(owners: dict[UUID, Owner], main: Line, fork: Line | None) -> UUID:
    """Change owners to what Store.give makes of them when a fork begins (anew) on main.

    Returns: the fork's id, or what stands for it until it is made.
    """
    line = fork.id if fork is not None else main.id
    has = things_in(main)
    for thing in things_in(fork) - has if fork is not None else ():
        if owners.get(thing) == Owner(line=line):
            owners[thing] = GONE
    owners.update(dict.fromkeys(has, Owner(line=line)))
    return line


def apply_claim(store: Store, line: Line, change: Change) -> None:
    """Note what was made and what is gone."""
    owners = store.things.setdefault(line_scope(line), {})
    owners.update(dict.fromkeys(change.made, Owner(line=line.id)))
    owners.update(dict.fromkeys(change.gone, GONE))


def apply_moves(store: Store, scope: str | None, moves: Sequence[Move]) -> None:
    """Let things change hands."""
    store.things.setdefault(scope, {}).update({move.thing: move.target for move in moves})


def gained(store: Store, head: Head | None, writer: Writer, write: Write) -> Gain:
    """Return what a write counts against a budget: nothing, if it is not a verified world's to main."""
    if not _is_weighed(head, writer):
        return Gain()
    return gain_of(decode_state(store.lines[write.line].state), write.document)


def _is_weighed(head: Head | None, writer: Writer) -> bool:
    is_verified = writer.is_budgeted and not writer.is_limited
    return is_verified and head is not None and head.owner is None and not head.is_fallen


def renamed(store: Store, head: Head | None, writer: Writer, write: Write) -> Refusal | None:
    """Return why a verified world may not write this to main: a thing is of another kind than before."""
    if not (write.valuables and _is_weighed(head, writer)):
        return None
    return decide_kinds(kinds_of(decode_state(store.lines[write.line].state)), kinds_of(write.document))


def is_over(store: Store, world: str, write: Write, gain: Gain, now: datetime) -> bool:
    """Return whether a gain is over the world's budget."""
    if not gain:
        return False
    first, hour = first_hour_of_day(now), hour_of(now)
    spent = {
        at: each
        for (of, line, at), each in store.gains.items()
        if (of, line) == (world, write.line) and at >= first
    }
    limits = store.worlds[world].limits
    return bool(over(spent.get(hour, Gain()), added(spent.values()), gain, limits))


def count_gain(store: Store, world: str, write: Write, gain: Gain, now: datetime) -> None:
    """Count what an accepted write has gained."""
    if gain:
        key = (world, write.line, hour_of(now))
        store.gains[key] = added([store.gains.get(key, Gain()), gain])
