"""The second system: moves everybody as they wish, never above the top speed, never out of the zone."""

import numpy as np

from zonecluster.simulation.tables import CAST, FROZEN, PLAYER, RUN, STAND, WALK, Tables

STANDING_SPEED = 0.05  # m/s; slower than this looks like standing
RUN_FRACTION = 0.6  # of the top speed; faster than this looks like running


def move(tables: Tables, dt: float) -> None:
    """Advance positions by dt seconds, each within the square of its zone.

    Frozen entities and players without both links stand still.
    Writes: position, velocity, animation, metres_walked.
    """
    is_player = tables.kind == PLAYER
    is_held = tables.is_frozen | (is_player & ~(tables.has_zone_link & tables.has_world_link))
    wish = np.where(is_held[:, None], np.float32(0), tables.wish)
    step = wish * (tables.top_speed * np.float32(dt))[:, None]
    old = tables.position[:, :2].copy()
    np.clip(old + step, np.float32(0), tables.extent[:, None], out=tables.position[:, :2])
    moved = tables.position[:, :2] - old
    tables.velocity[:, :2] = moved / np.float32(dt)
    distance = np.hypot(moved[:, 0], moved[:, 1])
    tables.metres_walked += np.where(is_player, distance, 0)
    tables.animation[:] = _animations(tables, distance / np.float32(dt))


def _animations(tables: Tables, speeds: np.ndarray) -> np.ndarray:
    """Return the animation (n,) u1 of everybody."""
    walking = np.where(speeds > RUN_FRACTION * tables.top_speed, RUN, WALK)
    moving = np.where(speeds > STANDING_SPEED, walking, STAND)
    acting = np.where(tables.cast_until_tick > tables.tick, CAST, moving)
    return np.where(tables.is_frozen, FROZEN, acting).astype(np.uint8)
