"""Where zones run, four ways, in the same generated weeks: how even, how overloaded, how many live moves.

static: zones in blocks of equal number, as the original did. round robin, least loaded: a zone goes there
whenever it opens (it closes while it is empty), and stays while it is open. planner: worlds/planning, now and
then, with what it has learned so far; what opens goes home. The first week is for learning, and not counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmark.weeks import STEP_MINUTES, STEPS_A_WEEK, STEPS_AN_HOUR, Making, Weeks
from worlds.planning.forecast import week_of, with_present
from worlds.planning.model import HOURS, Aims, Item, Machine, Seat
from worlds.planning.planner import plan

CAPACITY = 800.0  # CPU ms/s of a cluster: it is one thread, with some room
CLUSTERS_A_MACHINE = 4
OPEN_MS = 0.2  # a zone that costs less has nobody in it
REMEMBER = 0.5  # how much of what was known of an hour stays when it is seen again

TOLD = ("imbalance", "busiest", "overload_minutes_a_week", "ratio", "moves_a_week", "plan_s")

Array = NDArray[np.float64]
Progress = Callable[[int], None]


class CannotMeasure(RuntimeError):
    """The arguments make no sense; the message says which."""


@dataclass(frozen=True)
class Setting:
    """One run."""

    zones: int
    clusters: int
    weeks: int = 3
    plan_hours: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.weeks < 2:
            raise CannotMeasure("At least 2 weeks are needed: the first is not counted.")
        if min(self.zones, self.clusters, self.plan_hours) < 1:
            raise CannotMeasure("Zones, clusters and the hours between two plans are 1 or more.")

    @property
    def steps(self) -> int:
        return self.weeks * STEPS_A_WEEK


@dataclass
class Layout:
    """Where zones are by one way: `seat` of each zone; live moves so far."""

    seat: NDArray[np.int64]
    moves: int = 0
    planned_s: float = 0.0
    plans: int = 0

    @property
    def mean_plan_s(self) -> float:
        return self.planned_s / self.plans


@dataclass
class Tally:
    """What one way came to, of the counted steps."""

    steps: int = 0
    imbalance: float = 0.0
    busiest: float = 0.0
    overload_minutes: int = 0

    def note(self, fill: Array) -> None:
        mean = fill.mean()
        self.steps += 1
        self.imbalance += float(fill.max() / mean) if mean else 1.0
        self.busiest = max(self.busiest, float(fill.max()))
        self.overload_minutes += int((fill > 1).sum()) * STEP_MINUTES


class Learned:
    """What a planner knows of each zone's costs, by hour of the week: (zones, HOURS), NaN where nothing."""

    def __init__(self, zones: int) -> None:
        self.week = np.full((zones, HOURS), np.nan)
        self.sum = np.zeros(zones)

    def note(self, step: int, costs: Array) -> None:
        """Take a step's costs; at the end of an hour they become knowledge."""
        self.sum += costs
        if (step + 1) % STEPS_AN_HOUR == 0:
            hour = step // STEPS_AN_HOUR % HOURS
            mean, known = self.sum / STEPS_AN_HOUR, self.week[:, hour]
            self.week[:, hour] = np.where(np.isnan(known), mean, REMEMBER * known + (1 - REMEMBER) * mean)
            self.sum = np.zeros_like(self.sum)

    def items(self, layout: Layout, names: list[str], hour: int, now: Array) -> list[Item]:
        """Return the zones as the planner is given them."""
        found = []
        for zone, week in enumerate(self.week):
            known = week if not np.isnan(week).any() else week_of(_known(week))
            week_ahead = with_present(known, hour, float(now[zone]))
            found.append(Item(f"zone-{zone}", 1, week_ahead, seat=names[layout.seat[zone]]))
        return found


def _known(week: Array) -> dict[int, float]:
    return {hour: float(week[hour]) for hour in np.flatnonzero(~np.isnan(week)).tolist()}


class Contest:
    """Four layouts of one world, step by step."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        zones, clusters = setting.zones, setting.clusters
        machines = -(-clusters // CLUSTERS_A_MACHINE)
        self.seats = [Seat(f"c{n}", f"m{n // CLUSTERS_A_MACHINE}", CAPACITY) for n in range(clusters)]
        self.machines = [Machine(f"m{n}", CAPACITY * CLUSTERS_A_MACHINE) for n in range(machines)]
        self.index = {seat.name: number for number, seat in enumerate(self.seats)}
        self.aims = Aims(most_moves=max(8, zones // 200))
        spread = np.arange(zones) % clusters
        self.ways = {
            "static": Layout(np.arange(zones) * clusters // zones),
            "round robin": Layout(spread.copy()),
            "least loaded": Layout(spread.copy()),
            "planner": Layout(spread.copy()),
        }
        self.tallies = {way: Tally() for way in self.ways}
        self.learned = Learned(zones)
        self.is_open = np.zeros(zones, np.bool_)
        self.turn = 0

    def step(self, step: int, costs: Array) -> None:
        """Let each way do what it does, and count how full its clusters are."""
        clusters = self.setting.clusters
        is_open = costs >= OPEN_MS
        opened = np.flatnonzero(is_open & ~self.is_open)
        self.is_open = is_open
        self.turn = _deal_out(self.ways["round robin"], opened, self.turn, clusters)
        _to_the_emptiest(self.ways["least loaded"], opened, costs, clusters)
        self.learned.note(step, costs)
        if (step + 1) % (self.setting.plan_hours * STEPS_AN_HOUR) == 0:
            self.plan(step, costs)
        if step >= STEPS_A_WEEK:
            for way, layout in self.ways.items():
                self.tallies[way].note(np.bincount(layout.seat, costs, clusters) / CAPACITY)
        elif step == STEPS_A_WEEK - 1:
            self.ways["planner"].moves = 0

    def plan(self, step: int, costs: Array) -> None:
        """Make a plan and carry it out."""
        layout, began = self.ways["planner"], thread_time()
        hour = (step + 1) // STEPS_AN_HOUR % HOURS
        items = self.learned.items(layout, [seat.name for seat in self.seats], hour, costs)
        made = plan(items, self.seats, self.machines, self.aims)
        for move in made.moves:
            zone = int(move.zone.removeprefix("zone-"))
            layout.seat[zone] = self.index[move.target]
            layout.moves += int(self.is_open[zone])
        layout.planned_s += thread_time() - began
        layout.plans += 1

    def lines(self) -> list[dict[str, Any]]:
        """Return what came of it: a line for each way, the planner last."""
        weeks = self.setting.weeks - 1
        overload = {way: tally.overload_minutes / weeks for way, tally in self.tallies.items()}
        best_other = min(minutes for way, minutes in overload.items() if way != "planner")
        return [
            {
                "test": "placement",
                "way": way,
                "zones": self.setting.zones,
                "clusters": self.setting.clusters,
                "weeks": weeks,
                "imbalance": round(tally.imbalance / tally.steps, 3),
                "busiest": round(tally.busiest, 3),
                "overload_minutes_a_week": round(overload[way], 1),
                "ratio": round(overload[way] / best_other, 3) if best_other else None,
                "moves_a_week": round(self.ways[way].moves / weeks, 1),
                "plan_s": round(self.ways[way].mean_plan_s, 3) if self.ways[way].plans else None,
            }
            for way, tally in self.tallies.items()
        ]


def play(setting: Setting, progress: Progress = lambda step: None) -> list[dict[str, Any]]:
    """Play the weeks; return a line for each way. `ratio`: of its overload to the best other way's."""
    contest = Contest(setting)
    world = Weeks(Making(setting.zones, CAPACITY * setting.clusters), setting.seed)
    for step, costs in world.run(setting.weeks):
        contest.step(step, costs)
        progress(step + 1)
    return contest.lines()


def _deal_out(layout: Layout, opened: NDArray[np.int64], turn: int, clusters: int) -> int:
    layout.seat[opened] = (turn + np.arange(len(opened))) % clusters
    return turn + len(opened)


def _to_the_emptiest(layout: Layout, opened: NDArray[np.int64], costs: Array, clusters: int) -> None:
    if not len(opened):
        return
    others = costs.copy()
    others[opened] = 0.0
    load = np.bincount(layout.seat, others, clusters)
    for zone in opened.tolist():
        seat = int(load.argmin())
        layout.seat[zone] = seat
        load[seat] += costs[zone]
