"""One step of all zone instances: the systems, in their fixed order. Same seed and inputs: same tables.

inputs → movement → creatures → portals → effects; then interest and snapshots, which only read. Effects come
last, so that the top speed a snapshot tells is that of the next step: clients foresee it.
"""

import numpy as np

from zonecluster.simulation.creatures import wander
from zonecluster.simulation.cursor import play_inputs
from zonecluster.simulation.effects import end_effects
from zonecluster.simulation.inputs import Inputs
from zonecluster.simulation.movement import move
from zonecluster.simulation.portals import PortalEntries, enter_portals
from zonecluster.simulation.tables import Tables

TICK_S = 0.05  # 20 steps a second


def step(tables: Tables, inputs: Inputs, dt: float, rng: np.random.Generator) -> PortalEntries:
    """Advance all zone instances by dt seconds."""
    tables.tick += 1
    play_inputs(tables, inputs, dt)
    move(tables, dt)
    wander(tables, dt, rng)
    entries = enter_portals(tables, dt)
    end_effects(tables)
    return entries
