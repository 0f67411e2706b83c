"""Which clusters are alive, and which instance runs where. Knows no sessions.

A cluster is dead when it has been silent for 2.5 s (its sign of life comes every 0.5 s), or at once when its
name is heard with a new incarnation. While our own bus is down nobody is judged.
"""

from dataclasses import dataclass, field
from uuid import UUID

from zonecluster.protocol.bus import Residents
from zonecluster.protocol.figures import ClusterFigures

SILENCE_S = 2.5
OPEN_REPEAT_S = 1.0  # how often OpenInstance is repeated until it is answered
FAILED_PAUSE_S = 3.0  # how long a cluster that could not open an instance is not asked for it again
IDLE_BEFORE_MOVE_S = 60.0  # an instance away from its home cluster is closed after so long without players


@dataclass
class Hearing:
    """One round of a cluster's Residents: the parts that were heard, and who was in them."""

    round: int = 0
    parts: set[int] = field(default_factory=set)
    present: set[UUID] = field(default_factory=set)

    def add(self, message: Residents) -> bool:
        """Take one message, in whatever order they come; returns whether `present` are all there now."""
        sessions = {resident.session for resident in message.residents}
        if message.parts == 1:
            self.present = sessions
            return True
        if message.round < self.round:  # late: that round will not be whole any more
            return False
        if message.round > self.round:
            self.round, self.parts, self.present = message.round, set(), set()
        is_news = message.part not in self.parts
        self.parts.add(message.part)
        self.present |= sessions
        return is_news and len(self.parts) == message.parts


@dataclass
class Cluster:
    """One cluster as last heard of."""

    name: str
    incarnation: int
    heard_at: float
    is_alive: bool = True
    alive_since: float = 0.0
    instances: frozenset[int] = frozenset()
    vacant: frozenset[int] = frozenset()  # of those: being got ready by a move
    exported: frozenset[int] = frozenset()  # of those: stilled by a move
    players: int = 0
    tick_ms: float = 0.0
    dilation: float = 1.0
    figures: ClusterFigures | None = None
    metrics: str = ""  # host:port of its /metrics
    door: bytes = b""  # newest connect token for the reachability check, and when it came
    door_at: float = 0.0
    reports: int = 0  # rounds of Residents of this incarnation that were seen
    hearing: Hearing = field(default_factory=Hearing)  # the round of Residents under way
    dead_incarnations: set[int] = field(default_factory=set)


@dataclass
class Instance:
    """A copy of a zone: where it runs or is being opened."""

    number: int
    zone: str
    cluster: str
    incarnation: int
    is_open: bool = False
    asked_at: float = -1e9
    used_at: float = 0.0
    owner: str = ""  # whose own it is, where an alliance is by itself; empty: everybody's, or not known


@dataclass
class Clusters:
    """The registry."""

    by_name: dict[str, Cluster] = field(default_factory=dict)
    instances: dict[int, Instance] = field(default_factory=dict)
    refused: dict[tuple[int, str], float] = field(default_factory=dict)  # (instance, cluster): not before
    emptying: dict[str, str] = field(default_factory=dict)  # clusters where nothing is opened, and why
    placed: dict[int, str] = field(default_factory=dict)  # instances that were moved on request: where to
    # (instance, cluster) that are reported where the instance is elsewhere
    split: set[tuple[int, str]] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)  # instances that were open since this daemon began

    def hear(self, name: str, incarnation: int, now: float) -> tuple[bool, int | None]:
        """Note a sign of life.

        Returns: whether it is of the living process (a late message of a dead one is not), and the
        incarnation that this one has replaced while it was believed alive, if any.
        """
        cluster = self.by_name.get(name)
        if cluster is None:
            self.by_name[name] = Cluster(name, incarnation, now, alive_since=now)
            return True, None
        if incarnation in cluster.dead_incarnations and cluster.is_alive:
            return False, None  # late; if it was the other way round, the one we believe in falls silent
        cluster.dead_incarnations.discard(incarnation)
        replaced = None
        if incarnation != cluster.incarnation or not cluster.is_alive:
            cluster.alive_since = now
        if incarnation != cluster.incarnation:
            replaced = cluster.incarnation if cluster.is_alive else None
            cluster.dead_incarnations.add(cluster.incarnation)
            self._forget_instances(name, cluster.incarnation)
            cluster.incarnation = incarnation
            cluster.instances = cluster.vacant = cluster.exported = frozenset()
            cluster.reports, cluster.hearing = 0, Hearing()
        cluster.heard_at, cluster.is_alive = now, True
        return True, replaced

    def end(self, name: str, incarnation: int) -> bool:
        """Mark a process as dead that is known to have ended; whether it was believed alive."""
        cluster = self.by_name.get(name)
        if cluster is None or not cluster.is_alive or cluster.incarnation != incarnation:
            return False
        cluster.is_alive = False
        self._forget_instances(name, incarnation)
        return True

    def silent(self, now: float) -> list[Cluster]:
        """Mark and return the clusters that have just been silent for too long."""
        died = [c for c in self.by_name.values() if c.is_alive and now - c.heard_at > SILENCE_S]
        for cluster in died:
            cluster.is_alive = False
            self._forget_instances(cluster.name, cluster.incarnation)
        return died

    def excuse_all(self, now: float) -> None:
        """The bus was down: silence so far means nothing."""
        for cluster in self.by_name.values():
            if cluster.is_alive:
                cluster.heard_at = now

    def is_alive(self, name: str, incarnation: int) -> bool:
        """Whether that process lives, as far as is known."""
        cluster = self.by_name.get(name)
        return cluster is not None and cluster.is_alive and cluster.incarnation == incarnation

    def alive(self) -> list[Cluster]:
        """Return the living, by name."""
        return sorted((c for c in self.by_name.values() if c.is_alive), key=lambda c: c.name)

    def _forget_instances(self, name: str, incarnation: int) -> None:
        self.instances = {
            number: row
            for number, row in self.instances.items()
            if (row.cluster, row.incarnation) != (name, incarnation)
        }
