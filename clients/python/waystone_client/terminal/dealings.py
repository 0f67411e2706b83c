"""A person's orders about things and alliances: names become kinds and entities. For the story."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from waystone_client.errors import WaystoneError
from waystone_client.player import Player
from waystone_client.terminal.commands import Ally, Handle
from zonecluster.protocol.to_client import Bag, InventoryIs, Result, Stack, WaresAre

INVENTORY, BANK, WORN = "inventory", "bank", "worn:"  # names of bags, as the world tells them


class Named(Protocol):
    """Something of a kind, with a name that people read."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...


_Named = TypeVar("_Named", bound=Named)
Told = tuple[str, str]  # kind of line, text


async def handle(player: Player, order: Handle) -> list[Told]:
    """Do something with things. Raises: WaystoneError: no such thing, or the world does not answer."""
    goods, what, count = player.goods, order.what, order.count
    match order.verb:
        case "take":
            return result_told(await goods.pick_up(_nearest(player, "item", what)))
        case "loot":
            return result_told(await goods.loot(_nearest(player, "chest", what)))
        case "wares":
            return _wares_told(await goods.wares(_nearest(player, "vendor", what)))
        case "buy":
            vendor = _nearest(player, "vendor", "")
            found = await goods.wares(vendor)
            if isinstance(found, Result):
                return result_told(found)
            return result_told(await goods.buy(vendor, choose(what, found.wares).kind, count))
        case "unequip":
            return result_told(await goods.unequip(_slot(await goods.inventory(), what)))
    bag = BANK if order.verb == "withdraw" else INVENTORY
    thing = choose(what, stacks_of(await goods.inventory(), bag))
    match order.verb:
        case "sell":
            vendor = _nearest(player, "vendor", "")
            return result_told(await goods.sell(vendor, thing.kind, count, thing.id))
        case "drop":
            return result_told(await goods.drop(thing.kind, count))
        case "equip":
            return result_told(await goods.equip(thing.kind, thing.id))
    target = INVENTORY if bag == BANK else BANK
    return result_told(await goods.move(bag, target, thing.kind, count, thing.id))


async def ally(player: Player, order: Ally) -> list[Told]:
    """Do something about the alliance. Raises: WaystoneError."""
    alliance = player.alliance
    match order.verb:
        case "invite":
            return result_told(await alliance.invite(order.name))
        case "accept":
            return result_told(await alliance.accept(order.name))
        case "decline":
            return result_told(await alliance.decline(order.name))
    return result_told(await alliance.leave())


async def inventory(player: Player) -> list[Told]:
    """Tell what the character has. Raises: WaystoneError."""
    found = await player.goods.inventory()
    lines = [f"You have {found.money} coins."]
    lines += [
        f"  {_bag_name(bag)}: {', '.join(map(stack_told, bag.stacks)) or 'nothing'}" for bag in found.bags
    ]
    if found.more:
        lines.append(f"  … and {found.more} more.")
    return [("answer", line) for line in lines]


def result_told(result: Result) -> list[Told]:
    """Tell what was done, or why not."""
    return [("notice" if result.ok else "warning", result.text or ("Done." if result.ok else "No."))]


def _wares_told(found: WaresAre | Result) -> list[Told]:
    if isinstance(found, Result):
        return result_told(found)
    lines = [f"{found.vendor}:"]
    for ware in found.wares:
        parts = [f"costs {ware.price}"] if ware.price else []
        parts += [f"is bought for {ware.pays}"] if ware.pays else []
        lines.append(f"  {ware.name} {', '.join(parts)}")
    return [("answer", line) for line in lines]


def _bag_name(bag: Bag) -> str:
    return f"on {bag.name.removeprefix(WORN)}" if bag.name.startswith(WORN) else bag.name


def stack_told(stack: Stack) -> str:
    """Return what people read of a stack."""
    name = stack.name if stack.is_known else f"{stack.name} (unknown in this world)"
    return f"{stack.count} × {name}" if stack.count > 1 else name


def stacks_of(found: InventoryIs, bag: str) -> list[Stack]:
    """Return what is in a bag."""
    return next((each.stacks for each in found.bags if each.name == bag), [])


def _slot(found: InventoryIs, what: str) -> str:
    """Return the slot that is meant: by its name, or by what is worn there."""
    worn = {bag.name.removeprefix(WORN): bag.stacks for bag in found.bags if bag.name.startswith(WORN)}
    if what.casefold() in worn:
        return what.casefold()
    thing = choose(what, [stack for stacks in worn.values() for stack in stacks])
    return next(slot for slot, stacks in worn.items() if thing in stacks)


def choose(what: str, things: Sequence[_Named]) -> _Named:
    """Return what is meant: by its whole name or slug, else by a part of it. Raises: WaystoneError."""
    wanted = what.casefold()
    for thing in things:
        if wanted in (thing.kind.casefold(), thing.name.casefold()):
            return thing
    for thing in things:
        if wanted in thing.name.casefold():
            return thing
    names = ", ".join(dict.fromkeys(thing.name for thing in things)) or "nothing"
    raise WaystoneError("no_such_thing", f"There is no {what!r} among it.", f"There is: {names}.")


def _nearest(player: Player, kind: str, name: str) -> int:
    """Return the entity id of the nearest of a kind, of that name if one is given. Raises: WaystoneError."""
    for sight in player.visible():
        if sight.kind == kind and name.casefold() in sight.name.casefold():
            return sight.id
    what = f"{kind} called {name}" if name else kind
    raise WaystoneError("nothing_in_view", f"You see no {what}.", "Walk nearer, or look around.")
