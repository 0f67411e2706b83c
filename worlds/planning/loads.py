"""How full clusters and machines are, and what a move would change: arrays, hour by hour of the week.

Strain is convex in the load (its sixth power), so that it is lowest when busy zones share a cluster with
those that are quiet at the time; a machine that is full counts like its clusters.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worlds.planning.model import HOURS, CannotPlan, Figures, Item, Machine, Seat, Week

Array = NDArray[np.float64]


class Loads:
    """Who is where. Seats, machines and items are meant by their index in what it was made of."""

    def __init__(self, items: Sequence[Item], seats: Sequence[Seat], machines: Sequence[Machine]) -> None:
        """Count what is on each cluster.

        Raises: CannotPlan: a name comes twice, a seat's machine is unknown, or a number makes no sense.
        """
        self.items, self.seats, self.machines = tuple(items), tuple(seats), tuple(machines)
        self.index = _numbered([seat.name for seat in seats], "cluster")
        machine_index = _numbered([machine.name for machine in machines], "machine")
        for seat in seats:
            if seat.machine not in machine_index:
                raise CannotPlan(f"Cluster {seat.name!r} is on machine {seat.machine!r}, which is not known.")
        self.machine_of = np.array([machine_index[seat.machine] for seat in seats], np.int64)
        self.capacity = _positive([seat.capacity for seat in seats], "A cluster's capacity")
        self.machine_capacity = _positive([m.capacity for m in machines], "A machine's capacity")
        self.cost = _costs(items)
        self.memory = np.array([item.memory_mb for item in items], np.float64)
        self.seat_of = np.array([self.index.get(item.seat or "", -1) for item in items], np.int64)
        self.load = np.zeros((len(seats), HOURS))
        self.machine_load = np.zeros((len(machines), HOURS))
        self.memory_left = np.array([seat.memory_mb for seat in seats], np.float64)
        self.machine_memory_left = np.array([machine.memory_mb for machine in machines], np.float64)
        here = self.seat_of >= 0
        np.add.at(self.load, self.seat_of[here], self.cost[here])
        np.subtract.at(self.memory_left, self.seat_of[here], self.memory[here])
        np.add.at(self.machine_load, self.machine_of, self.load)
        np.subtract.at(self.machine_memory_left, self.machine_of[self.seat_of[here]], self.memory[here])

    def fill(self) -> Array:
        """Return how full each cluster is, or its machine if that is the fuller: (seats, HOURS)."""
        machine = self.machine_load / self.machine_capacity[:, None]
        return np.maximum(self.load / self.capacity[:, None], machine[self.machine_of])

    def fill_of(self, seats: list[int]) -> Array:
        """Return the same of some clusters only: (seats, HOURS)."""
        machines = self.machine_of[seats]
        machine = self.machine_load[machines] / self.machine_capacity[machines, None]
        return np.maximum(self.load[seats] / self.capacity[seats, None], machine)

    def move(self, item: int, seat: int) -> None:
        """Put an item on a seat."""
        cost, memory = self.cost[item], self.memory[item]
        for place, sign in ((self.seat_of[item], -1.0), (seat, 1.0)):
            if place >= 0:
                machine = self.machine_of[place]
                self.load[place] += sign * cost
                self.machine_load[machine] += sign * cost
                self.memory_left[place] -= sign * memory
                self.machine_memory_left[machine] -= sign * memory
        self.seat_of[item] = seat

    def added_strain(self, cost: Week, seats: NDArray[np.int64], source: int = -1) -> Array:
        """Return what a cost more would add to the strain of each of these seats: (seats,).

        Args: source: the seat that it comes from: on the same machine the machine's load stays as it is.
        """
        own = _rise(self.load[seats], cost, self.capacity[seats])
        machines = self.machine_of[seats]
        theirs = _rise(self.machine_load[machines], cost, self.machine_capacity[machines])
        if source >= 0:
            theirs = np.where(machines == self.machine_of[source], 0.0, theirs)
        return own + theirs

    def relief(self, cost: Week, seat: int) -> float:
        """Return by how much the strain of a seat falls without a cost; its machine's not counted."""
        without = np.maximum(self.load[seat] - cost, 0.0)
        return float(
            sixth_power(self.load[seat] / self.capacity[seat]).sum()
            - sixth_power(without / self.capacity[seat]).sum()
        )

    def machine_relief(self, cost: Week, seat: int) -> float:
        """Return by how much the strain of a seat's machine falls without a cost."""
        machine = self.machine_of[seat]
        load, capacity = self.machine_load[machine], self.machine_capacity[machine]
        return float(
            sixth_power(load / capacity).sum() - sixth_power(np.maximum(load - cost, 0.0) / capacity).sum()
        )

    def has_room(self, item: int) -> NDArray[np.bool_]:
        """Return on which seats an item's memory fits: (seats,)."""
        memory, at = self.memory[item], self.seat_of[item]
        on_machine = self.machine_memory_left[self.machine_of] >= memory
        if at >= 0:
            on_machine |= self.machine_of == self.machine_of[at]
        return (self.memory_left >= memory) & on_machine

    def figures(self) -> Figures:
        """Sum up."""
        if not self.seats:
            return Figures(0.0, 1.0, 0)
        fill = self.load / self.capacity[:, None]
        machine = self.machine_load / self.machine_capacity[:, None]
        mean = fill.mean(axis=0)
        uneven = np.divide(fill.max(axis=0), mean, out=np.ones(HOURS), where=mean > 0)
        overload = int((fill > 1).sum() + (machine > 1).sum())
        return Figures(float(max(fill.max(), machine.max())), float(uneven.mean()), overload)


def _rise(load: Array, cost: Week, capacity: Array) -> Array:
    capacity = capacity[:, None]
    return (sixth_power((load + cost) / capacity) - sixth_power(load / capacity)).sum(axis=1)


def sixth_power(share: Array) -> Array:
    """Return how much a load strains, by its share of the capacity."""
    square = share * share
    return square * square * square


def _numbered(names: Sequence[str], what: str) -> dict[str, int]:
    index = {name: number for number, name in enumerate(names)}
    if len(index) < len(names):
        raise CannotPlan(f"Two of one name: each {what} needs a name of its own.")
    return index


def _positive(values: Sequence[float], what: str) -> Array:
    array = np.array(values, np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        raise CannotPlan(f"{what} must be a number above 0.")
    return array


def _costs(items: Sequence[Item]) -> Array:
    if any(item.cost.shape != (HOURS,) for item in items):
        raise CannotPlan(f"A cost has {HOURS} hours.")
    costs = np.array([item.cost for item in items], np.float64).reshape(len(items), HOURS)
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise CannotPlan("A cost must be a number, and not below 0.")
    return costs
