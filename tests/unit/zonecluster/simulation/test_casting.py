"""Selecting and casting as a zone instance allows it."""

import numpy as np
import pytest

from zonecluster.protocol.effects import effect_names
from zonecluster.rules.spells import SPELLS
from zonecluster.simulation.content import SpawnContent, ZoneContent
from zonecluster.simulation.inputs import NO_INPUTS
from zonecluster.simulation.instance import Stand, ZoneInstance
from zonecluster.simulation.step import TICK_S, step
from zonecluster.simulation.tables import CAST, CREATURE, Tables

CONTENT = ZoneContent(
    "z", "Zed", "", 200.0, 100.0, 100.0, spawns=(SpawnContent("gull", "Gull", 2.0, 1, 105, 100, 1),)
)


@pytest.fixture
def zone() -> ZoneInstance:
    return ZoneInstance(7, CONTENT, Tables(), np.random.default_rng(1))


def gull_of(zone: ZoneInstance) -> int:
    return int(np.flatnonzero(zone.tables.kind == CREATURE)[0])


def entity(zone: ZoneInstance, row: int) -> int:
    return int(zone.tables.entity[row])


def ticks(zone: ZoneInstance, count: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(count):
        step(zone.tables, NO_INPUTS, TICK_S, rng)


def cast(zone: ZoneInstance, row: int, spell: str, target: int = 0) -> str:
    return zone.cast(row, SPELLS[spell], zone.target_of(row, SPELLS[spell], target))


def effects(zone: ZoneInstance, row: int) -> tuple[str, ...]:
    return effect_names(int(zone.tables.effects[row]))


def test_selecting_somebody_somebody_else_and_nobody(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    for chosen in (entity(zone, bob), entity(zone, gull_of(zone)), 0):
        assert zone.select(alice, chosen)
        assert zone.tables.selected[alice] == chosen


def test_nobody_the_gone_and_the_hidden_cannot_be_selected(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    assert zone.select(alice, entity(zone, bob))
    zone.tables.is_hidden[bob] = True
    for number in (entity(zone, bob), 12345, 2**32 - 1, entity(zone, alice) ^ 1 << 16):
        assert not zone.select(alice, number)
    assert zone.tables.selected[alice] == entity(zone, bob), "what was selected stays"
    assert zone.select(bob, entity(zone, bob)), "the hidden see themselves"


def test_a_selection_ends_when_the_entity_goes(zone: ZoneInstance) -> None:
    other_zone = ZoneInstance(8, CONTENT, zone.tables, np.random.default_rng(1))
    mallory = other_zone.admit("Mallory", None)
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    zone.select(alice, entity(zone, bob))
    zone.tables.selected[mallory] = entity(zone, bob)  # ids count within their own instance
    zone.remove(bob)
    assert zone.tables.selected[alice] == 0
    assert zone.tables.selected[mallory] != 0


def test_a_spell_without_a_target_is_the_casters_own(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    zone.select(alice, entity(zone, bob))
    assert cast(zone, alice, "haste") == ""
    assert (effects(zone, alice), effects(zone, bob)) == (("haste",), ())
    ticks(zone, 1)
    assert zone.tables.animation[alice] == CAST


def test_a_spell_that_needs_a_target_goes_to_the_selected(zone: ZoneInstance) -> None:
    alice, gull = zone.admit("Alice", None), gull_of(zone)
    assert cast(zone, alice, "root") == "There is nobody to cast it on."
    zone.select(alice, entity(zone, gull))
    assert cast(zone, alice, "root") == ""
    where = zone.tables.position[gull].tolist()
    ticks(zone, 79)
    assert zone.tables.position[gull].tolist() == where, "rooted"
    ticks(zone, 400)
    assert zone.tables.position[gull].tolist() != where, "it wanders on"


def test_harmful_spells_spare_players(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    assert cast(zone, alice, "root", entity(zone, bob)) == "root works on creatures only."
    assert effects(zone, bob) == () and cast(zone, alice, "root", entity(zone, gull_of(zone))) == ""


def test_too_far(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", Stand((100, 120.5, 0), 0))
    assert "Too far: 21 m" in cast(zone, alice, "haste", entity(zone, bob))
    zone.place(bob, Stand((100, 119, 0), 0))
    assert cast(zone, alice, "haste", entity(zone, bob)) == ""
    assert effects(zone, bob) == ("haste",)


def test_cooldown_is_of_the_caster_and_the_spell(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    assert cast(zone, alice, "light") == ""
    assert cast(zone, alice, "light") == "light is ready again in 3 s."
    assert cast(zone, alice, "haste") == "" and cast(zone, bob, "light") == ""
    ticks(zone, 59)
    assert cast(zone, alice, "light") == "light is ready again in 1 s."
    ticks(zone, 1)
    assert cast(zone, alice, "light") == ""


def test_who_takes_over_a_row_inherits_nothing(zone: ZoneInstance) -> None:
    alice = zone.admit("Alice", None)
    cast(zone, alice, "haste")
    zone.remove(alice)
    bob = zone.admit("Bob", None)
    assert bob == alice and effects(zone, bob) == () and zone.tables.top_speed[bob] == CONTENT.top_speed
    assert cast(zone, bob, "haste") == ""


def test_the_frozen_are_left_alone(zone: ZoneInstance) -> None:
    alice, bob = zone.admit("Alice", None), zone.admit("Bob", None)
    zone.freeze(bob)
    assert "between two places" in cast(zone, alice, "shield", entity(zone, bob))
