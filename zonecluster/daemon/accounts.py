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


class Costs:
    """What was spent in a window: by row and by place, and what is neither's. Seconds."""

    def __init__(self, rows: int, places: int) -> None:
        self.window = self.process_s = self.unassigned_s = 0.0
        self.cpu_s, self.commands = np.zeros(rows), np.zeros(rows)
        self.place_cpu_s, self.place_commands = np.zeros(places), np.zeros(places)

    def fit(self, rows: int, places: int) -> None:
        """Have so many rows and places, or more."""
        self.cpu_s, self.commands = fitted(self.cpu_s, rows), fitted(self.commands, rows)
        self.place_cpu_s = fitted(self.place_cpu_s, places)
        self.place_commands = fitted(self.place_commands, places)


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
        if rows > len(self.asked):
            for name, column in vars(self).items():
                setattr(self, name, fitted(column, rows))


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
        self._viewers, self._bytes = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._views = 0  # how many snapshots each of them was sent that are not in the drivers yet
        self._numbers = np.zeros(0, np.uint32)  # of the instances, by place
        self._entities = np.zeros(0, np.uint32)  # by row: whose window it is
        self._costs = Costs(0, 0)

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
        is_first, passed = self._settled_at is None, now - (self._settled_at or now)
        self._settled_at = now
        self._add_views()
        received = datagrams_received - self._received_before
        self._received_before = datagrams_received
        drivers, process_s, threads_s = self._fitted(), *self._clocked()
        self._drivers = Drivers(len(self._tables))
        self._follow_rows_and_places()
        self._share_out(self._spent(), drivers, received, passed)
        self._leave("threads", threads_s)
        self._costs.process_s += process_s
        self._costs.window += passed
        if is_first:  # what the start has cost is no rate of anything
            self.take()

    def _share_out(self, spent: dict[str, float], drivers: Drivers, received: int, passed: float) -> None:
        """Put the phases' seconds to who drove them."""
        tables = self._tables
        is_player = (tables.alive & (tables.kind == PLAYER)).astype(np.float64)
        creatures = np.flatnonzero(tables.alive & (tables.kind != PLAYER))
        of_strangers = share(received - float(drivers.datagrams.sum()), received)
        of_creatures = spent["simulation"] * share(len(creatures), len(creatures) + float(is_player.sum()))
        taken, command_s = spent["receive"] + spent["open"], drivers.command_ns / 1e9
        in_ticks = np.zeros(len(tables))
        for seconds, by in (
            (taken * (1 - of_strangers) + spent["inputs"], drivers.datagrams),
            (spent["interest"] + spent["send"], drivers.snapshots),
            (spent["encode"] + spent["seal"], drivers.sent_bytes),
            (spent["simulation"] - of_creatures + spent["links"] + spent["rest"], is_player),
            (spent["bus"], drivers.asked),
            (max(spent["commands"] - float(command_s.sum()), 0.0), drivers.commands),
        ):
            total = float(by.sum())
            if total > 0:
                in_ticks += by * (seconds / total)
            else:
                self._leave("nobody", seconds)
        if passed > 0:
            self.tick_ns = in_ticks * (1e9 / passed)
        self._put_rows(in_ticks + command_s, drivers.commands)
        self._put_creatures(creatures, of_creatures)
        self._leave("loop", spent["loop"])
        self._leave("strangers", taken * of_strangers)

    def _put_rows(self, seconds: np.ndarray, commands: np.ndarray) -> None:
        """Put (rows,) seconds and commands to their players and instances."""
        tables, places = self._tables, len(self._tables.places)
        is_here = tables.place >= 0
        at = tables.place[is_here]
        self._costs.cpu_s += seconds
        self._costs.commands += commands
        self._put_places(np.bincount(at, seconds[is_here], places))
        of_places = np.bincount(at, commands[is_here], places)
        self.place_commands += of_places
        self._costs.place_commands += of_places
        of_players = float(seconds[is_here].sum())
        self.totals["players"] += of_players
        self._leave("nobody", float(seconds.sum()) - of_players)  # of who has left meanwhile

    def _put_creatures(self, creatures: np.ndarray, seconds: float) -> None:
        """Put seconds to the instances where creatures (n,) stand, by their number."""
        if len(creatures):
            at = np.bincount(self._tables.place[creatures], minlength=len(self._tables.places))
            self._put_places(at * (seconds / len(creatures)))
            self.totals["creatures"] += seconds

    def _put_places(self, seconds: np.ndarray) -> None:
        self.place_cpu_s += seconds
        self._costs.place_cpu_s += seconds

    def _leave(self, account: str, seconds: float) -> None:
        """Put seconds to an account that is neither a player's nor an instance's."""
        self.totals[account] += seconds
        self._costs.unassigned_s += seconds

    def take(self) -> Costs:
        """Return what was spent since the last call, as far as it is settled."""
        taken, self._costs = self._costs, Costs(len(self._tables), len(self._tables.places))
        return taken

    def _clocked(self) -> tuple[float, float]:
        """Return what the process has used since the last call, and of it its other threads. Seconds."""
        process_s, thread_s = (clock() for clock in self._clocks)
        before, self._before = self._before, (process_s, thread_s)
        used_s = process_s - before[0]
        return used_s, max(used_s - (thread_s - before[1]), 0.0)

    def _spent(self) -> dict[str, float]:
        """Return the seconds that each phase has taken since the last call."""
        sums = self._phases.cpu.histogram()[1].copy()
        before, self._phases_before = self._phases_before, sums
        taken = (sums - before).tolist()
        return {name: taken[index] for name, index in INDEX.items()}

    def _follow_rows_and_places(self) -> None:
        """Begin anew where somebody else has taken a row, or another instance a place."""
        tables, numbers = self._tables, self._tables.places.numbers
        self._costs.fit(len(tables), len(numbers))
        is_new = fitted(self._entities, len(tables)) != tables.entity
        self._costs.cpu_s[is_new], self._costs.commands[is_new] = 0.0, 0.0
        self._entities = tables.entity.copy()
        is_new = fitted(self._numbers, len(numbers)) != numbers
        self.place_cpu_s = fitted(self.place_cpu_s, len(numbers))
        self.place_commands = fitted(self.place_commands, len(numbers))
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


def fitted(column: np.ndarray, count: int) -> np.ndarray:
    """Return the column with at least so many entries, new ones 0."""
    missing = count - len(column)
    return np.pad(column, (0, missing)) if missing > 0 else column
