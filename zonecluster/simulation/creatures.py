"""The third system: creatures wander in their spawn disc, rest, and wander on."""

import numpy as np

from zonecluster.simulation.content import SpawnContent
from zonecluster.simulation.effects import set_base_speed
from zonecluster.simulation.tables import CREATURE, Tables

ARRIVED_M = 0.5  # so near to its goal a creature is there
REST_S = (2.0, 8.0)  # shortest and longest rest
LONGEST_WALK_S = 10.0  # who is still under way then, or was held up, turns to its goal anew
SHORTEST_STEP_M = 1e-6  # no division by zero for who cannot walk


def place_creatures(
    tables: Tables, place: int, spawns: tuple[SpawnContent, ...], rng: np.random.Generator
) -> list[int]:
    """Put all creatures of a zone into the tables; called once, when the instance opens.

    Returns: their rows, in the order of the spawns.
    """
    rows = [tables.take_row(place, CREATURE) for spawn in spawns for _ in range(spawn.count)]
    counts = [spawn.count for spawn in spawns]
    tables.home[rows] = np.repeat(
        [(spawn.x, spawn.y) for spawn in spawns] or np.empty((0, 2)), counts, axis=0
    )
    tables.roam[rows] = np.repeat([spawn.radius for spawn in spawns], counts)
    set_base_speed(tables, np.array(rows, np.int64), np.repeat([spawn.speed for spawn in spawns], counts))
    tables.health[rows] = 1.0
    tables.position[rows, :2] = _points_at_home(tables, np.array(rows, np.int64), rng)
    tables.goal[rows] = tables.position[rows, :2]
    tables.heading_deg[rows] = rng.uniform(0, 360, len(rows))
    return rows


def wander(tables: Tables, dt: float, rng: np.random.Generator) -> None:
    """Let creatures that arrived rest, send rested ones to a new point. All others just go on as they wish.

    Writes: goal, decide_tick, is_resting, wish, heading_deg of creatures.
    """
    rows = np.flatnonzero((tables.kind == CREATURE) & (tables.decide_tick <= tables.tick))
    if not len(rows):
        return
    is_rested = tables.is_resting[rows]
    rested, going = rows[is_rested], rows[~is_rested]
    tables.goal[rested] = _points_at_home(tables, rested, rng)
    offsets = tables.goal[going] - tables.position[going, :2]
    is_there = np.hypot(offsets[:, 0], offsets[:, 1]) <= ARRIVED_M
    _rest(tables, going[is_there], dt, rng)
    _set_out(tables, np.concatenate([rested, going[~is_there]]), dt)  # who was held up on the way goes on


def _rest(tables: Tables, rows: np.ndarray, dt: float, rng: np.random.Generator) -> None:
    """Let creatures stand where they are for a while."""
    tables.is_resting[rows] = True
    tables.wish[rows] = 0
    tables.decide_tick[rows] = tables.tick + np.ceil(rng.uniform(*REST_S, len(rows)) / dt).astype(np.int64)


def _set_out(tables: Tables, rows: np.ndarray, dt: float) -> None:
    """Turn creatures to their goals; until they will be there nothing is to be decided."""
    offsets = tables.goal[rows] - tables.position[rows, :2]
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    steps = tables.top_speed[rows] * np.float32(dt)
    ticks = (distances - ARRIVED_M) / np.maximum(steps, SHORTEST_STEP_M)
    tables.is_resting[rows] = False
    tables.wish[rows] = offsets / np.maximum(distances, np.float32(ARRIVED_M))[:, None]
    tables.heading_deg[rows] = np.degrees(np.arctan2(offsets[:, 0], offsets[:, 1])) % 360
    tables.decide_tick[rows] = tables.tick + np.clip(np.ceil(ticks), 1, LONGEST_WALK_S / dt).astype(np.int64)


def _points_at_home(tables: Tables, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (k, 2) points, uniform over each creature's disc, clamped to the zone."""
    distances = tables.roam[rows] * np.sqrt(rng.random(len(rows)))
    angles = rng.uniform(0, 2 * np.pi, len(rows))
    points = tables.home[rows] + distances[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return np.clip(points, 0, tables.extent[rows, None]).astype(np.float32)
