"""Creatures appear by and by: never more in a tick than the budget, small zones first, lost ones again."""

from collections import Counter

import numpy as np
import pytest

from zonecluster.simulation import cargo
from zonecluster.simulation.content import SpawnContent, ZoneContent
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.spawning import RESPAWN_S, spawn_due
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import CREATURE, Tables

CRABS = SpawnContent("crab", "crab", 1.0, 30, 50.0, 50.0, 20.0)
GULLS = SpawnContent("gull", "gull", 2.0, 5, 20.0, 20.0, 10.0)


def zone(tables: Tables, number: int = 1, spawns: tuple[SpawnContent, ...] = (CRABS,)) -> ZoneInstance:
    content = ZoneContent("a", "A", "", 100.0, 5.0, 5.0, spawns=spawns)
    return ZoneInstance(number, content, tables, np.random.default_rng(number), is_filled=False)


def creatures(instance: ZoneInstance) -> Counter[str]:
    return Counter(instance.names[row] for row in cargo.creature_rows(instance))


def test_a_big_zone_fills_over_several_ticks() -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    instance = zone(tables)
    counts = [spawn_due([instance], 12, rng) for _ in range(4)]
    assert counts == [12, 12, 6, 0] and len(instance.nest) == 0
    assert creatures(instance) == {"crab": 30}


def test_budget_is_the_process_s_and_small_zones_are_whole_first() -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    big, small = zone(tables, 1), zone(tables, 2, (GULLS,))
    assert spawn_due([big, small], 10, rng) == 10
    assert creatures(small) == {"gull": 5} and creatures(big) == {"crab": 5}


@pytest.mark.parametrize("budget", [1, 3, 7])
def test_no_tick_has_more_than_the_budget(budget: int) -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    zones = [zone(tables, number, (CRABS, GULLS)) for number in (1, 2, 3)]
    ticks = 0
    while any(len(each.nest) for each in zones):
        assert 0 < spawn_due(zones, budget, rng) <= budget
        ticks += 1
    assert ticks == -(-3 * 35 // budget)
    assert all(creatures(each) == {"crab": 30, "gull": 5} for each in zones)


def test_creature_that_is_taken_out_comes_back_after_a_while() -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    instance = zone(tables, spawns=(GULLS,))
    spawn_due([instance], 100, rng)
    instance.remove(cargo.creature_rows(instance)[0])
    tables.tick += round(RESPAWN_S / TICK_S) - 1
    assert spawn_due([instance], 100, rng) == 0 and creatures(instance) == {"gull": 4}
    tables.tick += 1
    assert spawn_due([instance], 100, rng) == 1 and creatures(instance) == {"gull": 5}


def test_player_who_leaves_leaves_no_gap() -> None:
    tables = Tables()
    instance = zone(tables, spawns=())
    instance.remove(instance.admit("Alice", Stand((5.0, 5.0, 0.0), 0.0)))
    assert len(instance.nest) == 0


def test_nothing_appears_in_an_instance_that_is_moved() -> None:
    tables, rng = Tables(), np.random.default_rng(1)
    instance = zone(tables)
    cargo.still(instance)
    assert spawn_due([instance], 100, rng) == 0
    cargo.stir(instance)
    assert spawn_due([instance], 100, rng) == 30


def test_creatures_that_come_along_in_a_move_are_there_at_once_and_the_others_by_and_by() -> None:
    source_tables, rng = Tables(), np.random.default_rng(1)
    source = zone(source_tables, spawns=(CRABS, GULLS))
    spawn_due([source], 20, rng)
    written = cargo.pack(source)
    target = zone(Tables(), spawns=(CRABS, GULLS))
    cargo.still(target)
    cargo.unpack(target, written)
    assert creatures(target) == creatures(source) and len(target.nest) == 15
    rows = cargo.creature_rows(target)
    assert target.tables.is_frozen[rows].all() and (target.tables.kind[rows] == CREATURE).all()
    cargo.stir(target)
    spawn_due([target], 100, rng)
    assert creatures(target) == {"crab": 30, "gull": 5}


def test_filling_at_once_and_by_and_by_give_the_same_numbers() -> None:
    content = ZoneContent("a", "A", "", 100.0, 5.0, 5.0, spawns=(CRABS, GULLS))
    instance = ZoneInstance(1, content, Tables(), np.random.default_rng(1))
    assert creatures(instance) == {"crab": 30, "gull": 5} and len(instance.nest) == 0
