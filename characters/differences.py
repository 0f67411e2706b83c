"""What differs between two states of a character, in words for people: "money 10 → 25", "+ 2 Iron sword".

Pure. Two states that differ have at least one difference, also in parts of the document that this module does
not know yet; two that do not have none.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec

from zonecluster.protocol.character import CharacterState, Item, Place

ZoneName = Callable[[str, str], str]  # world slug, zone slug → its name
ARROW = "→"
MINUS = "\N{MINUS SIGN}"
DESCRIBED = frozenset({"attributes", "skills", "bags", "money", "quests", "places"})


def plain_name(slug: str) -> str:
    """Return a stable name as people read it: `iron-sword` → `Iron sword`."""
    text = slug.replace("-", " ").replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def slugs_of(world: str, zone: str) -> str:
    """Name a zone by its slug, for want of a better name."""
    return plain_name(zone)


def differences(
    before: CharacterState, after: CharacterState, zone_name: ZoneName = slugs_of
) -> tuple[str, ...]:
    """Return what changed from one state to another, the most telling first."""
    return (
        *_numbers(before.attributes, after.attributes),
        *_numbers(before.skills, after.skills),
        *_money(before.money, after.money),
        *_items(before.bags, after.bags),
        *_quests(before.quests, after.quests),
        *_places(before.places, after.places, zone_name),
        *_others(before, after),
    )


def _numbers(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        shown = plain_name(name)
        if old is None:
            yield f"+ {shown} {new}"
        elif new is None:
            yield f"{MINUS} {shown} {old}"
        else:
            yield f"{shown} {old} {ARROW} {new}"


def _money(before: int, after: int) -> Iterator[str]:
    if before != after:
        yield f"money {before} {ARROW} {after}"


def _items(before: Mapping[str, list[Item]], after: Mapping[str, list[Item]]) -> Iterator[str]:
    """Yield what was gained and lost over all bags; then what only changed its bag or its order."""
    had, has = _counted(before), _counted(after)
    for kind in sorted({*had, *has}):
        change = has[kind] - had[kind]
        if change:
            sign, number = ("+", change) if change > 0 else (MINUS, -change)
            yield f"{sign} {plain_name(kind)}" if number == 1 else f"{sign} {number} {plain_name(kind)}"
    same_totals = had == has
    for bag in sorted({*before, *after}):
        if before.get(bag) == after.get(bag):
            continue
        inside_before, inside_after = (
            _counted({bag: before.get(bag, [])}),
            _counted({bag: after.get(bag, [])}),
        )
        if same_totals and inside_before != inside_after:
            yield f"things moved in or out of {plain_name(bag)}"
        elif inside_before == inside_after:
            yield from _rearranged(bag, before.get(bag), after.get(bag))


def _rearranged(bag: str, before: list[Item] | None, after: list[Item] | None) -> Iterator[str]:
    if before is None:
        yield f"+ {plain_name(bag)}, empty"
    elif after is None:
        yield f"{MINUS} {plain_name(bag)}, empty"
    elif _ids(before) != _ids(after):
        yield f"other valuables in {plain_name(bag)}"
    else:
        yield f"{plain_name(bag)} put in another order"


def _ids(items: list[Item]) -> Counter[object]:
    return Counter(item.id for item in items if item.id is not None)


def _counted(bags: Mapping[str, list[Item]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for items in bags.values():
        for item in items:
            counted[item.kind] += item.count
    return counted


def _quests(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for quest in sorted({*before, *after}):
        old, new = before.get(quest), after.get(quest)
        if old == new:
            continue
        name = plain_name(quest)
        if old is None:
            yield f"quest {name}: {plain_name(new or '')}"
        elif new is None:
            yield f"quest {name} is no more"
        else:
            yield f"quest {name}: {plain_name(old)} {ARROW} {plain_name(new)}"


def _places(before: Mapping[str, Place], after: Mapping[str, Place], zone_name: ZoneName) -> Iterator[str]:
    for world in sorted({*before, *after}):
        old, new = before.get(world), after.get(world)
        if old == new:
            continue
        if old is None and new is not None:
            yield f"came to {zone_name(world, new.zone)}"
        elif new is None and old is not None:
            yield f"left {zone_name(world, old.zone)}"
        elif old is not None and new is not None:
            here, there = zone_name(world, old.zone), zone_name(world, new.zone)
            if old.zone == new.zone:
                yield f"moved within {here}"
            else:
                yield f"moved from {here} to {there}"


def _others(before: CharacterState, after: CharacterState) -> Iterator[str]:
    """Yield the names of other parts that differ: the document grows, and nothing of it changes unseen."""
    for field in msgspec.structs.fields(CharacterState):
        if field.name not in DESCRIBED and getattr(before, field.name) != getattr(after, field.name):
            yield f"{plain_name(field.name)} changed"
