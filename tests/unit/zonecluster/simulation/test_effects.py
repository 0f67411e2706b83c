import numpy as np
import pytest

from zonecluster.protocol.effects import EFFECTS, effect_names
from zonecluster.simulation.content import Triggers
from zonecluster.simulation.effects import MOST_S, add_effect, end_effects, set_base_speed, show_casting
from zonecluster.simulation.movement import move
from zonecluster.simulation.tables import CAST, FROZEN, MAX_EFFECTS, PLAYER, STAND, Tables

DT = 0.05


def two_players() -> Tables:
    tables = Tables()
    place = tables.open_place(1, 2, 1000.0, Triggers.of(()))
    rows = np.array([tables.take_row(place, PLAYER) for _ in range(2)])
    tables.has_zone_link[rows] = tables.has_world_link[rows] = True
    set_base_speed(tables, rows, 5.0)
    return tables


def ticks(tables: Tables, count: int) -> None:
    for _ in range(count):
        tables.tick += 1
        move(tables, DT)
        end_effects(tables)


@pytest.mark.parametrize(
    ("effects", "speed"),
    [
        (["haste"], 7.0),
        (["slow"], 2.5),
        (["root"], 0.0),
        (["light", "shield"], 5.0),
        (["haste", "slow"], 3.5),
    ],
)
def test_effects_change_the_top_speed_of_their_bearer_alone(effects: list[str], speed: float) -> None:
    tables = two_players()
    for effect in effects:
        add_effect(tables, 0, effect, 1.0, DT)
    assert tables.top_speed[:2].tolist() == [speed, 5.0]
    assert effect_names(int(tables.effects[0])) == tuple(sorted(effects, key=EFFECTS.index))
    tables.wish[0] = (1, 0)
    ticks(tables, 1)
    assert tables.velocity[0, 0] == pytest.approx(speed, abs=1e-4)


def test_effects_end_each_at_its_time() -> None:
    tables = two_players()
    add_effect(tables, 0, "haste", 0.5, DT)
    add_effect(tables, 0, "light", 1.0, DT)
    ticks(tables, 9)
    assert effect_names(int(tables.effects[0])) == ("haste", "light")
    ticks(tables, 1)
    assert effect_names(int(tables.effects[0])) == ("light",) and tables.top_speed[0] == 5.0
    ticks(tables, 10)
    assert tables.effects[0] == 0 and not tables.effect_until_tick[0].any()


def test_the_longer_of_two_casts_counts() -> None:
    tables = two_players()
    add_effect(tables, 0, "haste", 1.0, DT)
    add_effect(tables, 0, "haste", 0.2, DT)
    ticks(tables, 19)
    assert tables.effects[0]
    ticks(tables, 1)
    assert not tables.effects[0]


def test_the_time_of_the_frozen_stands_still() -> None:
    tables = two_players()
    add_effect(tables, 0, "haste", 0.5, DT)
    tables.is_frozen[0] = True
    ticks(tables, 100)
    assert effect_names(int(tables.effects[0])) == ("haste",)
    tables.is_frozen[0] = False
    ticks(tables, 9)
    assert tables.effects[0]
    ticks(tables, 1)
    assert not tables.effects[0] and tables.top_speed[0] == 5.0


def test_no_effect_lasts_longer_than_an_hour() -> None:
    tables = two_players()
    add_effect(tables, 0, "light", 1e12, DT)
    assert tables.effect_until_tick[0, EFFECTS.index("light")] == tables.tick + round(MOST_S / DT)


def test_unknown_effects_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError):
        add_effect(two_players(), 0, "levitation", 1.0, DT)


def test_a_caster_is_seen_casting_for_a_second() -> None:
    tables = two_players()
    show_casting(tables, 0, DT)
    ticks(tables, 19)
    assert tables.animation[:2].tolist() == [CAST, STAND]
    tables.is_frozen[0] = True
    ticks(tables, 1)
    assert tables.animation[0] == FROZEN
    tables.is_frozen[0] = False
    ticks(tables, 1)
    assert tables.animation[0] == STAND


def test_every_effect_has_a_bit() -> None:
    assert len(EFFECTS) <= MAX_EFFECTS and len(set(EFFECTS)) == len(EFFECTS)
    assert effect_names(0xFF) == EFFECTS and effect_names(0) == ()


def test_top_speeds_are_told_exactly() -> None:
    tables = two_players()
    set_base_speed(tables, np.array([0]), 5.3337)
    assert float(tables.top_speed[0]) * 256 == round(float(tables.top_speed[0]) * 256)
