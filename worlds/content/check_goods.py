"""Items, vendors and chests of a pack against each other: names, places, and prices that make nobody rich."""

from collections import Counter
from collections.abc import Iterator

from worlds.content.pack import ItemContent, Where, ZoneContent
from worlds.content.problems import Problem


def check_goods(
    items: list[ItemContent], zones: list[ZoneContent], *, is_complete: bool
) -> Iterator[Problem]:
    """Return everything wrong between items, and those who have them.

    Args: is_complete: every file could be read; else missing items are not held against those who name them.
    """
    kinds = {kind.slug for kind in items}
    for kind in items:
        if kind.stack_size != 1 and (kind.is_valuable or kind.slot):
            what = "a valuable" if kind.is_valuable else "worn"
            yield _refuse(kind.where, f"{kind.slug!r} is {what}, so each is by itself: leave out stack_size")
    for zone in zones:
        yield from _places(zone)
        yield from _wares(zone)
        yield from _loot(zone)
        if is_complete:
            named = [(ware.item, ware.where) for ware in zone.wares]
            named += [(loot.item, loot.where) for loot in zone.loot]
            for item, where in named:
                if item not in kinds:
                    yield _refuse(where, f"no item {item!r} in items.toml")
    yield from _money_pumps(zones)


def _refuse(where: Where, message: str) -> Problem:
    return Problem(where.file, where.line, message)


def _places(zone: ZoneContent) -> Iterator[Problem]:
    for what, things in (("vendor", zone.vendors), ("chest", zone.chests)):
        seen: set[str] = set()
        for thing in things:
            if thing.slug in seen:
                yield _refuse(thing.where, f"a second {what} {thing.slug!r} in this zone")
            seen.add(thing.slug)
            if not (0 <= thing.x <= zone.size and 0 <= thing.y <= zone.size):
                place = f"{what} {thing.slug!r} ({thing.x:g}, {thing.y:g})"
                yield _refuse(
                    thing.where, f"{place} is outside: zone {zone.slug!r} reaches from 0 to {zone.size:g} m"
                )


def _wares(zone: ZoneContent) -> Iterator[Problem]:
    vendors = {vendor.slug for vendor in zone.vendors}
    seen: Counter[tuple[str, str]] = Counter()
    for ware in zone.wares:
        if ware.vendor not in vendors:
            yield _refuse(ware.where, f"no vendor {ware.vendor!r} in this zone")
        if not ware.price and not ware.pays:
            message = f"{ware.vendor!r} neither sells nor buys {ware.item!r}: give a price, or what it pays"
            yield _refuse(ware.where, message)
        seen[ware.vendor, ware.item] += 1
        if seen[ware.vendor, ware.item] == 2:
            yield _refuse(ware.where, f"{ware.vendor!r} has {ware.item!r} twice: put price and pays together")


def _loot(zone: ZoneContent) -> Iterator[Problem]:
    chests = {chest.slug for chest in zone.chests}
    for chest in zone.chests:
        if chest.least_coins > chest.most_coins:
            yield _refuse(chest.where, f"chest {chest.slug!r}: least_coins is more than most_coins")
    for loot in zone.loot:
        if loot.chest not in chests:
            yield _refuse(loot.where, f"no chest {loot.chest!r} in this zone")
        if loot.least > loot.most:
            yield _refuse(loot.where, f"loot {loot.item!r}: least is more than most")


def _money_pumps(zones: list[ZoneContent]) -> Iterator[Problem]:
    """Nobody may pay more for a thing than it costs anywhere: coins would come out of nowhere."""
    wares = [ware for zone in zones for ware in zone.wares]
    cheapest: dict[str, int] = {}
    for ware in wares:
        if ware.price:
            cheapest[ware.item] = min(ware.price, cheapest.get(ware.item, ware.price))
    for ware in wares:
        price = cheapest.get(ware.item)
        if price is not None and ware.pays > price:
            message = f"{ware.vendor!r} pays {ware.pays} for {ware.item!r}, which is sold for {price}"
            yield _refuse(ware.where, f"{message}: whoever carries it there would be rich")
