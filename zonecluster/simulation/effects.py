"""The fifth system: spell effects: what they do to their bearers, and when they end.

An effect is a bit of `effects` that everybody sees, and the tick at which it ends. Frozen entities keep
theirs: their time stands still too. Effects are not durable: who leaves the zone leaves them.
Source: docs/protocol.md, section "Effects".
"""

import numpy as np

from zonecluster.protocol.effects import EFFECTS
from zonecluster.simulation.tables import MAX_EFFECTS, Tables

CAST_S = 1.0  # so long a caster is seen casting
MOST_S = 3600.0  # no effect lasts longer
SPEED_STEPS = (
    256  # top speeds are multiples of 1/256 m/s: clients are told them exactly, and can foresee steps
)
BITS = np.arange(MAX_EFFECTS)
FACTORS = {"haste": 1.4, "slow": 0.5, "root": 0.0}  # of the top speed; others leave it
SPEED_FACTORS = np.array(
    [
        np.prod([FACTORS.get(name, 1.0) for bit, name in enumerate(EFFECTS) if bits >> bit & 1])
        for bits in range(2**MAX_EFFECTS)
    ]
)  # by the set of effects


def set_base_speed(tables: Tables, rows: np.ndarray, speed: float | np.ndarray) -> None:
    """Set top speeds without effects, m/s. Writes: base_speed, top_speed."""
    tables.base_speed[rows] = speed
    _set_top_speeds(tables, rows)


def add_effect(tables: Tables, row: int, effect: str, seconds: float, dt: float) -> None:
    """Give an entity an effect; one that it has already lasts until the later of both ends.

    Writes: effects, effect_until_tick, top_speed.
    Raises: ValueError: there is no such effect.
    """
    bit = EFFECTS.index(effect)
    until = tables.tick + max(1, round(min(seconds, MOST_S) / dt))
    tables.effects[row] |= np.uint8(1 << bit)
    tables.effect_until_tick[row, bit] = max(until, tables.effect_until_tick[row, bit])
    _set_top_speeds(tables, np.array([row]))


def show_casting(tables: Tables, row: int, dt: float) -> None:
    """Let an entity be seen casting for a moment. Writes: cast_until_tick."""
    tables.cast_until_tick[row] = tables.tick + round(CAST_S / dt)


def end_effects(tables: Tables) -> None:
    """End what is over. Writes: effects, effect_until_tick, top_speed."""
    rows = np.flatnonzero(tables.effects)
    if not len(rows):
        return
    has = (tables.effects[rows, None] >> BITS & 1).astype(bool)
    until = tables.effect_until_tick[rows] + (has & tables.is_frozen[rows, None])
    is_over = has & (until <= tables.tick)
    tables.effect_until_tick[rows] = np.where(is_over, 0, until)
    tables.effects[rows] &= ~((is_over << BITS).sum(axis=1).astype(np.uint8))
    _set_top_speeds(tables, rows[is_over.any(axis=1)])


def _set_top_speeds(tables: Tables, rows: np.ndarray) -> None:
    """Set top speeds by the effects there are; creatures on their way reckon anew when they will be there."""
    speeds = tables.base_speed[rows] * SPEED_FACTORS[tables.effects[rows]]
    tables.top_speed[rows] = np.rint(speeds * SPEED_STEPS) / SPEED_STEPS
    going = rows[~tables.is_resting[rows]]
    tables.decide_tick[going] = np.minimum(tables.decide_tick[going], tables.tick)
