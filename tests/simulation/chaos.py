"""Faults: which kinds a seed plays with, and when each strikes. Every fault that struck has a name.

A run can be repeated with some of its faults left out: the streams of chance are one for each kind and place,
and do not shift when a fault is dropped. The next time that a kind strikes is drawn when it has struck, so a
message or a second without a fault costs nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from math import inf, log
from random import Random
from typing import NamedTuple

from tests.simulation.schedule import Schedule


@dataclass(frozen=True)
class Faults:
    """How bad the outside is. The first group: probability each time; the second: rate per second."""

    bus_lost: float = 0.03
    bus_doubled: float = 0.03
    bus_slow: float = 0.03  # up to 3 s, and so reordered
    bus_late: float = 0.004  # up to 90 s
    request_lost: float = 0.03
    request_doubled: float = 0.05  # the copy arrives up to 90 s later
    request_late: float = 0.03  # up to 90 s; the world has given up on it after 8 s
    answer_lost: float = 0.04
    answer_doubled: float = 0.03  # up to 90 s later, in the same process

    disk_slow: float = 0.01  # a commit takes up to 3 s longer

    cluster_death: float = 0.004
    cluster_pause: float = 0.004  # up to 8 s; one in four: up to 200 s
    daemon_death: float = 0.004
    daemon_pause: float = 0.003  # up to 8 s; one in three: past the lease, up to 200 s
    daemon_restored: float = 0.002  # its machine goes back to a snapshot of some seconds ago
    gateway_death: float = 0.003
    master_outage: float = 0.003  # up to 20 s; one in three: up to 240 s
    disk_full: float = 0.003  # nothing can be journaled for up to 20 s; one in two: up to 240 s
    refusal: float = 0.003  # the master takes nothing of a world for so long: a revoked key, a wrong clock
    attack: float = 0.02  # by a world that has learned another's secrets
    forgery: float = 0.02  # by the operator of a world: goods and things out of nowhere
    limit: float = 0.0008  # the staff limits an official world, for good

    link_cut: float = 0.01  # per player
    relog: float = 0.006
    log_out: float = 0.01
    travel: float = 0.012  # to another world, with or without a log-out

    stop: float = 0.004  # the staff stops trade everywhere for up to 40 s

    def __mul__(self, factor: float) -> "Faults":
        """Return them all stronger or weaker."""
        return Faults(*(getattr(self, one.name) * factor for one in fields(self)))


NONE = Faults() * 0.0
PEOPLE = ("link_cut", "relog", "log_out", "travel")  # what players do is no fault, but makes things happen


def faults_of(seed: int) -> Faults:
    """Return a seed's own mixture: some kinds are absent, others stronger, so that runs differ in kind."""
    rng = Random(f"faults {seed}")
    changes = {}
    for one in fields(Faults):
        is_there = one.name in PEOPLE or rng.random() < 0.65
        changes[one.name] = getattr(Faults(), one.name) * rng.choice((0.5, 1.0, 1.0, 2.5)) * is_there
    return replace(Faults(), **changes)


class Fault(NamedTuple):
    """One fault: the n-th chance of its kind at a place, which struck."""

    kind: str
    place: str
    number: int


class Chaos:
    """Decides when faults strike, and keeps a list of those that did."""

    def __init__(
        self, seed: int, faults: Faults, schedule: Schedule, only: Collection[Fault] | None = None
    ) -> None:
        """`only`: these and no others may strike."""
        self.seed, self.faults, self.schedule = seed, faults, schedule
        self.only = None if only is None else frozenset(only)
        self.struck: list[tuple[float, Fault]] = []
        self.is_over = False

    def end(self) -> None:
        """No fault strikes from now on."""
        self.is_over = True

    def stream(self, kind: str, place: str) -> Random:
        """Return the stream of chance of one kind at one place."""
        return Random(f"{self.seed} {kind} {place}")

    def may_strike(self, fault: Fault) -> bool:
        """Whether this run is played with a fault."""
        return not self.is_over and (self.only is None or fault in self.only)

    def note(self, fault: Fault) -> None:
        """A fault has struck."""
        self.struck.append((self.schedule.now, fault))

    def dice(self, place: str, kinds: Sequence[str]) -> "Dice":
        """Return the chances that come with each message of some sort at a place."""
        return Dice(self, place, [kind for kind in kinds if getattr(self.faults, kind)])

    def watch(self, kind: str, place: str, strike: Callable[[float], bool]) -> None:
        """Let a kind of fault strike at a place, again and again.

        Args: strike: is given how hard (0..1); returns whether there was anything to strike.
        """
        rate = getattr(self.faults, kind)
        if rate:
            self._arm(Timer(kind, place, rate, self.stream(kind, place), strike))

    def _arm(self, timer: "Timer") -> None:
        timer.number += 1
        self.schedule.after(timer.stream.expovariate(timer.rate), self._fire, timer)

    def _fire(self, timer: "Timer") -> None:
        if self.is_over:
            return
        fault, force = Fault(timer.kind, timer.place, timer.number), timer.stream.random()
        if self.may_strike(fault) and timer.strike(force):
            self.note(fault)
        self._arm(timer)


@dataclass
class Timer:
    """One kind of fault at one place. `rate`: per second."""

    kind: str
    place: str
    rate: float
    stream: Random
    strike: Callable[[float], bool]
    number: int = 0


class Dice:
    """Which faults strike the next message of some sort at a place."""

    def __init__(self, chaos: Chaos, place: str, kinds: Sequence[str]) -> None:
        self.chaos, self.place = chaos, place
        self.streams = {kind: chaos.stream(kind, place) for kind in kinds}
        self.number = 0
        self.next_of = {kind: self._gap(kind) for kind in kinds}
        self.next = min(self.next_of.values(), default=inf)

    def _gap(self, kind: str) -> int:
        """Return how many messages until one is struck (1..): the geometric distribution."""
        chance = getattr(self.chaos.faults, kind)
        return 1 + int(log(1.0 - self.streams[kind].random()) / log(1.0 - chance))

    def roll(self) -> dict[str, float] | None:
        """A message is sent: return what strikes it, how hard (0..1); None: nothing, as nearly always."""
        self.number += 1
        if self.number < self.next:
            return None
        if self.chaos.is_over:
            self.next = inf
            return None
        struck = {}
        for kind in [kind for kind, due in self.next_of.items() if due == self.number]:
            fault, force = Fault(kind, self.place, self.number), self.streams[kind].random()
            if self.chaos.may_strike(fault):
                self.chaos.note(fault)
                struck[kind] = force
            self.next_of[kind] += self._gap(kind)
        self.next = min(self.next_of.values())
        return struck or None
