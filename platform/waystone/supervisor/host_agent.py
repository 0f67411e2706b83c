"""Runs the zone clusters that the world daemon wants on this machine: part of the supervisor's loop.

While there is no link the clusters go on, and those that die are started again, as ever. What is to run is
the
daemon's to say alone: an agent that was started anew runs nothing until it has heard.
"""

from collections.abc import Callable

from waystone.supervisor import capacity
from waystone.supervisor.child import Child, Spec, State
from waystone.supervisor.host_link import HostLink, LinkDown
from waystone.supervisor.loop import Supervisor
from worlds.hosts.messages import ClusterRun, Kill, ProcessRun, Refused, Report, RunState, Wanted, Welcome

REPORT_S = 1.0
MAX_REASON = 400
OTHER = "/"  # before the name of a process that is no cluster, where both are kept

RUN_STATES: dict[State, RunState] = {
    State.STARTING: "starting",
    State.READY: "ready",
    State.WAITING: "waiting",
    State.STOPPING: "stopping",
}


class HostAgent:
    """The clusters of this machine, and what the daemon is told of them."""

    def __init__(
        self,
        supervisor: Supervisor,
        link: HostLink,
        spec: Callable[[str], Spec],
        on_link: Callable[[Welcome | Refused | LinkDown], None],
    ) -> None:
        """`spec` makes the process of a cluster; `on_link` is told how it goes with the link."""
        self._supervisor = supervisor
        self._link = link
        self._spec = spec
        self._on_link = on_link
        self._clusters: dict[str, Child] = {}
        self._generations: dict[str, int] = {}
        self._others: dict[str, Child] = {}  # that run anyway, and may be restarted
        self._report_at = 0.0
        self._reported: tuple[list[ClusterRun], list[ProcessRun]] = ([], [])
        self._cores = capacity.cores()

    def adopt(self, name: str, child: Child) -> None:
        """Take a cluster that was started before."""
        self._clusters[name], self._generations[name] = child, 0

    def adopt_other(self, name: str, child: Child) -> None:
        """Take a process that is no cluster: the daemon may have it restarted, not stopped."""
        self._others[name], self._generations[OTHER + name] = child, 0

    def step(self, now: float) -> None:
        """Hear the daemon, do what it wants, and report. Args: now: seconds, monotonic."""
        for heard in self._link.step(now):
            match heard:
                case Wanted(clusters, processes):
                    self._want(clusters, now)
                    self._want_others(processes, now)
                case Kill(name, run):
                    self._kill(name, run)
                case Refused(is_final=True):
                    self._want({}, now)
                    self._on_link(heard)
                case Welcome():
                    self._report_at = now
                    self._on_link(heard)
                case _:
                    self._on_link(heard)
        self._forget_stopped()
        runs = self._runs(), self._other_runs()
        if now >= self._report_at or runs != self._reported:
            self._report_at, self._reported = now + REPORT_S, runs
            self._link.report(self._report(*runs), now)

    def _want(self, wanted: dict[str, int], now: float) -> None:
        for name, generation in wanted.items():
            child = self._clusters.get(name)
            if child is None:
                self._clusters[name] = self._supervisor.add(self._spec(name))
                self._generations[name] = generation
            elif generation > self._generations[name] or child.state is State.STOPPING:
                self._generations[name] = max(generation, self._generations[name])
                child.stop(now, is_wanted_again=True)
        for name in self._clusters.keys() - wanted.keys():
            self._clusters[name].stop(now)

    def _want_others(self, wanted: dict[str, int], now: float) -> None:
        for name, generation in wanted.items():
            child = self._others.get(name)
            if child is not None and generation > self._generations[OTHER + name]:
                self._generations[OTHER + name] = generation
                child.stop(now, is_wanted_again=True)

    def _kill(self, name: str, run: int) -> None:
        child = self._clusters.get(name)
        if child is not None and child.run == run:
            child.kill()

    def _forget_stopped(self) -> None:
        for name, child in list(self._clusters.items()):
            if child.state is State.STOPPED:
                self._supervisor.drop(child)
                del self._clusters[name], self._generations[name]

    def _runs(self) -> list[ClusterRun]:
        return [
            ClusterRun(
                name=name,
                generation=self._generations[name],
                state=RUN_STATES[child.state],
                run=child.run,
                pid=child.process.pid if child.process is not None else 0,
                deaths=child.backoff.deaths,
                reason=child.reason[:MAX_REASON],
            )
            for name, child in sorted(self._clusters.items())
        ]

    def _other_runs(self) -> list[ProcessRun]:
        return [
            ProcessRun(name=name, generation=self._generations[OTHER + name], state=RUN_STATES[child.state])
            for name, child in sorted(self._others.items())
        ]

    def _report(self, runs: list[ClusterRun], others: list[ProcessRun]) -> Report:
        total_mb, free_mb = capacity.memory_mb()
        return Report(
            clusters=runs,
            cores=self._cores,
            memory_mb=total_mb,
            free_memory_mb=free_mb,
            load=capacity.load(),
            processes=others,
        )
