"""What a moved instance takes along: written at the source, taken over at the target, believed by nobody."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.cargo import (
    MAX_THINGS,
    Cargo,
    ChestNow,
    Creature,
    Thing,
    UnreadableCargo,
    decode_cargo,
    encode_cargo,
)
from zonecluster.protocol.character import Item
from zonecluster.rules.items import ItemKind
from zonecluster.simulation import cargo
from zonecluster.simulation.content import ChestContent, LootContent, SpawnContent, ZoneContent
from zonecluster.simulation.effects import add_effect
from zonecluster.simulation.goods import MAX_ON_GROUND
from zonecluster.simulation.inputs import NO_INPUTS
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import Tables

BREAD = ItemKind("bread", "loaf of bread", stack_size=20)
CRATE = ChestContent("crate", "Crate", 52.0, 50.0, 10.0, 2, 9, (LootContent("bread", 1.0, 3, 3),))
GULLS = SpawnContent("gull", "Gull", 3.0, 4, 30.0, 30.0, 20.0)
WOLVES = SpawnContent("wolf", "Wolf", 4.0, 2, 60.0, 60.0, 10.0)
CONTENT = ZoneContent(
    "z", "Zed", "", 100.0, 50.0, 51.0, chests=(CRATE,), kinds=(BREAD,), spawns=(GULLS, WOLVES)
)


def zone(content: ZoneContent = CONTENT, seed: int = 1) -> ZoneInstance:
    return ZoneInstance(7, content, Tables(), np.random.default_rng(seed))


def run(instance: ZoneInstance, ticks: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(ticks):
        step(instance.tables, NO_INPUTS, TICK_S, rng)


def moved(source: ZoneInstance, target: ZoneInstance) -> Cargo:
    """Move everything but players, through bytes."""
    cargo.still(source)
    cargo.still(target)
    written = decode_cargo(encode_cargo(cargo.pack(source)))
    cargo.unpack(target, written)
    return written


def creatures(instance: ZoneInstance) -> list[tuple]:
    tables = instance.tables
    return [
        (
            instance.names[row], tables.position[row].tolist(), float(tables.heading_deg[row]),
            tables.goal[row].tolist(), bool(tables.is_resting[row]), int(tables.effects[row]),
            float(tables.top_speed[row]),
        )
        for row in cargo.creature_rows(instance)
    ]  # fmt: skip


def ground(instance: ZoneInstance) -> list[tuple]:
    return [
        (laid.item, laid.line, laid.end_tick - instance.tables.tick, instance.tables.position[row].tolist())
        for row, laid in instance.goods.ground.items()
        if not instance.tables.is_hidden[row]
    ]


def lay(instance: ZoneInstance, count: int, *, is_shown: bool = True) -> int:
    row = instance.admit("Alice", Stand((40.0, 41.0, 0.0), 0.0))
    entity = instance.lay(row, Item("bread", count))
    if is_shown:
        instance.goods.show(entity, "fork")
    instance.remove(row)
    return entity


def test_everything_but_players_is_as_it_was() -> None:
    source, target = zone(seed=1), zone(seed=2)
    run(source, 137)
    add_effect(source.tables, cargo.creature_rows(source)[0], "slow", 20.0, TICK_S)
    lay(source, 3)
    chest = next(iter(source.goods.chests.values()))
    chest.look_into(source.tables.tick, np.random.default_rng(1))
    chest.leave([Item("bread", 2)], 1, source.tables.tick)
    run(target, 900)  # its clock is another one
    assert creatures(source) != creatures(target)
    moved(source, target)
    assert creatures(source) == creatures(target)
    assert ground(source) == ground(target) != []
    there = next(iter(target.goods.chests.values()))
    assert (there.items, there.coins) == ([Item("bread", 2)], 1)
    assert there.fill_tick - target.tables.tick == chest.fill_tick - source.tables.tick


def test_creatures_go_on_where_they_were_and_finish_their_way() -> None:
    source, target = zone(seed=1), zone(seed=2)
    run(source, 137)
    moved(source, target)
    cargo.stir(target)
    before = creatures(target)
    run(target, 1)
    steps = [np.hypot(*(np.array(a[1]) - b[1])[:2]) for a, b in zip(creatures(target), before, strict=True)]
    assert any(steps) and max(steps) <= 4.0 * TICK_S + 1e-3
    run(target, 2000)
    homes = {"Gull": (30.0, 30.0, 20.0), "Wolf": (60.0, 60.0, 10.0)}
    for name, (x, y, _), *_ in creatures(target):
        home_x, home_y, radius = homes[name]
        assert np.hypot(x - home_x, y - home_y) <= radius + 0.5


def test_while_still_no_creature_stirs_and_players_do() -> None:
    instance = zone()
    run(instance, 50)
    row = instance.admit("Alice", None)
    instance.set_links(row, has_zone_link=True, has_world_link=True)
    instance.tables.wish[row] = (1, 0)
    cargo.still(instance)
    before, x = creatures(instance), float(instance.tables.position[row, 0])
    instance.tables.input_tick[row] = instance.tables.tick
    run(instance, 3)
    assert [each[1] for each in creatures(instance)] == [each[1] for each in before]
    assert not instance.tables.is_frozen[row] and instance.is_still
    cargo.stir(instance)
    run(instance, 400)
    assert [each[1] for each in creatures(instance)] != [each[1] for each in before]
    assert float(instance.tables.position[row, 0]) >= x


def test_what_waits_to_be_shown_is_not_told() -> None:
    source, target = zone(), zone()
    lay(source, 3, is_shown=False)
    assert moved(source, target).things == [] and ground(target) == []


def test_taking_over_twice_doubles_nothing() -> None:
    source, target = zone(), zone()
    lay(source, 3)
    written = moved(source, target)
    cargo.unpack(target, written)
    assert len(ground(target)) == 1 and len(creatures(target)) == 6


def test_given_up_is_given_up() -> None:
    instance = zone()
    lay(instance, 3)
    chest = next(iter(instance.goods.chests.values()))
    cargo.empty(instance)
    chest.look_into(instance.tables.tick, np.random.default_rng(1))
    assert ground(instance) == [] and not chest.items and chest.fill_tick > instance.tables.tick


def test_another_content_at_the_target_keeps_what_fits() -> None:
    source = zone(seed=1)
    run(source, 100)
    changed = replace(CONTENT, spawns=(WOLVES, replace(GULLS, kind="crow", name="Crow")), chests=())
    target = zone(changed, seed=2)
    fresh = creatures(target)
    moved(source, target)
    now = creatures(target)
    assert now[:2] == creatures(source)[4:] and now[2:] == fresh[2:]


def hostile(**changes: object) -> Cargo:
    creature = Creature("Gull", (1.0, 2.0, 0.0), 0.0, 1.0, (1.0, 1.0), (0.0, 0.0), False, 5)
    return Cargo(creatures=[msgspec.structs.replace(creature, **changes)])


@pytest.mark.parametrize(
    "bad",
    [
        hostile(position=(float("nan"), 0.0, 0.0)),
        hostile(position=(1e9, 0.0, 0.0)),
        hostile(health=7.0),
        hostile(decides_in=-1),
        hostile(effects={"slow": -5}),
        Cargo(things=[Thing(Item("bread", 0), (0.0, 0.0, 0.0), "main", 1)]),
        Cargo(things=[Thing(Item("bread", 1), (0.0, 0.0, 0.0), "elsewhere", 1)]),
        Cargo(things=[Thing(Item("bread", 1), (0.0, 0.0, 0.0), "main", 1)] * (MAX_THINGS + 1)),
        Cargo(chests=[ChestNow("crate", [], -1, None)]),
    ],
)
def test_what_cannot_be_is_refused_as_a_whole(bad: Cargo) -> None:
    with pytest.raises(UnreadableCargo):
        decode_cargo(encode_cargo(bad))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode_cargo(data)
    except UnreadableCargo as refusal:
        assert str(refusal)


@pytest.mark.parametrize(
    "odd",
    [
        hostile(position=(-50.0, 500.0, 9e5), goal=(999.0, -999.0), heading_deg=-720.5),
        hostile(wish=(900.0, -900.0)),
        hostile(effects={"slow": 10**9, "no-such-effect": 3}),
    ],
)
def test_odd_numbers_are_brought_into_the_zone(odd: Cargo) -> None:
    target = zone()
    cargo.still(target)
    cargo.unpack(target, decode_cargo(encode_cargo(odd)))
    cargo.stir(target)
    run(target, 40)
    rows = cargo.creature_rows(target)
    tables = target.tables
    assert np.all((tables.position[rows, :2] >= 0) & (tables.position[rows, :2] <= 100))
    assert np.all(np.hypot(*tables.wish[rows].T) <= 1.001) and np.all(tables.top_speed[rows] <= 4.0)


def test_a_whole_ground_finds_room() -> None:
    things = [Thing(Item("bread", 1), (1.0, 1.0, 0.0), "main", 50)] * MAX_ON_GROUND
    target = zone()
    lay(target, 3)
    cargo.unpack(target, Cargo(things=things))
    assert len(ground(target)) == MAX_ON_GROUND == MAX_THINGS


def test_reading_is_bounded() -> None:
    with pytest.raises(UnreadableCargo, match="at most"):
        decode_cargo(bytes(8_000_001))
