"""The planner: relieves clusters that will be too full, with few moves, and says why each of them.

Greedy: the fullest cluster first, the item and the target that lower the strain most; if no move helps, an
exchange of two items. It does not look for the best of all layouts, but for one in which nobody waits, near
to the one that is there: a live move costs its players a moment.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worlds.planning.loads import Loads, sixth_power
from worlds.planning.model import Aims, Item, Machine, Move, Plan, Seat
from worlds.planning.words import why_moved, why_pinned, why_placed

MOST_ITEMS = 32  # of a full cluster that are thought about, those that weigh most in its busiest hours
MOST_TARGETS = 48  # clusters that they may go to, those that are quietest then
MOST_SWAPS = 12  # in exchange for as many of each of SWAP_SEATS clusters
SWAP_SEATS = 8
SWAPS_TRIED = 24
TINY = 1e-9

Seats = NDArray[np.int64]


def plan(
    items: Sequence[Item], seats: Sequence[Seat], machines: Sequence[Machine], aims: Aims | None = None
) -> Plan:
    """Return what to move. `aims` None: the usual ones.

    Raises: CannotPlan.
    """
    planner = _Planner(Loads(items, seats, machines), aims or Aims())
    return planner.run()


class _Planner:
    def __init__(self, loads: Loads, aims: Aims) -> None:
        self.loads, self.aims = loads, aims
        self.began_at = loads.seat_of.copy()
        self.reasons: dict[int, str] = {}  # by item, of its last move
        self.unplaced: list[str] = []
        pins = [item.pinned_to for item in loads.items]
        self.is_free = np.array([pin is None for pin in pins], np.bool_)

    def run(self) -> Plan:
        before = self.loads.figures()
        self.obey_pins()
        self.place_new()
        given_up: set[int] = set()
        while self.moved() < self.aims.most_moves:
            seat = self.fullest(given_up)
            if seat is None:
                break
            if not self.relieve(seat):
                given_up.add(seat)
        return Plan(self.moves(), before, self.loads.figures(), tuple(self.unplaced))

    # ---------------------------------------------------------------- steps

    def obey_pins(self) -> None:
        """Bring what is pinned to its cluster, if that can be used."""
        for number, item in enumerate(self.loads.items):
            seat = self.loads.index.get(item.pinned_to or "", -1)
            if seat >= 0 and self.loads.seat_of[number] != seat:
                self.loads.move(number, seat)
                self.reasons[number] = why_pinned(item)

    def place_new(self) -> None:
        """Find a cluster for what is on none, the heaviest first."""
        new = np.flatnonzero((self.loads.seat_of < 0) & self.is_free)
        everywhere = np.arange(len(self.loads.seats))
        for item in new[np.argsort(-self.loads.cost[new].max(axis=1), kind="stable")].tolist():
            seat, _ = self.best_seat(item, -1, everywhere)
            if seat < 0:
                self.unplaced.append(self.loads.items[item].zone)
                continue
            self.loads.move(item, seat)
            self.reasons[item] = why_placed(self.loads, item)

    def fullest(self, given_up: set[int]) -> int | None:
        """Return the cluster that is to be relieved next; None: all are as they should be, or past help."""
        if not self.loads.seats:
            return None
        peaks = self.loads.fill().max(axis=1)
        peaks[list(given_up)] = 0.0
        seat = int(peaks.argmax())
        return seat if peaks[seat] > self.aims.full else None

    def relieve(self, seat: int) -> bool:
        """Make the move off this cluster that helps most, else an exchange; returns whether there was one."""
        best = (TINY, -1, -1)
        quiet = self.quietest(seat, MOST_TARGETS)
        for item in self.heaviest(seat, MOST_ITEMS):
            target, gain = self.best_seat(item, seat, quiet)
            if target >= 0 and gain > best[0] and self.is_worth([(item, target)], seat):
                best = (gain, item, target)
        if best[1] >= 0:
            self.carry_out(best[1], best[2])
            return True
        return self.moved() + 1 < self.aims.most_moves and self.swap(seat, quiet[:SWAP_SEATS])

    def swap(self, seat: int, quiet: Seats) -> bool:
        """Exchange an item of this cluster for a lighter one of a quiet cluster, if that helps."""
        pairs = []
        for other in quiet.tolist():
            theirs = self.heaviest(other, MOST_SWAPS)
            for mine in self.heaviest(seat, MOST_SWAPS):
                gains = self.gains_of_swap(mine, theirs, seat, other)
                pairs += [(gain, mine, each, other) for gain, each in zip(gains, theirs, strict=True)]
        for gain, mine, theirs_, other in sorted(pairs, reverse=True)[:SWAPS_TRIED]:
            if gain <= TINY:
                break
            if self.has_room_to_swap(mine, theirs_, seat, other) and self.is_worth(
                [(mine, other), (theirs_, seat)], seat
            ):
                self.carry_out(mine, other)
                self.carry_out(theirs_, seat)
                return True
        return False

    # ---------------------------------------------------------------- judging

    def quietest(self, seat: int, most: int) -> Seats:
        """Return the clusters that are the emptiest while this one is busiest, without it."""
        fill = self.loads.fill()
        order = np.argsort(fill @ fill[seat] ** 4, kind="stable")
        return order[order != seat][:most]

    def best_seat(self, item: int, source: int, among: Seats) -> tuple[int, float]:
        """Return where an item would be best off, and by how much the strain falls; (-1, 0.0): nowhere."""
        loads = self.loads
        cost = loads.cost[item]
        seats = among[loads.has_room(item)[among]]
        if not len(seats):
            return -1, 0.0
        added = loads.added_strain(cost, seats, source)
        relief = np.zeros(len(seats))
        if source >= 0:
            is_near = loads.machine_of[seats] == loads.machine_of[source]
            relief += loads.relief(cost, source)
            relief += np.where(is_near, 0.0, loads.machine_relief(cost, source))
        best = int((added - relief).argmin())
        return int(seats[best]), float(relief[best] - added[best])

    def gains_of_swap(self, mine: int, theirs: list[int], seat: int, other: int) -> list[float]:
        """Return by how much the strain of both falls if an item changes places with each of those."""
        loads = self.loads
        difference = loads.cost[mine] - loads.cost[theirs]
        strain = np.zeros(len(theirs))
        for place, sign in ((seat, -1.0), (other, 1.0)):
            before = loads.load[place] / loads.capacity[place]
            after = before + sign * difference / loads.capacity[place]
            strain += (sixth_power(after) - sixth_power(before)).sum(axis=1)
        return (-strain).tolist()

    def has_room_to_swap(self, mine: int, theirs: int, seat: int, other: int) -> bool:
        """Whether the memory of both fits where they are to go, each as if the other were there still."""
        return bool(self.loads.has_room(mine)[other] and self.loads.has_room(theirs)[seat])

    def is_worth(self, changes: list[tuple[int, int]], seat: int) -> bool:
        """Whether the fuller of the clusters concerned gets emptier by enough to be worth it."""
        loads = self.loads
        concerned = [seat, *{target for _, target in changes}]
        before = loads.fill_of(concerned).max()
        origins = [(item, int(loads.seat_of[item])) for item, _ in changes]
        for item, target in changes:
            loads.move(item, target)
        after = loads.fill_of(concerned).max()
        for item, origin in origins:
            loads.move(item, origin)
        return bool(before - after >= self.aims.worth * len(changes))

    def heaviest(self, seat: int, most: int) -> list[int]:
        """Return the items of a cluster that may move, by what they weigh in its busiest hours."""
        loads = self.loads
        here = np.flatnonzero((loads.seat_of == seat) & self.is_free)
        share = loads.load[seat] / loads.capacity[seat]
        weight = loads.cost[here] @ share**4
        order = np.argsort(-weight, kind="stable")
        return [int(each) for each in here[order[:most]] if loads.cost[each].any()]

    # ---------------------------------------------------------------- the plan

    def carry_out(self, item: int, target: int) -> None:
        source = int(self.loads.seat_of[item])
        fill = self.loads.fill_of([source])[0]
        hour = int(fill.argmax())
        self.loads.move(item, target)
        self.reasons[item] = why_moved(self.loads, item, source, hour, float(fill[hour]))

    def moved(self) -> int:
        """Return how many live moves there are so far."""
        return int(((self.began_at >= 0) & (self.loads.seat_of != self.began_at)).sum())

    def moves(self) -> tuple[Move, ...]:
        seats, found = self.loads.seats, []
        for number, reason in self.reasons.items():
            source, target = int(self.began_at[number]), int(self.loads.seat_of[number])
            if source == target:  # it went, and came back
                continue
            item = self.loads.items[number]
            name = seats[source].name if source >= 0 else item.seat
            found.append(Move(item.zone, item.instance, name, seats[target].name, reason))
        return tuple(found)
