"""The third system: creatures wander in their spawn disc, rest, and wander on."""

import numpy as np

from zonecluster.simulation.content import SpawnContent
from zonecluster.simulation.tables import CREATURE, Tables

ARRIVED_M = 0.5  # so near to its goal a creature is there
REST_S = (2.0, 8.0)  # shortest and longest rest


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
    tables.base_speed[rows] = tables.top_speed[rows] = np.repeat([spawn.speed for spawn in spawns], counts)
    tables.health[rows] = 1.0
    tables.position[rows, :2] = _points_at_home(tables, np.array(rows, np.int64), rng)
    tables.goal[rows] = tables.position[rows, :2]
    tables.heading_deg[rows] = rng.uniform(0, 360, len(rows))
    return rows


def wander(tables: Tables, dt: float, rng: np.random.Generator) -> None:
    """Let creatures that arrived rest, send rested ones to a new point, and turn all to where they go.

    Writes: goal, rest_until_tick, wish, heading_deg of creatures.
    """
    rows = np.flatnonzero(tables.kind == CREATURE)
    if not len(rows):
        return
    _choose_goals(tables, rows, dt, rng)
    offsets = tables.goal[rows] - tables.position[rows, :2]
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    is_going = distances > ARRIVED_M
    directions = offsets / np.maximum(distances, np.float32(ARRIVED_M))[:, None]
    tables.wish[rows] = np.where(is_going[:, None], directions, np.float32(0))
    going = rows[is_going]
    east, north = offsets[is_going].T
    tables.heading_deg[going] = np.degrees(np.arctan2(east, north)) % 360


def _choose_goals(tables: Tables, rows: np.ndarray, dt: float, rng: np.random.Generator) -> None:
    """Give rested creatures at their goal a new one; those that just arrived begin to rest."""
    offsets = tables.goal[rows] - tables.position[rows, :2]
    is_there = np.hypot(offsets[:, 0], offsets[:, 1]) <= ARRIVED_M
    rest_until = tables.rest_until_tick[rows]
    arrived = rows[is_there & (rest_until == 0)]
    rested = rows[is_there & (rest_until != 0) & (rest_until <= tables.tick)]
    tables.rest_until_tick[arrived] = tables.tick + np.ceil(rng.uniform(*REST_S, len(arrived)) / dt).astype(
        np.int64
    )
    tables.goal[rested] = _points_at_home(tables, rested, rng)
    tables.rest_until_tick[rested] = 0


def _points_at_home(tables: Tables, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (k, 2) points, uniform over each creature's disc, clamped to the zone."""
    distances = tables.roam[rows] * np.sqrt(rng.random(len(rows)))
    angles = rng.uniform(0, 2 * np.pi, len(rows))
    points = tables.home[rows] + distances[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return np.clip(points, 0, tables.extent[rows, None]).astype(np.float32)
