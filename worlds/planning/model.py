"""What the planner is given, and what it answers: plain values.

Costs are CPU milliseconds in a second, for each of the HOURS hours of a week (0: Monday 00:00 to 01:00, UTC).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOURS = 168

Week = NDArray[np.float64]  # (HOURS,)


@dataclass(frozen=True)
class Item:
    """A zone instance, or a zone that is in none (`instance` 0)."""

    zone: str
    instance: int
    cost: Week
    memory_mb: float = 0.0
    seat: str | None = None  # the cluster it is on, or would open on; None: nowhere yet
    pinned_to: str | None = None  # it may be on that cluster only


@dataclass(frozen=True)
class Seat:
    """A cluster that zones may be put on. `capacity`: CPU ms in a second that it may spend."""

    name: str
    machine: str
    capacity: float
    memory_mb: float = float("inf")


@dataclass(frozen=True)
class Machine:
    """A host: all its clusters together have no more than this. `capacity`: CPU ms in a second."""

    name: str
    capacity: float
    memory_mb: float = float("inf")


@dataclass(frozen=True)
class Aims:
    """How hard the planner tries.

    full: a cluster whose busiest hour is over this share of its capacity is to be relieved. worth: a move
    must lower the worst of its two clusters by this share of capacity at least; the smaller, the more moves.
    most_moves: of one plan; what is in no cluster yet is not counted.
    """

    full: float = 0.70
    worth: float = 0.04
    most_moves: int = 24


@dataclass(frozen=True)
class Move:
    """An item goes from one cluster to another; `reason` is for people."""

    zone: str
    instance: int
    source: str | None
    target: str
    reason: str


@dataclass(frozen=True)
class Figures:
    """How well clusters are filled, over the week.

    busiest: the highest share of capacity in any hour. imbalance: the busiest cluster over the mean of all,
    in the mean hour; 1 is even. overload_hours: hours of a cluster or of a machine over its capacity.
    """

    busiest: float
    imbalance: float
    overload_hours: int


@dataclass(frozen=True)
class Plan:
    """What to move, in this order, and what that changes. `unplaced`: zones that fit nowhere."""

    moves: tuple[Move, ...]
    before: Figures
    after: Figures
    unplaced: tuple[str, ...] = ()


class CannotPlan(ValueError):
    """What was given cannot be planned with; the message says what to change."""
