"""A moved instance: what is in it besides its players is written down at the source, and taken over.

While an instance is still, its creatures stand, and nothing is laid down, picked up or looted in it: so what
was written down stays true until one of the two stirs again.
"""

from collections import Counter, deque

import numpy as np

from zonecluster.protocol.cargo import Cargo, ChestNow, Creature, Thing
from zonecluster.protocol.effects import EFFECTS
from zonecluster.simulation.effects import add_effect
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import CREATURE


def creature_rows(instance: ZoneInstance) -> list[int]:
    """Return the rows of all creatures of an instance, in the order of their names' entry."""
    kinds, place = instance.tables.kind, instance.tables.place
    return [row for row in instance.names if kinds[row] == CREATURE and place[row] == instance.place_index]


def still(instance: ZoneInstance) -> None:
    """Let nothing but players stir, and no goods change hands."""
    instance.is_still = True
    instance.tables.is_frozen[creature_rows(instance)] = True


def stir(instance: ZoneInstance) -> None:
    """Let everything go on."""
    instance.is_still = False
    instance.tables.is_frozen[creature_rows(instance)] = False


def empty(instance: ZoneInstance) -> None:
    """Give up what lies there and what is in chests: somebody else may have it."""
    for row in list(instance.goods.ground):
        instance.remove(row)
    instance.goods.empty_chests()


# ---------------------------------------------------------------- at the source


def pack(instance: ZoneInstance) -> Cargo:
    """Write down what is in a still instance."""
    tick, goods = instance.tables.tick, instance.goods
    return Cargo(
        creatures=[_creature(instance, row) for row in creature_rows(instance)],
        things=[
            Thing(laid.item, _position(instance, row), laid.line, max(laid.end_tick - tick, 0))
            for row, laid in goods.ground.items()
            if not instance.tables.is_hidden[row]
        ],
        chests=[
            ChestNow(
                chest.content.slug,
                chest.items,
                chest.coins,
                max(chest.fill_tick - tick, 0) if chest.fill_tick is not None else None,
            )
            for chest in goods.chests.values()
        ],
    )


def _creature(instance: ZoneInstance, row: int) -> Creature:
    tables = instance.tables
    until = tables.effect_until_tick[row].tolist()
    effects = {
        name: until[bit] - tables.tick
        for bit, name in enumerate(EFFECTS)
        if tables.effects[row] >> bit & 1 and until[bit] > tables.tick
    }
    return Creature(
        name=instance.names[row],
        position=_position(instance, row),
        heading_deg=float(tables.heading_deg[row]),
        health=float(tables.health[row]),
        goal=_pair(tables.goal[row]),
        wish=_pair(tables.wish[row]),
        is_resting=bool(tables.is_resting[row]),
        decides_in=max(int(tables.decide_tick[row]) - tables.tick, 0),
        effects=effects,
    )


def _position(instance: ZoneInstance, row: int) -> tuple[float, float, float]:
    x, y, z = instance.tables.position[row].tolist()
    return x, y, z


def _pair(values: np.ndarray) -> tuple[float, float]:
    first, second = values.tolist()
    return first, second


# ---------------------------------------------------------------- at the target


def unpack(instance: ZoneInstance, cargo: Cargo) -> None:
    """Have this in a still instance, instead of what its content put there.

    Where the content is another by now, a creature or chest that is not there any more is left out, and a new
    one stays as it is.
    """
    for row in list(instance.goods.ground):
        instance.remove(row)
    for thing in cargo.things:
        _lay(instance, thing)
    chests = {chest.content.slug: chest for chest in instance.goods.chests.values()}
    for told in cargo.chests:
        chest = chests.get(told.slug)
        if chest is not None:
            chest.items, chest.coins = list(told.items), told.coins
            chest.fill_tick = None if told.fills_in is None else instance.tables.tick + told.fills_in
    by_name: dict[str, deque[Creature]] = {}
    for creature in cargo.creatures:
        by_name.setdefault(creature.name, deque()).append(creature)
    # What comes along is not new: it counts towards no spawn budget. What is missing still comes by that.
    rng = np.random.default_rng(instance.number)  # where they appear is told right after
    instance.nest.hatch_named(_missing(instance, by_name), instance.names, rng)
    if instance.is_still:
        still(instance)
    for row in creature_rows(instance):
        same = by_name.get(instance.names[row])
        if same:
            _have(instance, row, same.popleft())


def _missing(instance: ZoneInstance, by_name: dict[str, deque[Creature]]) -> Counter[str]:
    """Return how many creatures of each name come along that are not there yet."""
    there = Counter(instance.names[row] for row in creature_rows(instance))
    return Counter({name: len(same) for name, same in by_name.items()}) - there


def _lay(instance: ZoneInstance, thing: Thing) -> None:
    row = instance.goods.lay(thing.item, _inside(instance, thing.position))
    instance.goods.show_until(row, thing.line, instance.tables.tick + thing.vanishes_in)


def _have(instance: ZoneInstance, row: int, creature: Creature) -> None:
    tables = instance.tables
    tables.position[row] = _inside(instance, creature.position)
    tables.heading_deg[row] = creature.heading_deg % 360
    tables.health[row] = creature.health
    tables.goal[row] = _inside(instance, (*creature.goal, 0.0))[:2]
    tables.wish[row] = _at_most_one(creature.wish)
    tables.is_resting[row] = creature.is_resting
    tables.decide_tick[row] = tables.tick + creature.decides_in
    for name, ticks in creature.effects.items():
        if name in EFFECTS:
            add_effect(tables, row, name, ticks * TICK_S, TICK_S)


def _inside(instance: ZoneInstance, position: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y = (min(max(value, 0.0), instance.content.size) for value in position[:2])
    return x, y, min(max(position[2], -500.0), 500.0)


def _at_most_one(wish: tuple[float, float]) -> tuple[float, float]:
    length = max(float(np.hypot(*wish)), 1.0)
    return wish[0] / length, wish[1] / length
