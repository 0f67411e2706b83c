"""Things and coins of the simulation, and how a document tells where all of it came from.

The game counts, in the document itself, what it gives: each gain is a coin, some are a herb or a gem besides,
and what is laid on the ground or picked up is written down, too. So the *balance* of a document (what it has,
less what it got, plus what it laid down, less what it picked up) changes in one way only: by an exchange. And
of all documents and letters of one scope (main, or the forks of one world) the balances together stay what
they were.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import msgspec

from zonecluster.protocol.character import CharacterState, Item
from zonecluster.rules.inventory import added, received, removed
from zonecluster.rules.items import INVENTORY, ItemKind

HERB, GEM = "herb", "gem"
KINDS = {
    HERB: ItemKind(HERB, "Herb", stack_size=20),
    GEM: ItemKind(GEM, "Gem", is_valuable=True),
}
LAID, PICKED = "laid", "picked"  # "laid herb 17": the thing on the ground with that number


class Balance(NamedTuple):
    """Of a document, or of many: what came by exchanges, less what went by them."""

    coins: int = 0
    herbs: int = 0
    gems: int = 0

    def plus(self, other: "Balance") -> "Balance":
        return Balance(self.coins + other.coins, self.herbs + other.herbs, self.gems + other.gems)

    def minus(self, other: "Balance") -> "Balance":
        return Balance(self.coins - other.coins, self.herbs - other.herbs, self.gems - other.gems)


NOTHING = Balance()


class Content(NamedTuple):
    """What a document or a letter says: its balance, its valuables, and its things of the ground."""

    balance: Balance
    gems: tuple[UUID, ...]
    laid: frozenset[str] = frozenset()
    picked: frozenset[str] = frozenset()


def content_of(state: CharacterState) -> Content:
    """Count a document."""
    coins, herbs, gems = state.money, 0, []
    for bag in state.bags.values():
        for item in bag:
            if item.id is not None:
                gems.append(item.id)
            else:
                herbs += item.count
    own_gems, laid, picked = len(gems), [], []
    for source, number in state.skills.items():
        what, _, rest = source.partition(" ")
        if not rest:
            coins -= number
        elif what == HERB:
            herbs -= number
        elif what == GEM:
            own_gems -= number
        elif what == LAID:
            laid.append(rest)
        else:
            picked.append(rest)
    herbs += len(laid) - len(picked)
    return Content(Balance(coins, herbs, own_gems), tuple(gems), frozenset(laid), frozenset(picked))


def content_of_letter(items: Iterable[Item], money: int) -> Content:
    """Count what lies in a letter."""
    held = list(items)
    gems = tuple(item.id for item in held if item.id is not None)
    herbs = sum(item.count for item in held if item.id is None)
    return Content(Balance(money, herbs, len(gems)), gems)


def doubled(contents: Iterable[Content]) -> list[UUID]:
    """Return the valuables that are there more than once."""
    counts = Counter(gem for content in contents for gem in content.gems)
    return [gem for gem, count in counts.items() if count > 1]


# ---------------------------------------------------------------- what the game does


def with_count(state: CharacterState, source: str) -> CharacterState:
    """Write down that a source has given once more."""
    counted = {**state.skills, source: state.skills.get(source, 0) + 1}
    return msgspec.structs.replace(state, skills=counted)


def with_gain(state: CharacterState, source: str) -> CharacterState:
    """Give a coin."""
    return received(with_count(state, source), 1)


def with_herb(state: CharacterState, source: str) -> CharacterState:
    """Give a herb. Raises: NotPossible: no room."""
    return with_count(added(state, INVENTORY, Item(HERB), KINDS), f"{HERB} {source}")


def with_gem(state: CharacterState, source: str, gem: UUID) -> CharacterState:
    """Give a gem. Raises: NotPossible: no room."""
    return with_count(added(state, INVENTORY, Item(GEM, 1, gem), KINDS), f"{GEM} {source}")


def laid_down(state: CharacterState, thing: str) -> CharacterState:
    """Take a herb out, for the ground. Raises: NotPossible: there is none."""
    return with_count(removed(state, INVENTORY, HERB, 1), f"{LAID} {thing}")


def picked_up(state: CharacterState, thing: str) -> CharacterState:
    """Put a herb of the ground in. Raises: NotPossible: no room."""
    return with_count(added(state, INVENTORY, Item(HERB), KINDS), f"{PICKED} {thing}")


def herbs_in(state: CharacterState) -> int:
    """Return how many herbs a document has."""
    return sum(item.count for bag in state.bags.values() for item in bag if item.id is None)


def gems_in(state: CharacterState) -> list[UUID]:
    """Return a document's valuables."""
    return [item.id for bag in state.bags.values() for item in bag if item.id is not None]
