"""Vendors, chests and things on the ground in a zone instance."""

import numpy as np
import pytest

from zonecluster.protocol.bus import LineKind
from zonecluster.protocol.character import Item
from zonecluster.rules.items import ItemKind, NotPossible, Ware
from zonecluster.rules.spells import SPELLS
from zonecluster.simulation.content import ChestContent, LootContent, VendorContent, ZoneContent
from zonecluster.simulation.goods import GROUND_S, HIDDEN_S, MAX_ON_GROUND
from zonecluster.simulation.instance import REACH_M, Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S
from zonecluster.simulation.tables import CHEST, ITEM, VENDOR, Tables

BREAD = ItemKind("bread", "loaf of bread", stack_size=20)
MARTA = VendorContent("marta", "Marta", 50.0, 50.0, 90.0, (Ware("bread", 3, 1),))
CRATE = ChestContent(
    "crate", "Crate", 52.0, 50.0, 10.0, 2, 9, (LootContent("bread", 0.5, 1, 3), LootContent("bread", 0.0))
)
CONTENT = ZoneContent(
    "z", "Zed", "", 100.0, 50.0, 51.0, vendors=(MARTA,), chests=(CRATE,), kinds=(BREAD,), max_players=4
)


@pytest.fixture
def zone() -> ZoneInstance:
    return ZoneInstance(7, CONTENT, Tables(), np.random.default_rng(1))


def the_only(rows) -> int:
    (row,) = rows
    return row


def entity(zone: ZoneInstance, row: int) -> int:
    return int(zone.tables.entity[row])


def why(zone: ZoneInstance, row: int, of: int, kind: int) -> str:
    with pytest.raises(NotPossible) as caught:
        zone.within_reach(row, of, kind)
    return caught.value.why


def test_vendors_and_chests_stand_where_the_content_says(zone: ZoneInstance) -> None:
    vendor, chest = the_only(zone.goods.vendors), the_only(zone.goods.chests)
    tables = zone.tables
    assert tables.position[[vendor, chest]].tolist() == [[50.0, 50.0, 0.0], [52.0, 50.0, 0.0]]
    assert tables.kind[[vendor, chest]].tolist() == [VENDOR, CHEST] and tables.heading_deg[vendor] == 90
    alice = zone.admit("Alice", None)
    seen = {(sight.name, sight.kind) for sight in zone.nearby(alice)}
    assert seen == {("Marta", VENDOR), ("Crate", CHEST)}


def test_reach(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    vendor = the_only(zone.goods.vendors)
    assert zone.within_reach(alice, entity(zone, vendor), VENDOR) == vendor
    assert why(zone, alice, entity(zone, vendor), CHEST) == "nothing_there"
    assert why(zone, alice, entity(zone, alice), VENDOR) == "nothing_there"
    for nobody in (0, -1, 2**32 - 1, 2**70):
        assert why(zone, alice, nobody, VENDOR) == "nothing_there"
    zone.place(alice, Stand((50.0, 50.0 + REACH_M, 0.0), 0.0))
    assert zone.within_reach(alice, entity(zone, vendor), VENDOR) == vendor
    zone.place(alice, Stand((50.0, 50.1 + REACH_M, 0.0), 0.0))
    assert why(zone, alice, entity(zone, vendor), VENDOR) == "out_of_reach"


def test_no_spell_is_cast_on_a_thing(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    for row in (*zone.goods.vendors, *zone.goods.chests):
        assert zone.target_of(alice, SPELLS["haste"], entity(zone, row)) is None


def test_a_chest_is_filled_by_chance_and_again_after_its_time(zone: ZoneInstance) -> None:
    chest, rng = zone.goods.chests[the_only(zone.goods.chests)], np.random.default_rng(3)
    counts, coins = [], []
    tick = 1
    for _ in range(300):
        chest.look_into(tick, rng)
        before = (chest.items, chest.coins)
        chest.look_into(tick + 10_000, rng)
        assert (chest.items, chest.coins) == before, "a full chest stays as it is"
        counts.append(sum(item.count for item in chest.items))
        coins.append(chest.coins)
        chest.leave([], 0, tick)
        chest.look_into(tick + round(10.0 / TICK_S) - 1, rng)
        assert (chest.items, chest.coins) == ([], 0), "it is not time yet"
        tick += round(10.0 / TICK_S)
    assert set(counts) == {0, 1, 2, 3} and set(coins) == set(range(2, 10))
    assert 100 < counts.count(0) < 200


def test_what_is_left_in_a_chest_is_there_until_it_is_filled_anew(zone: ZoneInstance) -> None:
    chest = zone.goods.chests[the_only(zone.goods.chests)]
    chest.look_into(1, np.random.default_rng(3))
    chest.leave([Item("bread", 2)], 0, 1)
    chest.leave([Item("bread", 1)], 0, 150)
    chest.look_into(200, np.random.default_rng(3))
    assert chest.items == [Item("bread", 1)], "its time runs from the first"
    chest.look_into(201, np.random.default_rng(3))
    assert chest.coins >= 2


def test_chests_of_an_instance_that_ran_before_begin_empty_once(zone: ZoneInstance) -> None:
    """Whatever was in them may have been taken before: their time runs from the opening."""
    chest = the_only(zone.goods.chests.values())
    zone.goods.empty_chests()
    for tick, is_filled in ((1, False), (200, False), (201, True)):
        zone.tables.tick = tick
        chest.look_into(tick, np.random.default_rng(3))
        assert (chest.coins >= 2) == is_filled


def test_a_thing_is_hidden_until_it_is_shown(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    laid = zone.lay(alice, Item("bread", 3))
    for row in (alice, bob):
        assert why(zone, row, laid, ITEM) == "nothing_there"
        assert laid not in [sight.entity for sight in zone.nearby(row)]
    zone.goods.show(laid, "main")
    row = zone.within_reach(bob, laid, ITEM)
    assert zone.goods.ground[row].item == Item("bread", 3)
    assert "3 × loaf of bread" in [sight.name for sight in zone.nearby(bob)]
    zone.remove(row)
    assert why(zone, bob, laid, ITEM) == "nothing_there"
    zone.goods.show(laid, "main")
    assert zone.goods.ground == {} and row not in zone.names


@pytest.mark.parametrize(("line", "other"), [("main", "fork"), ("fork", "main")])
def test_what_lies_there_is_for_one_kind_of_line(zone: ZoneInstance, line: LineKind, other: LineKind) -> None:
    alice = zone.admit("Alice", None)
    laid = zone.lay(alice, Item("bread", 3))
    zone.goods.show(laid, line)
    row = zone.within_reach(alice, laid, ITEM)
    with pytest.raises(NotPossible) as caught:
        zone.goods.taken_by(row, other)
    assert caught.value.why == "other_line" and "line" in str(caught.value)
    assert zone.goods.taken_by(row, line) == Item("bread", 3)


def test_things_vanish(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    shown, hidden = zone.lay(alice, Item("bread")), zone.lay(alice, Item("bread"))
    zone.goods.show(shown, "main")
    zone.tables.tick += round(GROUND_S / TICK_S) - 1
    zone.clear_ground()
    assert zone.row_of(shown) is not None
    zone.tables.tick += 1
    zone.clear_ground()
    assert zone.row_of(shown) is None and zone.row_of(hidden) is not None
    zone.tables.tick += round(HIDDEN_S / TICK_S)
    zone.clear_ground()
    assert zone.row_of(hidden) is None and zone.goods.ground == {}


def test_the_ground_holds_so_much(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    for _ in range(MAX_ON_GROUND):
        zone.lay(alice, Item("bread"))
    with pytest.raises(NotPossible) as caught:
        zone.lay(alice, Item("bread"))
    assert caught.value.why == "ground_full"
    for name in ("Bob", "Mallory", "Carol"):
        zone.admit(name, None)  # there is room for all players beside the things


def test_a_thing_that_is_gone_is_selected_by_nobody(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    laid = zone.lay(alice, Item("bread"))
    zone.goods.show(laid, "main")
    assert zone.select(alice, laid)
    zone.remove(zone.within_reach(alice, laid, ITEM))
    assert zone.tables.selected[alice] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"vendors": (VendorContent("m", "M", float("nan"), 0.0),)},
        {"chests": (ChestContent("c", "C", 1.0, 2.0, refill_s=float("inf")),)},
        {"chests": (ChestContent("c", "C", 1.0, 2.0, least_coins=3, most_coins=2),)},
        {"chests": (ChestContent("c", "C", 1.0, 2.0, loot=(LootContent("bread", 1.0, -1, 3),)),)},
    ],
)
def test_content_that_is_none_is_refused(changes) -> None:
    content = ZoneContent("z", "Zed", "", 100.0, 50.0, 51.0, **changes)
    with pytest.raises(ValueError, match="zone 'z' has"):
        ZoneInstance(7, content, Tables(), np.random.default_rng(1))
