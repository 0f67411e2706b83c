"""Faults: which kinds a seed plays with, and when each strikes. Every fault that struck has a name.

A run can be repeated with some of its faults left out: the streams of chance are one for each kind and place,
and do not shift when a fault is dropped.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from random import Random
from typing import NamedTuple


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

    link_cut: float = 0.01  # per player
    relog: float = 0.006
    log_out: float = 0.01
    travel: float = 0.012  # to another world, with or without a log-out

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
    """Decides each time whether a fault strikes, and keeps a list of those that did."""

    def __init__(self, seed: int, faults: Faults, only: Collection[Fault] | None = None) -> None:
        """`only`: these and no others may strike."""
        self.seed, self.faults = seed, faults
        self.only = None if only is None else frozenset(only)
        self.struck: list[tuple[float, Fault]] = []
        self._streams: dict[tuple[str, str], Random] = {}
        self._numbers: dict[tuple[str, str], int] = defaultdict(int)

    def strikes(self, kind: str, place: str, now: float, seconds: float = 0.0) -> float | None:
        """Return how hard a fault strikes (0..1), None if it does not.

        Args: seconds: for rates, the length of the step.
        """
        chance = getattr(self.faults, kind)
        if chance == 0.0:
            return None
        key = (kind, place)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Random(f"{self.seed} {kind} {place}")
        number = self._numbers[key] = self._numbers[key] + 1
        draw, force = stream.random(), stream.random()
        if draw >= (chance * seconds if seconds else chance):
            return None
        fault = Fault(kind, place, number)
        if self.only is not None and fault not in self.only:
            return None
        self.struck.append((now, fault))
        return force
