"""How what a character has is shown to its player."""

from zonecluster.protocol.character import Item
from zonecluster.protocol.to_client import Stack
from zonecluster.rules.items import Kinds


def stack_of(item: Item, kinds: Kinds) -> Stack:
    """Return a stack as clients are told it; of a kind that the world does not know, by its slug."""
    kind = kinds.get(item.kind)
    if kind is None:
        return Stack(item.kind, item.kind, item.count, item.id, is_known=False)
    return Stack(item.kind, kind.name, item.count, item.id, kind.slot, kind.value, kind.weight)
