"""What a player has, buys, finds and lays down: commands on the world link. The rules are in rules/.

Whatever changes the document is told only once it is durable (`Cluster.change`). What a thing on the ground
waits for, and why nothing goes from one player's document into another's here: docs/items.md.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.players import Player
from zonecluster.protocol.character import CharacterState, Item
from zonecluster.protocol.from_client import (
    Buy,
    ChangeOfGoods,
    Drop,
    Equip,
    Inventory,
    Loot,
    Merge,
    Move,
    PickUp,
    Sell,
    Split,
    Unequip,
    Wares,
)
from zonecluster.protocol.to_client import Bag, InventoryIs, Offered, Result, WaresAre
from zonecluster.rules.inventory import (
    added,
    check_count,
    equipped,
    merged,
    moved,
    removed,
    split,
    unequipped,
)
from zonecluster.rules.items import CAPACITY, INVENTORY, Kinds, NotPossible, kind_of
from zonecluster.rules.looting import looted
from zonecluster.rules.shown import stack_of
from zonecluster.rules.trading import MAX_BOUGHT, bought, sold
from zonecluster.simulation.tables import CHEST, ITEM, VENDOR

MAX_SHOWN = 300  # stacks in one InventoryIs: three times what the bags hold
OF_THE_PLACE = (Drop, Loot, PickUp)  # not while the place is moved to another cluster
MAX_NEWS = 64  # changes of one player that may wait to be durable

# ---------------------------------------------------------------- questions


def tell_inventory(cluster: Cluster, player: Player, command: Inventory) -> None:
    """Tell the player what the character has; bags and kinds that nobody here knows, too."""
    kinds, state = player.instance.goods.kinds, player.state
    room, bags = MAX_SHOWN, []
    for name in [*CAPACITY, *sorted(set(state.bags) - set(CAPACITY))]:
        items = state.bags.get(name, [])[:room]
        if items or name in (INVENTORY, "bank"):
            bags.append(Bag(name, CAPACITY.get(name, 0), [stack_of(item, kinds) for item in items]))
        room -= len(items)
    more = sum(map(len, state.bags.values())) - sum(len(bag.stacks) for bag in bags)
    cluster.tell(player, InventoryIs(command.seq, state.money, bags, more))


def tell_wares(cluster: Cluster, player: Player, command: Wares) -> None:
    """Tell what a vendor within reach sells and buys."""
    goods = player.instance.goods
    try:
        vendor = goods.vendors[player.instance.within_reach(player.row, command.entity, VENDOR)]
    except NotPossible as refusal:
        cluster.tell(player, Result(command.seq, False, str(refusal), refusal.why))
        return
    wares = [
        Offered(ware.kind, kind_of(goods.kinds, ware.kind).name, ware.price, ware.pays)
        for ware in vendor.wares
        if ware.kind in goods.kinds
    ]
    cluster.tell(player, WaresAre(command.seq, vendor.name, wares))


# ---------------------------------------------------------------- changes


def change_goods(cluster: Cluster, player: Player, command: ChangeOfGoods) -> None:
    """Run a command that changes the document; what cannot be is answered with why."""
    try:
        if player.is_withheld:
            text = "Your character cannot be saved just now, so nothing that you have changes."
            raise NotPossible("withheld", text)
        if player.held is not None:
            text = "A trade or a letter of yours is just being written down. Try again in a moment."
            raise NotPossible("trading", text)
        if player.instance.is_still and isinstance(command, OF_THE_PLACE):
            text = "This place is just being set up anew. Try again in a moment."
            raise NotPossible("moving", text)
        if len(player.news) >= MAX_NEWS:
            text = f"{MAX_NEWS} of your changes are being written down; wait for the answers."
            raise NotPossible("too_many_changes", text)
        CHANGES[type(command)](cluster, player, command)
        cluster.counters["goods_changed"] += 1
    except NotPossible as refusal:
        cluster.counters["goods_refused"] += 1
        cluster.tell(player, Result(command.seq, False, str(refusal), refusal.why))


def _done(cluster: Cluster, player: Player, seq: int, state: CharacterState, text: str) -> None:
    cluster.change(player, state, Result(seq, True, text))


def _named(count: int, kind: str, kinds: Kinds) -> str:
    known = kinds.get(kind)
    name = known.name if known is not None else kind
    return f"{count} × {name}" if count > 1 else name


def buy(cluster: Cluster, player: Player, command: Buy) -> None:
    """Buy from a vendor; valuables begin to exist here, with an id each."""
    goods, count = player.instance.goods, command.count
    vendor = goods.vendors[player.instance.within_reach(player.row, command.entity, VENDOR)]
    kind = kind_of(goods.kinds, command.kind)
    ids = [uuid4() for _ in range(min(count, MAX_BOUGHT))] if kind.is_valuable else []
    state = bought(player.state, vendor.wares, command.kind, count, goods.kinds, ids)
    coins = player.state.money - state.money
    text = f"You buy {_named(count, command.kind, goods.kinds)} for {coins} coins."
    _done(cluster, player, command.seq, state, text)


def sell(cluster: Cluster, player: Player, command: Sell) -> None:
    """Sell to a vendor."""
    goods = player.instance.goods
    vendor = goods.vendors[player.instance.within_reach(player.row, command.entity, VENDOR)]
    state = sold(player.state, vendor.wares, command.kind, command.count, goods.kinds, command.id)
    coins = state.money - player.state.money
    text = f"You sell {_named(command.count, command.kind, goods.kinds)} for {coins} coins."
    _done(cluster, player, command.seq, state, text)


def loot(cluster: Cluster, player: Player, command: Loot) -> None:
    """Take what is in a chest. The chest has it no more before the document has it."""
    goods, tick = player.instance.goods, cluster.tables.tick
    chest = goods.chests[player.instance.within_reach(player.row, command.entity, CHEST)]
    chest.look_into(tick, cluster.rng)
    if not chest.items and not chest.coins:
        raise NotPossible("nothing_there", f"There is nothing in it: {chest.content.name}.")
    haul = looted(player.state, chest.items, chest.coins, goods.kinds, uuid4)
    if not haul.taken and not haul.taken_coins:
        raise NotPossible("bag_full", "You have no room for what is in it.")
    chest.leave(haul.left, haul.left_coins, tick)
    found = [f"{haul.taken_coins} coins"] if haul.taken_coins else []
    found += [_named(item.count, item.kind, goods.kinds) for item in haul.taken]
    rest = " There is more than you have room for." if haul.left or haul.left_coins else ""
    _done(cluster, player, command.seq, haul.state, f"You take {', '.join(found)}.{rest}")


def pick_up(cluster: Cluster, player: Player, command: PickUp) -> None:
    """Pick up a thing. It is gone from the ground before the document has it."""
    instance = player.instance
    row = instance.within_reach(player.row, command.entity, ITEM)
    item = instance.goods.taken_by(row, player.line)
    state = added(player.state, INVENTORY, item, instance.goods.kinds)
    instance.remove(row)
    text = f"You pick up {_named(item.count, item.kind, instance.goods.kinds)}."
    _done(cluster, player, command.seq, state, text)


def drop(cluster: Cluster, player: Player, command: Drop) -> None:
    """Lay something down. It lies there, hidden, until the master has the document without it."""
    instance, kinds = player.instance, player.instance.goods.kinds
    if kind_of(kinds, command.kind).is_valuable:
        raise NotPossible("is_valuable", "That is too precious to be left lying about.")
    check_count(command.count)
    state = removed(player.state, INVENTORY, command.kind, command.count)
    shows = instance.lay(player.row, Item(command.kind, command.count))
    text = f"You lay down {_named(command.count, command.kind, kinds)}."
    cluster.change(player, state, Result(command.seq, True, text), shows=shows)


def equip(cluster: Cluster, player: Player, command: Equip) -> None:
    """Put something on."""
    kinds = player.instance.goods.kinds
    state = equipped(player.state, command.kind, kinds, command.id)
    _done(cluster, player, command.seq, state, f"You put on {_named(1, command.kind, kinds)}.")


def unequip(cluster: Cluster, player: Player, command: Unequip) -> None:
    """Take off what is worn in a slot."""
    state = unequipped(player.state, command.slot, player.instance.goods.kinds)
    _done(cluster, player, command.seq, state, f"You take off what you wore: {command.slot}.")


def move(cluster: Cluster, player: Player, command: Move) -> None:
    """Move something between inventory and bank."""
    c, kinds = command, player.instance.goods.kinds
    state = moved(player.state, c.source, c.target, c.kind, c.count, kinds, c.id)
    text = f"You put {_named(c.count, c.kind, kinds)} into: {c.target}."
    _done(cluster, player, c.seq, state, text)


def split_stack(cluster: Cluster, player: Player, command: Split) -> None:
    """Make two stacks of one."""
    state = split(player.state, command.bag, command.position, command.count)
    _done(cluster, player, command.seq, state, "You make two stacks of it.")


def merge_stacks(cluster: Cluster, player: Player, command: Merge) -> None:
    """Lay one stack onto another."""
    kinds = player.instance.goods.kinds
    state = merged(player.state, command.bag, command.position, command.onto, kinds)
    _done(cluster, player, command.seq, state, "You put the stacks together.")


CHANGES: dict[type, Callable[[Cluster, Player, Any], None]] = {
    Buy: buy,
    Sell: sell,
    Loot: loot,
    PickUp: pick_up,
    Drop: drop,
    Equip: equip,
    Unequip: unequip,
    Move: move,
    Split: split_stack,
    Merge: merge_stacks,
}
