"""How a zone cluster is doing and what it spends its CPU time on: parts of ClusterAlive (bus.py).

Source: docs/protocol.md, section "Bus".
"""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

MOST_CONSUMERS = 10

Amount = Annotated[float, Meta(ge=0, le=1e12)]  # neither infinite nor NaN
Count = Annotated[int, Meta(ge=0)]


class PhaseFigures(Struct, frozen=True):
    """CPU time of one phase of a tick."""

    phase: str
    p50_ms: float
    p99_ms: float


class InstanceFigures(Struct, frozen=True):
    """What one zone instance has cost: its players, with their commands, and its creatures."""

    instance: int
    players: Count
    creatures: Count
    cpu_ms: Amount  # in a second
    commands: Amount  # in a second


class Consumer(Struct, frozen=True):
    """A player who has cost much: commands, and what the ticks did for it."""

    session: UUID
    name: str
    cpu_ms: Amount  # in a second
    share: Amount  # of all CPU time of the process, 0..1
    commands: Amount = 0.0  # in a second
    instance: int = 0


class ClusterFigures(Struct, frozen=True):
    """How a cluster is doing: times over the last 10 s, rates over the last 3 s, counts since its start."""

    phases: list[PhaseFigures]  # in the order of a tick
    tick_p50_ms: float  # by the wall clock
    tick_p99_ms: float
    tick_max_ms: float
    interval_p99_ms: float  # from the begin of a tick to that of the next
    late_p99_ms: float  # behind its due
    instability: float  # Meterstick's ISR, of the last minute
    ticks: int
    skipped_ticks: int
    entities: int
    sent_bytes_per_player_s: int
    received_bytes_per_player_s: int
    drops: dict[str, int]  # received datagrams thrown away, by reason
    lost_datagrams: int  # that the kernel did not take
    window: Amount = 0.0  # seconds that the costs below are of; 0: none yet
    cpu_ms: Amount = 0.0  # of the whole process, in a second
    unassigned_ms: Amount = 0.0  # of it in a second: what is neither a player's nor an instance's
    instances: list[InstanceFigures] = []
    consumers: list[Consumer] = []  # at most MOST_CONSUMERS, the dearest first
    budget_refusals: Count = 0  # commands that were refused since the player's CPU time was used up
