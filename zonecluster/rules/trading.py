"""Buying from and selling to a vendor: one document changes, in one step."""

from collections.abc import Sequence
from uuid import UUID

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.inventory import added, check_count, paid, received, removed
from zonecluster.rules.items import INVENTORY, Kinds, NotPossible, Ware, kind_of

MAX_BOUGHT = 1000  # of a kind at once: more than an inventory takes of most


def bought(
    state: CharacterState,
    wares: Sequence[Ware],
    kind: str,
    count: int,
    kinds: Kinds,
    ids: Sequence[UUID] = (),
) -> CharacterState:
    """Buy so many of a kind. Args: ids: new ones, as many, if it is valuable. Raises: NotPossible."""
    check_count(count)
    if count > MAX_BOUGHT:
        raise NotPossible("too_much", f"At most {MAX_BOUGHT} at once.")
    price = next((ware.price for ware in wares if ware.kind == kind), 0)
    if price <= 0:
        raise NotPossible("not_for_sale", "That is not for sale here.")
    known = kind_of(kinds, kind)
    state = paid(state, price * count)
    for item in made(known.slug, count, ids) if known.is_valuable else [Item(kind, count)]:
        state = added(state, INVENTORY, item, kinds)
    return state


def made(kind: str, count: int, ids: Sequence[UUID]) -> list[Item]:
    """Return so many valuables, one for each new id. Raises: NotPossible: there are not as many ids."""
    if len(ids) != count:
        raise NotPossible("needs_id", "Each valuable needs an id of its own.")
    return [Item(kind, 1, identity) for identity in ids]


def sold(
    state: CharacterState,
    wares: Sequence[Ware],
    kind: str,
    count: int,
    kinds: Kinds,
    identity: UUID | None = None,
) -> CharacterState:
    """Sell so many of a kind out of the inventory. Raises: NotPossible."""
    check_count(count)
    kind_of(kinds, kind)
    pays = next((ware.pays for ware in wares if ware.kind == kind), 0)
    if pays <= 0:
        raise NotPossible("not_bought", "Nobody buys that here.")
    return received(removed(state, INVENTORY, kind, count, identity), pays * count)
