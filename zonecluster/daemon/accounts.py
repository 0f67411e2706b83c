"""Whose CPU time it was: all that the process uses, put to players, zone instances, or to neither.

Commands are measured one by one. The phases of a tick are shared out by what drives them: datagrams,
snapshots and their bytes, players, creatures. Ticks only add up what drives; the sharing out is done once a
second. No loop over players: everything is a column by row of the tables.

What a phase is driven by:

    receive, open       datagrams that came, those of strangers too
    inputs              datagrams of players
    commands            the player who gave them; the rest of the phase by their number
    bus                 commands that arrived, refused ones too
    simulation          players and creatures alike
    interest, send      snapshots
    encode, seal        bytes of snapshots
    links, rest         players
    loop, other threads nobody: unassigned

Read by figures.py and metrics.py; commands.py asks what ticks use of a player's budget.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time, thread_time

import numpy as np

from zonecluster.daemon.phases import INDEX, Phases
from zonecluster.simulation.places import FREE
from zonecluster.simulation.tables import PLAYER, Tables

SETTLE_S = 1.0
# Of the process's CPU time, in seconds. players, creatures: the instances'. The others are unassigned: loop:
# what the thread does between ticks beside the zone links; strangers: datagrams that were no player's;
# threads: others than the loop's, which load zones; nobody: phases that nothing drove, players who are gone.
ACCOUNTS = ("players", "creatures", "loop", "strangers", "threads", "nobody")


@dataclass(frozen=True)
class Costs:
    """What was spent in a window of so many seconds, by row and by place.

    Args: cpu_s, commands: (rows,); place_cpu_s, place_commands: (places,).
    """

    window: float
    process_s: float
    unassigned_s: float
    cpu_s: np.ndarray
    commands: np.ndarray
    place_cpu_s: np.ndarray
    place_commands: np.ndarray


class Drivers:
    """What each row has driven since it was last shared out, and what was spent on its commands."""

    def __init__(self, rows: int) -> None:
        self.datagrams = np.zeros(rows)
        self.snapshots = np.zeros(rows)
        self.sent_bytes = np.zeros(rows)
        self.asked = np.zeros(rows)
        self.commands = np.zeros(rows)
        self.command_ns = np.zeros(rows)

    def fit(self, rows: int) -> None:
        """Have so many rows, or more."""
        missing = rows - len(self.asked)
        if missing > 0:
            for name, column in vars(self).items():
                setattr(self, name, np.pad(column, (0, missing)))


class Accounts:
    """The accounts of one process. `settle` about once a second, `take` for what was spent since."""

    def __init__(
        self,
        phases: Phases,
        tables: Tables,
        process_clock: Callable[[], float] = process_time,
        thread_clock: Callable[[], float] = thread_time,
    ) -> None:
        self.totals = dict.fromkeys(ACCOUNTS, 0.0)  # since the start, s
        self.tick_ns = np.zeros(0)  # by row: CPU time of ticks that is its player's, ns in a second
        self.place_cpu_s = np.zeros(0)  # by place, since the instance was opened
        self.place_commands = np.zeros(0)
        self._phases, self._tables = phases, tables
        self._clocks = process_clock, thread_clock
        self._before = process_clock(), thread_clock()
        self._phases_before = phases.cpu.histogram()[1].copy()
        self._received_before = 0
        self._settled_at: float | None = None
        self._drivers = Drivers(0)
        self._viewers = self._bytes = np.zeros(0, np.int64)
        self._views = 0  # how many snapshots each of them was sent that are not in the drivers yet
        self._numbers = np.zeros(0, np.uint32)  # of the instances, by place
        self._entities = np.zeros(0, np.uint32)  # by row: whose window it is
        self._begin_window()

    # ------------------------------------------------------------ in each tick

    def note_datagrams(self, rows: np.ndarray) -> None:
        """Note whose payloads came: (m,) rows, each as often as one of it came; negative: nobody's."""
        drivers = self._fitted()
        counts = np.bincount(rows + 1, minlength=len(drivers.datagrams) + 1)
        drivers.datagrams += counts[1:]

    def note_snapshots(self, viewers: np.ndarray, lengths: np.ndarray) -> None:
        """Note what was sent: viewers (m,) rows, each once; lengths (m,) bytes of their snapshots."""
        if not np.array_equal(viewers, self._viewers):
            self._add_views()
            self._viewers, self._bytes = viewers.copy(), np.zeros(len(viewers), np.int64)
        self._bytes += lengths
        self._views += 1

    def note_asked(self, row: int) -> None:
        """Note that a command of this row's player has arrived."""
        self._fitted().asked[row] += 1

    def note_command(self, row: int, took_ns: int) -> None:
        """Note what a command of this row's player took."""
        drivers = self._fitted()
        drivers.commands[row] += 1
        drivers.command_ns[row] += took_ns

    def tick_ns_of(self, row: int) -> float:
        """Return the CPU time that ticks use for this row's player, ns in a second."""
        return float(self.tick_ns[row]) if row < len(self.tick_ns) else 0.0

    # ------------------------------------------------------------ once a second

    def is_due(self, now: float) -> bool:
        """Whether it is time to settle."""
        return self._settled_at is None or now - self._settled_at >= SETTLE_S

    def settle(self, now: float, datagrams_received: int) -> None:
        """Share out what was spent since the last time. Between ticks.

        Args: now: monotonic seconds; datagrams_received: since the start, of anybody.
        """
        is_first = self._settled_at is None
        passed = 0.0 if self._settled_at is None else now - self._settled_at
        self._settled_at = now
        self._add_views()
        drivers, tables = self._fitted(), self._tables
        rows = len(tables)
        spent = self._spent()
        clocks = [clock() for clock in self._clocks]
        process_s, thread_s = (after - before for after, before in zip(clocks, self._before, strict=True))
        self._before = clocks[0], clocks[1]
        received = datagrams_received - self._received_before
        self._received_before = datagrams_received

        is_player = (tables.alive & (tables.kind == PLAYER)).astype(np.float64)
        creatures = np.flatnonzero(tables.alive & (tables.kind != PLAYER))
        in_ticks, left = np.zeros(rows), 0.0
        strange = share(received - float(drivers.datagrams.sum()), received)
        taken = spent["receive"] + spent["open"]
        entities = float(is_player.sum()) + len(creatures)
        moved = spent["simulation"]
        of_creatures = moved * share(len(creatures), entities)
        command_s = drivers.command_ns / 1e9
        for seconds, by in (
            (taken * (1 - strange) + spent["inputs"], drivers.datagrams),
            (spent["interest"] + spent["send"], drivers.snapshots),
            (spent["encode"] + spent["seal"], drivers.sent_bytes),
            (moved - of_creatures, is_player),
            (spent["links"] + spent["rest"], is_player),
            (spent["bus"], drivers.asked),
            (max(spent["commands"] - float(command_s.sum()), 0.0), drivers.commands),
        ):
            total = float(by.sum())
            if total > 0:
                in_ticks += by[:rows] * (seconds / total)
            else:
                left += seconds
        of_rows = in_ticks + command_s
        self._put(of_rows, drivers.commands, creatures, of_creatures, left)
        self.totals["loop"] += spent["loop"]
        self.totals["strangers"] += taken * strange
        self.totals["threads"] += max(process_s - thread_s, 0.0)
        self._process_s += process_s
        self._unassigned_s += spent["loop"] + taken * strange + max(process_s - thread_s, 0.0)
        self._window += passed
        if passed > 0:
            self.tick_ns = in_ticks * (1e9 / passed)
        self._drivers = Drivers(rows)
        if is_first:  # what the start has cost is no rate of anything
            self._begin_window()

    def _put(
        self,
        of_rows: np.ndarray,
        commands: np.ndarray,
        creatures: np.ndarray,
        of_creatures: float,
        left: float,
    ) -> None:
        """Put seconds of rows, and of all creatures together, to instances."""
        tables, places = self._tables, len(self._tables.places)
        self._follow_places()
        is_here = tables.place >= 0
        at = tables.place[is_here]
        of_places = np.bincount(at, of_rows[is_here], places)
        at_creatures = np.bincount(tables.place[creatures], minlength=places)
        if len(creatures):
            of_places += at_creatures * (of_creatures / len(creatures))
        of_players = float(of_rows[is_here].sum())
        left += float(of_rows.sum()) - of_players
        self.place_cpu_s += of_places
        self.place_commands += np.bincount(at, commands[is_here], places)
        self._window_places = _fitted_to(self._window_places, places) + of_places
        of_commands = np.bincount(at, commands[is_here], places)
        self._window_place_commands = _fitted_to(self._window_place_commands, places) + of_commands
        self._window_rows = _fitted_to(self._window_rows, len(of_rows))
        self._window_commands = _fitted_to(self._window_commands, len(of_rows))
        self._entities = _fitted_to(self._entities, len(of_rows))
        is_new = self._entities != tables.entity
        self._window_rows[is_new], self._window_commands[is_new] = 0.0, 0.0
        self._entities = tables.entity.copy()
        self._window_rows += of_rows
        self._window_commands += commands
        self.totals["players"] += of_players
        self.totals["creatures"] += of_creatures
        self.totals["nobody"] += left
        self._unassigned_s += left

    def take(self) -> Costs:
        """Return what was spent since the last call, as far as it is settled."""
        found = Costs(
            self._window,
            self._process_s,
            self._unassigned_s,
            self._window_rows,
            self._window_commands,
            self._window_places,
            self._window_place_commands,
        )
        self._begin_window()
        return found

    def _begin_window(self) -> None:
        self._window = self._process_s = self._unassigned_s = 0.0
        rows, places = len(self._tables), len(self._tables.places)
        self._window_rows, self._window_commands = np.zeros(rows), np.zeros(rows)
        self._window_places, self._window_place_commands = np.zeros(places), np.zeros(places)

    def _spent(self) -> dict[str, float]:
        """Return the seconds that each phase has taken since the last call."""
        sums = self._phases.cpu.histogram()[1].copy()
        before, self._phases_before = self._phases_before, sums
        taken = (sums - before).tolist()
        return {name: taken[index] for name, index in INDEX.items()}

    def _follow_places(self) -> None:
        """Begin anew where another instance has taken a place."""
        numbers = self._tables.places.numbers
        is_new = _fitted_to(self._numbers, len(numbers)) != numbers
        self.place_cpu_s = _fitted_to(self.place_cpu_s, len(numbers))
        self.place_commands = _fitted_to(self.place_commands, len(numbers))
        self.place_cpu_s[is_new], self.place_commands[is_new] = 0.0, 0.0
        self._numbers = numbers.copy()

    def _add_views(self) -> None:
        if self._views:
            drivers = self._fitted()
            drivers.snapshots[self._viewers] += self._views
            drivers.sent_bytes[self._viewers] += self._bytes
            self._views = 0
            self._bytes[:] = 0

    def _fitted(self) -> Drivers:
        self._drivers.fit(len(self._tables))
        return self._drivers


def open_places(tables: Tables) -> np.ndarray:
    """Return the places (p,) whose instance is open."""
    return np.flatnonzero(tables.places.numbers != FREE)


def share(part: float, whole: float) -> float:
    """Return the part of the whole, 0..1; 0 of nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _fitted_to(column: np.ndarray, count: int) -> np.ndarray:
    """Return the column with at least so many entries, new ones 0."""
    missing = count - len(column)
    return np.pad(column, (0, missing)) if missing > 0 else column
