"""Whether an exchange conserves: nothing is made, nothing is lost, and nothing but goods changes. Pure.

Counted are stacks by kind, whatever bags they lie in, valuables by their ids, and coins.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

import msgspec

from worlds.uplink.messages import Goods
from zonecluster.protocol.character import CharacterState, Item

Holding = Counter[tuple[str, UUID | None]]  # (kind, id) → how many; without an id: all of that kind

NOTHING = Goods()
MAX_STACK = 1_000_000  # of one item in a document


def conservation_fault(
    before: Sequence[CharacterState],
    after: Sequence[CharacterState],
    *,
    taken: Goods = NOTHING,
    posted: Goods = NOTHING,
) -> str:
    """Return what is wrong with an exchange; empty: it conserves.

    Args: before, after: the characters' states, in the same order; taken: what lay in the letter that is
        emptied; posted: what lies in the letter that is posted.
    """
    for one, other in zip(before, after, strict=True):
        if _without_goods(one) != _without_goods(other):
            return "an exchange changes bags and money, nothing else of a character"
    had = _coins(before) + taken.money
    has = _coins(after) + posted.money
    if had != has:
        return f"there were {had} coins, and would be {has}"
    things_before, things_after = _things(before, taken), _things(after, posted)
    for kind, thing in sorted((things_before - things_after) + (things_after - things_before), key=str):
        old, new = things_before[kind, thing], things_after[kind, thing]
        return f"of {kind!r}{f' {thing}' if thing else ''} there were {old}, and would be {new}"
    return ""


def goods_between(before: CharacterState, after: CharacterState) -> tuple[Goods, Goods]:
    """Return what a character has lost, and what it has gained."""
    had, has = _things([before]), _things([after])
    lost = Goods(_stacks(had - has), max(0, before.money - after.money))
    gained = Goods(_stacks(has - had), max(0, after.money - before.money))
    return lost, gained


def _stacks(things: Holding) -> list[Item]:
    stacks = []
    for (kind, thing), count in sorted(things.items(), key=str):
        for start in range(0, count, MAX_STACK):
            stacks.append(Item(kind, min(MAX_STACK, count - start), thing))
    return stacks


def changed_kinds(before: CharacterState, after: CharacterState) -> set[str]:
    """Return the kinds of items of which a character has more or less than before, or others."""
    had, has = _things([before]), _things([after])
    return {kind for kind, _ in (had - has) + (has - had)}


def things_in(items: Iterable[Item]) -> Holding:
    """Count items by kind and id."""
    counts: Holding = Counter()
    for item in items:
        counts[item.kind, item.id] += item.count
    return counts


def _things(states: Sequence[CharacterState], goods: Goods = NOTHING) -> Holding:
    return things_in([*goods.items, *(item for state in states for item in _items(state))])


def _items(state: CharacterState) -> Iterator[Item]:
    for bag in state.bags.values():
        yield from bag


def _coins(states: Sequence[CharacterState]) -> int:
    return sum(state.money for state in states)


def _without_goods(state: CharacterState) -> CharacterState:
    return msgspec.structs.replace(state, bags={}, money=0)
