"""The machines that run this world's clusters, as their host agents report them. Knows no clusters' bus, no
sessions.

Host "" is the machine of the world daemon itself. `supervision.py` decides by this.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from worlds.hosts.messages import ClusterRun, Report

# ---------------------------------------------------------------- events and effects


@dataclass(frozen=True)
class HostHeard:
    """The agent of a host has reported; "": the world daemon's own machine."""

    host: str
    report: Report


@dataclass(frozen=True)
class HostLost:
    """The link to an agent has ended, or it was silent for too long."""

    host: str


@dataclass(frozen=True)
class WantClusters:
    """Tell an agent all clusters that shall run there, with their generations, and those of other
    processes."""

    host: str
    clusters: dict[str, int]
    processes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class KillCluster:
    """Have an agent kill this run of a cluster; it starts it again."""

    host: str
    cluster: str
    run: int


HostEffect = WantClusters | KillCluster

# ---------------------------------------------------------------- what is known

FRESH_S = 3.0  # a report older than this says nothing about now (they come once a second)


@dataclass
class Host:
    """A machine as last reported. `told`: what its agent was last told to run; None: nothing yet."""

    name: str
    heard_at: float
    report: Report
    is_connected: bool = True
    lost_at: float = 0.0
    told: dict[str, int] | None = None
    tell_at: float = 0.0
    runs: dict[str, ClusterRun] = field(default_factory=dict)  # by cluster
    ready_at: dict[int, float] = field(default_factory=dict)  # run: since when it is reported as ready


@dataclass
class Watch:
    """What is remembered of one cluster: kills, when there was trouble last, since when nothing is wrong."""

    kills: int = 0
    not_before: float = 0.0  # it is not killed again
    trouble_at: float = -1e9
    is_calm: bool = False  # its alarms are ended
    ended: dict[int, float] = field(default_factory=dict)  # incarnations that its agent has seen end: when
    strangers: dict[int, float] = field(default_factory=dict)  # incarnations that are not its agent's: since
    claims: dict[int, float] = field(
        default_factory=dict
    )  # instances that it has, and that run elsewhere: since


@dataclass
class Hosts:
    """The registry."""

    by_name: dict[str, Host] = field(default_factory=dict)
    generations: dict[str, int] = field(
        default_factory=dict
    )  # of clusters; a higher one than reported: restart
    process_generations: dict[str, int] = field(
        default_factory=dict
    )  # of gateway and daemon, on our own host
    watches: dict[str, Watch] = field(default_factory=dict)
    stepped_at: float | None = None
    judge_from: float = 0.0  # silence before this instant means nothing: our bus was down, or we stood still
    alarmed: dict[str, float] = field(default_factory=dict)  # key of an alarm: when it was raised last

    def hear(self, name: str, report: Report, now: float) -> Host:
        """Note a report."""
        host = self.by_name.get(name)
        if host is None:
            host = self.by_name[name] = Host(name, now, report)
        if not host.is_connected:
            host.told, host.tell_at = None, now
        host.report, host.heard_at, host.is_connected = report, now, True
        host.runs = {run.name: run for run in report.clusters}
        for run in report.clusters:
            known = self.generations.get(run.name, 0)
            self.generations[run.name] = max(known, run.generation)
        for process in report.processes if not name else ():
            known = self.process_generations.get(process.name, 0)
            self.process_generations[process.name] = max(known, process.generation)
        ready = {run.run for run in report.clusters if run.state == "ready"}
        host.ready_at = {run: host.ready_at.get(run, now) for run in ready}
        return host

    def lose(self, name: str, now: float) -> Host | None:
        """Note that an agent is not there any more; what it has reported stays known."""
        host = self.by_name.get(name)
        if host is not None and host.is_connected:
            host.is_connected, host.lost_at = False, now
            return host
        return None

    def connected(self) -> Iterator[Host]:
        """Return the hosts whose agents are there."""
        return (host for host in self.by_name.values() if host.is_connected)

    def run_of(self, cluster: str, now: float) -> tuple[Host, ClusterRun] | None:
        """Return where a cluster runs, by a report that is fresh; the living before one that waits."""
        found = [
            (host, run)
            for host in self.connected()
            if now - host.heard_at <= FRESH_S and (run := host.runs.get(cluster)) is not None
        ]
        return min(found, key=lambda each: each[1].state == "waiting", default=None)

    def watch(self, cluster: str) -> Watch:
        """Return what is remembered of a cluster."""
        return self.watches.setdefault(cluster, Watch())
