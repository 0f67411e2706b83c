"""What is done to processes in a round, drawn from a seed. Pure.

Killed: kill -9. Stopped: SIGSTOP for some time, to others as good as dead, and then it goes on as if nothing
had happened; past 120 s its leases have lapsed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

CLUSTERS = ("zonecluster-east", "zonecluster-west")
BACKEND = "postgres-backend"  # one connection's process: PostgreSQL then ends all of them and recovers
KILLED: tuple[tuple[str, ...], ...] = (
    ("worlddaemon",),
    ("zonecluster-east",),
    ("zonecluster-west",),
    ("gateway",),
    ("web",),
    ("postgres",),
    (BACKEND,),
    ("valkey",),
    ("worker",),
    ("beat",),
    ("worlddaemon", "zonecluster-east"),
    ("worlddaemon", "zonecluster-west"),
    ("worlddaemon", *CLUSTERS),
    ("gateway", "worlddaemon"),
    ("web", "postgres"),
    ("web", "worlddaemon"),
    ("valkey", "worlddaemon"),
    ("postgres", "worlddaemon", *CLUSTERS),
)
# One after the other, and how long players may be without an answer then (DESIGN.md, section 8), seconds.
IN_TURN = {
    "zonecluster-east": 15.0,
    "worlddaemon": 20.0,
    "gateway": 20.0,
    "web": 10.0,
    "postgres": 60.0,
    "valkey": 10.0,
    "zonecluster-west": 15.0,
    "worker": 10.0,
    "beat": 10.0,
}
STOPPED = ("worlddaemon", *CLUSTERS, "gateway", "web", "postgres", "valkey")
STOPPED_LONG = ("worlddaemon", *CLUSTERS, "web", "postgres", "gateway", "valkey")
SHORT_S = (0.5, 2.0, 6.0, 12.0)
LONG_S = 130.0  # a lease has 120
STOP_CHANCE = 0.3


def in_turn(number: int) -> "Sequence[Fault]":
    """Return the fault of a round when every process is killed in its turn. Args: number: from 1."""
    names = tuple(IN_TURN)
    return [Fault("kill", (names[(number - 1) % len(names)],))]


@dataclass(frozen=True)
class Fault:
    """One thing that is done to some processes at once. `seconds`: how long they stand still."""

    how: Literal["kill", "stop"]
    processes: tuple[str, ...]
    seconds: float = 0.0

    def __str__(self) -> str:
        names = " + ".join(self.processes)
        return f"kill -9 {names}" if self.how == "kill" else f"stop {names} for {self.seconds:g} s"

    @property
    def is_past_the_lease(self) -> bool:
        """Whether leases lapse meanwhile."""
        return self.seconds >= LONG_S


def draw(chance: Random, number: int, long_every: int, recent: Collection[str] = ()) -> Sequence[Fault]:
    """Return the faults of a round, one after the other.

    Args: number: of the round, from 1; long_every: each such round stops something past the lease; 0: none;
        recent: processes that are not killed, as the supervisor lets one wait that dies again and again.
    """
    killed = [group for group in KILLED if not set(group) & set(recent)] or KILLED
    if long_every and number % long_every == 0:
        return [Fault("stop", (STOPPED_LONG[(number // long_every - 1) % len(STOPPED_LONG)],), LONG_S)]
    faults = []
    if chance.random() < STOP_CHANCE:
        faults.append(Fault("stop", (chance.choice(STOPPED),), chance.choice(SHORT_S)))
    if not faults or chance.random() < 0.3:
        faults.append(Fault("kill", chance.choice(killed)))
    if chance.random() < 0.25:
        faults.append(Fault("kill", chance.choice(killed)))
    chance.shuffle(faults)
    return faults
