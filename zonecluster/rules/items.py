"""What an item is: kinds, as a world's content has them, and the bags of a character. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

INVENTORY, BANK = "inventory", "bank"
WORN = "worn:"  # a bag of each slot: "worn:head" holds what is on the head
SLOTS = ("head", "body", "hands", "feet", "back", "neck", "main-hand", "off-hand")
CAPACITY = {INVENTORY: 24, BANK: 60, **{WORN + slot: 1 for slot in SLOTS}}  # stacks
MAX_COUNT = 1_000_000  # of one stack, as in the document
MAX_MONEY = 2**53 - 1  # coins of one character, as in the document

Why = Literal[
    "bad_count",  # not a whole number from 1 to a million
    "bad_amount",  # of coins: negative, or more than there can be
    "unknown_bag",
    "unknown_kind",  # the world's content does not have it (any more)
    "unknown_slot",
    "bag_full",
    "too_much",  # more than a stack of it holds
    "not_there",  # less of it than was asked for, or nothing in that place
    "not_alike",  # only stacks of one kind without ids are put together
    "not_wearable",
    "not_for_sale",
    "not_bought",
    "not_enough_money",
    "too_much_money",
    "id_taken",  # the character has that very thing already
    "needs_id",  # a valuable without one, or a plain item with one
    "is_valuable",  # only goes where its owner is known
    "nothing_there",  # no such vendor, chest or thing, or nothing in it
    "out_of_reach",
    "ground_full",
    "withheld",  # the character cannot be saved at the moment
    "too_many_changes",  # wait until those before are written down
    "trading",  # nothing changes until the outcome of an exchange is known
    "moving",  # the place is just being moved to another cluster
    "other_line",  # what lies on the ground is main's or a fork's
]


class NotPossible(Exception):
    """What was asked of a character's bags cannot be. `why`: for programs; the text is for the player."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why: Why = why


@dataclass(frozen=True)
class ItemKind:
    """A kind of item.

    `slot`: where it is worn; empty: nowhere. `value` in coins, `weight` in kg. Valuables have ids and do not
    stack.
    """

    slug: str
    name: str
    stack_size: int = 1
    value: int = 0
    weight: float = 0.0
    is_valuable: bool = False
    slot: str = ""


Kinds = Mapping[str, ItemKind]  # by slug: all that the world's content has


@dataclass(frozen=True)
class Ware:
    """What a vendor takes for one of a kind, and what it gives for one, in coins; 0: does not."""

    kind: str
    price: int
    pays: int


def kind_of(kinds: Kinds, slug: str) -> ItemKind:
    """Return a kind by its slug. Raises: NotPossible: unknown_kind."""
    kind = kinds.get(slug)
    if kind is None:
        raise NotPossible("unknown_kind", f"Nobody in this world knows what {slug!r} is.")
    return kind
