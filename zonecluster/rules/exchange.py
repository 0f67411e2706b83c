"""What changes hands: out of one document, into another. Called by the world daemon, for trade and mail.

Only the inventory and the money take part, and only kinds that the world knows. As everywhere in these rules
the whole of what is asked happens, or `NotPossible` is raised and nothing has.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.inventory import added, check_count, paid, received, removed
from zonecluster.rules.items import INVENTORY, MAX_MONEY, Kinds, NotPossible, kind_of

MOST_STACKS = 12  # of one side


@dataclass(frozen=True)
class Goods:
    """Stacks, valuables with their ids, coins."""

    items: tuple[Item, ...] = ()
    money: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether there is neither a thing nor a coin."""
        return not self.items and not self.money


def goods_of(items: Iterable[tuple[str, int, UUID | None]], money: int, kinds: Kinds) -> Goods:
    """Return what somebody offers, as goods: kinds in their order, one stack of a kind, each valuable once.

    Args: items: kind, count, and of a valuable its id.
    Raises: NotPossible.
    """
    counts: Counter[str] = Counter()
    things: dict[UUID, Item] = {}
    for kind, count, identity in items:
        check_count(count)
        if kind_of(kinds, kind).is_valuable != (identity is not None):
            raise NotPossible("needs_id", f"{kind}: only valuables have an id, and each of them has one.")
        if identity is None:
            counts[kind] += count
        elif identity in things or count != 1:
            raise NotPossible("bad_count", f"There is one {kind} with that id.")
        else:
            things[identity] = Item(kind, 1, identity)
    if len(counts) + len(things) > MOST_STACKS:
        raise NotPossible("too_much", f"At most {MOST_STACKS} things change hands at once.")
    if not 0 <= money <= MAX_MONEY:
        raise NotPossible("bad_amount", f"{money} is no amount of coins.")
    for count in counts.values():
        check_count(count)
    return Goods((*(Item(kind, count) for kind, count in counts.items()), *things.values()), money)


def without(state: CharacterState, goods: Goods) -> CharacterState:
    """Take goods out of the inventory and the purse. Raises: NotPossible: they are not all there."""
    for item in goods.items:
        state = removed(state, INVENTORY, item.kind, item.count, item.id)
    return paid(state, goods.money)


def with_goods(state: CharacterState, goods: Goods, kinds: Kinds) -> CharacterState:
    """Put goods into the inventory and the purse. Raises: NotPossible: no room, or not known here."""
    for item in goods.items:
        state = added(state, INVENTORY, item, kinds)
    return received(state, goods.money)


def without_and_with(state: CharacterState, given: Goods, got: Goods, kinds: Kinds) -> CharacterState:
    """Give and get: what is given makes room for what comes. Raises: NotPossible."""
    return with_goods(without(state, given), got, kinds)
