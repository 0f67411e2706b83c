"""What can be done with a character's bags and money. Each function returns the document after it.

They hold for every document that the schema lets in, however it came about: whatever is asked, either the
whole of it happens or `NotPossible` is raised and nothing has. Nothing is created or lost on the way from one
bag to another, no stack grows beyond its size and no bag beyond its capacity, no coin goes below zero. What
was over a limit before stays as it is, and may be taken out. Items of kinds that the world does not know are
kept, shown, and may be moved between bags; nothing else can be done with them.
"""

from collections.abc import Iterator
from uuid import UUID

from msgspec.structs import replace

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.items import (
    CAPACITY,
    INVENTORY,
    MAX_COUNT,
    MAX_MONEY,
    SLOTS,
    WORN,
    Kinds,
    NotPossible,
    kind_of,
)

# ---------------------------------------------------------------- questions


def items_in(state: CharacterState, bag: str) -> list[Item]:
    """Return what is in a bag; a bag that the document does not have is empty. Raises: NotPossible."""
    if bag not in CAPACITY:
        raise NotPossible("unknown_bag", f"There is no bag {bag!r}. Bags: {', '.join(CAPACITY)}.")
    return state.bags.get(bag, [])


def count_of(state: CharacterState, bag: str, kind: str) -> int:
    """Return how many of a kind are in a bag."""
    return sum(item.count for item in items_in(state, bag) if item.kind == kind)


def ids_of(state: CharacterState) -> Iterator[UUID]:
    """Return the ids of all valuables, in whatever bag."""
    return (item.id for bag in state.bags.values() for item in bag if item.id is not None)


def check_count(count: int) -> None:
    """Make sure that so many can be asked for. Raises: NotPossible: bad_count."""
    if not 1 <= count <= MAX_COUNT:
        raise NotPossible("bad_count", f"How many? From 1 to {MAX_COUNT}, not {count}.")


# ---------------------------------------------------------------- in and out


def added(state: CharacterState, bag: str, item: Item, kinds: Kinds) -> CharacterState:
    """Put something new into a bag: onto stacks that have room, then on new ones.

    Raises: NotPossible.
    """
    check_count(item.count)
    kind = kind_of(kinds, item.kind)
    if kind.is_valuable != (item.id is not None):
        raise NotPossible("needs_id", f"{kind.name}: only valuables have an id, and each of them has one.")
    if item.id is not None and item.id in ids_of(state):
        raise NotPossible("id_taken", f"You have this very {kind.name} already.")
    return _put(state, bag, item, _stack_size(kinds, item))


def removed(
    state: CharacterState, bag: str, kind: str, count: int, identity: UUID | None = None
) -> CharacterState:
    """Take so many of a kind out of a bag, the last stacks first; a valuable by its id.

    Raises: NotPossible.
    """
    return _taken(state, bag, kind, count, identity)[0]


def _put(state: CharacterState, bag: str, item: Item, stack_size: int) -> CharacterState:
    items, left = list(items_in(state, bag)), item.count
    if item.id is None:
        for at, other in enumerate(items):
            room = min(left, stack_size - other.count)
            if other.kind == item.kind and other.id is None and room > 0:
                items[at], left = replace(other, count=other.count + room), left - room
    elif item.count != 1:
        raise NotPossible("too_much", "A valuable is one, and no stack.")
    while left and len(items) < CAPACITY[bag]:
        items.append(replace(item, count=min(left, stack_size)))
        left -= items[-1].count
    if left:
        raise NotPossible("bag_full", f"There is no room for it: {bag} holds {CAPACITY[bag]} stacks.")
    return _with_bag(state, bag, items)


def _taken(
    state: CharacterState, bag: str, kind: str, count: int, identity: UUID | None
) -> tuple[CharacterState, Item]:
    """Take something out; returns the document and what was taken."""
    check_count(count)
    items, left = list(items_in(state, bag)), count
    for at in reversed(range(len(items))):
        item = items[at]
        if not left or item.kind != kind or item.id != identity:
            continue
        taken = min(left, item.count)
        items[at : at + 1] = [replace(item, count=item.count - taken)] if taken < item.count else []
        left -= taken
    if left:
        text = (
            f"You have {count - left} of that in {bag}, not {count}."
            if left < count
            else "You have none of that."
        )
        raise NotPossible("not_there", text)
    return _with_bag(state, bag, items), Item(kind, count, identity)


def _with_bag(state: CharacterState, bag: str, items: list[Item]) -> CharacterState:
    """Return the document with the bag's content; an empty bag is not written down."""
    others = {name: each for name, each in state.bags.items() if name != bag}
    return replace(state, bags={**others, bag: items} if items else others)


def _stack_size(kinds: Kinds, item: Item) -> int:
    """Return how many go on a stack. Of what is not known, as many as were on one."""
    kind = kinds.get(item.kind)
    return max(1, min(kind.stack_size, MAX_COUNT)) if kind is not None else item.count


# ---------------------------------------------------------------- within the bags


def moved(
    state: CharacterState,
    source: str,
    target: str,
    kind: str,
    count: int,
    kinds: Kinds,
    identity: UUID | None = None,
) -> CharacterState:
    """Move so many of a kind from one bag to another; what is worn goes by `equipped` and `unequipped`.

    Raises: NotPossible.
    """
    if source.startswith(WORN) or target.startswith(WORN):
        raise NotPossible("unknown_bag", "What is worn is put on and taken off.")
    if source == target:
        raise NotPossible("unknown_bag", "It is in that bag already.")
    items_in(state, target)
    without, item = _taken(state, source, kind, count, identity)
    return _put(without, target, item, _stack_size(kinds, item))


def split(state: CharacterState, bag: str, position: int, count: int) -> CharacterState:
    """Lay so many of one stack beside it, as a stack of their own. Raises: NotPossible."""
    check_count(count)
    items = list(items_in(state, bag))
    item = _at(items, position)
    if count >= item.count:
        raise NotPossible("not_there", f"There are {item.count} on that stack: fewer can be laid beside it.")
    if len(items) >= CAPACITY[bag]:
        raise NotPossible("bag_full", f"There is no room for it: {bag} holds {CAPACITY[bag]} stacks.")
    items[position : position + 1] = [replace(item, count=item.count - count), replace(item, count=count)]
    return _with_bag(state, bag, items)


def merged(state: CharacterState, bag: str, position: int, onto: int, kinds: Kinds) -> CharacterState:
    """Lay one stack onto another of its kind, as far as that takes it. Raises: NotPossible."""
    items = list(items_in(state, bag))
    item, other = _at(items, position), _at(items, onto)
    if position == onto or item.kind != other.kind or item.id is not None or other.id is not None:
        raise NotPossible("not_alike", "Only two stacks of the same kind can be put together.")
    room = min(item.count, kind_of(kinds, item.kind).stack_size - other.count)
    if room <= 0:
        raise NotPossible("too_much", "That stack is as large as can be.")
    items[onto] = replace(other, count=other.count + room)
    items[position : position + 1] = [replace(item, count=item.count - room)] if room < item.count else []
    return _with_bag(state, bag, items)


def _at(items: list[Item], position: int) -> Item:
    if not 0 <= position < len(items):
        raise NotPossible("not_there", "There is nothing in that place.")
    return items[position]


def equipped(state: CharacterState, kind: str, kinds: Kinds, identity: UUID | None = None) -> CharacterState:
    """Put on one thing of the inventory; what was worn there goes into the inventory.

    Raises: NotPossible.
    """
    slot = kind_of(kinds, kind).slot
    if slot not in SLOTS:
        raise NotPossible("not_wearable", f"{kind_of(kinds, kind).name} cannot be worn.")
    state, item = _taken(state, INVENTORY, kind, 1, identity)
    for worn in state.bags.get(WORN + slot, []):
        state = _worn_off(state, slot, worn, kinds)
    return _put(state, WORN + slot, item, 1)


def unequipped(state: CharacterState, slot: str, kinds: Kinds) -> CharacterState:
    """Take off what is worn in a slot; it goes into the inventory. Raises: NotPossible."""
    if slot not in SLOTS:
        raise NotPossible("unknown_slot", f"There is no {slot!r} to wear things on: {', '.join(SLOTS)}.")
    worn = state.bags.get(WORN + slot, [])
    if not worn:
        raise NotPossible("not_there", f"You wear nothing there: {slot}.")
    for item in worn:
        state = _worn_off(state, slot, item, kinds)
    return state


def _worn_off(state: CharacterState, slot: str, worn: Item, kinds: Kinds) -> CharacterState:
    state, item = _taken(state, WORN + slot, worn.kind, worn.count, worn.id)
    return _put(state, INVENTORY, item, _stack_size(kinds, item))


# ---------------------------------------------------------------- money


def paid(state: CharacterState, coins: int) -> CharacterState:
    """Take coins away. Raises: NotPossible."""
    _check_amount(coins)
    if coins > state.money:
        raise NotPossible("not_enough_money", f"That is {coins} coins, and you have {state.money}.")
    return replace(state, money=state.money - coins)


def received(state: CharacterState, coins: int) -> CharacterState:
    """Give coins. Raises: NotPossible."""
    _check_amount(coins)
    if state.money + coins > MAX_MONEY:
        raise NotPossible("too_much_money", "You cannot carry so many coins.")
    return replace(state, money=state.money + coins)


def _check_amount(coins: int) -> None:
    if not 0 <= coins <= MAX_MONEY:
        raise NotPossible("bad_amount", f"{coins} is no amount of coins.")
