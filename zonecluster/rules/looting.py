"""What somebody takes out of a chest: as much as there is room for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.inventory import added, received
from zonecluster.rules.items import INVENTORY, Kinds, NotPossible


@dataclass(frozen=True)
class Haul:
    """The document after it, what was taken, and what stays."""

    state: CharacterState
    taken: list[Item]
    taken_coins: int
    left: list[Item]
    left_coins: int


def looted(
    state: CharacterState, items: Sequence[Item], coins: int, kinds: Kinds, new_id: Callable[[], UUID]
) -> Haul:
    """Take what is in a chest. What there is no room for, or no kind of, stays.

    Args: new_id: gives valuables their ids: they begin to exist when somebody has them.
    """
    taken: list[Item] = []
    left: list[Item] = []
    for item in items:
        kind = kinds.get(item.kind)
        is_valuable = kind is not None and kind.is_valuable
        rest = item.count
        while rest:
            part = Item(item.kind, 1, new_id()) if is_valuable else item
            try:
                state = added(state, INVENTORY, part, kinds)
            except NotPossible:
                left.append(Item(item.kind, rest))
                break
            taken.append(part)
            rest -= part.count
    try:
        return Haul(received(state, coins), taken, coins, left, 0)
    except NotPossible:
        return Haul(state, taken, 0, left, coins)
