"""Which clusters run on which host, restarts of clusters, and what is done about one that hangs or is there
twice.

The agents start, stop and restart processes; a process that dies is theirs alone. Here it is decided what
shall
run where (`WantClusters`), that a process which lives but is silent on the bus is to be killed
(`KillCluster`), and
which of two processes of one name is the right one: that of the agent.
"""

from worlds.daemon.core import recovery
from worlds.daemon.core.hosts import FRESH_S, Host, KillCluster, WantClusters, Watch
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import EndAlarm, RaiseAlarm
from worlds.hosts.messages import ClusterRun, Report
from zonecluster.protocol import bus

TELL_S = 2.0  # agents are told what they shall run so often, even if nothing has changed
HUNG_S = (
    6.0  # silence on the bus after which a process that lives is killed; its players look elsewhere at 2.5 s
)
MUTE_S = 20.0  # the same for one that is ready and was never heard
KILL_PAUSES_S = (8.0, 15.0, 30.0, 60.0)  # after a kill, until the next of the same cluster
STOOD_STILL_S = 1.0  # between two steps: the daemon itself stood still, and has not read what others said
STRANGER_S = 2.0  # a process that is not the agent's is told to end after so long
STRANGERS = 8  # are remembered of one name
LAST_WORDS_S = 0.5  # after a process has ended, what it said last may still arrive
ENDED = 8  # processes that have ended are remembered of one name
DEATHS = 5  # in a row, of one cluster: an alarm
LOST_HOST_S = 30.0  # without its agent: an alarm
CALM_S = 60.0  # without trouble: the alarms of a cluster are over
REPEAT_ALARM_S = 60.0

TROUBLES = ("cluster_hung", "cluster_dies", "cluster_twice", "zones_claimed")


# ---------------------------------------------------------------- what agents say


def heard(w: World, name: str, report: Report) -> None:
    """An agent reports."""
    known = w.hosts.by_name.get(name)
    is_news = known is None or not known.is_connected
    before = {} if known is None else {run.run: run.name for run in known.runs.values() if _is_process(run)}
    host = w.hosts.hear(name, report, w.now)
    for run in host.runs.values():
        if _is_process(run):
            before.pop(run.run, None)
    for incarnation, cluster in before.items():
        w.hosts.watch(cluster).ended.setdefault(incarnation, w.now)
    if is_news:
        w.log("host_connected", host=name or "(own)", cores=report.cores, memory_mb=report.memory_mb)
        _end_alarm(w, f"host_lost:{name}")
    for run in host.runs.values():
        _judge_deaths(w, name, run)
    _tell_when_due(w, host)


def _is_process(run: ClusterRun) -> bool:
    return run.state != "waiting"


def lost(w: World, name: str) -> None:
    """The link to an agent is gone. Its clusters go on, as far as is known: the bus says who lives."""
    if w.hosts.lose(name, w.now) is not None:
        w.log("host_lost", "warning", host=name or "(own)")


# ---------------------------------------------------------------- restarts


def restart(w: World, cluster: str) -> bool:
    """Have a cluster's process ended in order and started again; whether there is an agent that will."""
    found = w.hosts.run_of(cluster, w.now)
    if found is None or cluster not in _wanted(w, found[0]):
        return False
    w.hosts.generations[cluster] = w.hosts.generations.get(cluster, 0) + 1
    w.log("cluster_restart_ordered", cluster=cluster, generation=w.hosts.generations[cluster])
    _tell(w, found[0])
    return True


def is_restarted(w: World, cluster: str) -> bool:
    """Whether the newest generation of a cluster runs, and is heard on the bus."""
    found = w.hosts.run_of(cluster, w.now)
    if found is None:
        return False
    run = found[1]
    is_new = run.generation >= w.hosts.generations.get(cluster, 0) and run.state == "ready"
    return is_new and w.clusters.is_alive(cluster, run.run)


def restart_process(w: World, process: str) -> bool:
    """Have the gateway or the daemon itself ended in order and started again; whether there is `up` that
    will."""
    own = w.hosts.by_name.get("")
    if own is None or not own.is_connected or all(each.name != process for each in own.report.processes):
        return False
    w.hosts.process_generations[process] = w.hosts.process_generations.get(process, 0) + 1
    w.log("process_restart_ordered", process=process, generation=w.hosts.process_generations[process])
    _tell(w, own)
    return True


def is_process_restarted(w: World, process: str) -> bool:
    """Whether the newest generation of a process of our own machine is ready."""
    own = w.hosts.by_name.get("")
    wanted = w.hosts.process_generations.get(process, 0)
    return own is not None and any(
        each.name == process and each.generation >= wanted and each.state == "ready"
        for each in own.report.processes
    )


def capacity(w: World, host: str) -> tuple[float, int] | None:
    """Return cores and memory (MB) that clusters may use on a host: as set, else as reported; None:
    unknown."""
    known, info = w.hosts.by_name.get(host), w.catalog.hosts.get(host)
    if known is None:
        return None
    cores = info.cores if info is not None and info.cores else known.report.cores
    memory_mb = info.memory_mb if info is not None and info.memory_mb else known.report.memory_mb
    return cores, memory_mb


# ---------------------------------------------------------------- two processes of one name


def is_right(w: World, cluster: str, incarnation: int) -> bool:
    """Whether a message is of the process that the cluster's agent has started, if one is known to have.

    Another one of that name is told to end, once its agent has reported again and still knows nothing of it.
    """
    watch = w.hosts.watch(cluster)
    if w.now - watch.ended.get(incarnation, w.now) > LAST_WORDS_S:
        return False  # late: its agent has seen it end
    found = w.hosts.run_of(cluster, w.now)
    if found is None:
        return True
    host, run = found
    if run.run == incarnation or run.state == "waiting":
        watch.strangers.pop(incarnation, None)
        return True
    if len(watch.strangers) >= STRANGERS and incarnation not in watch.strangers:
        watch.strangers.clear()
    since = watch.strangers.setdefault(incarnation, w.now)
    if host.heard_at - since >= STRANGER_S:
        _stand_down(w, cluster, incarnation, host.name)
        watch.strangers[incarnation] = w.now
    return False


def _stand_down(w: World, cluster: str, incarnation: int, host: str) -> None:
    where = f"by the host agent of {host}" if host else "on the world daemon's own machine"
    reason = f"Cluster {cluster} runs already, started {where}."
    w.to_cluster(cluster, bus.StandDown(cluster=cluster, incarnation=incarnation, reason=reason))
    w.log("cluster_twice", "error", cluster=cluster, incarnation=incarnation, host=host)
    trouble(
        w,
        "cluster_twice",
        cluster,
        f"A second process calls itself cluster {cluster}. It was not listened to, and told to end.",
        "Find who starts it (a unit or a shell on some machine: its log says `stood_down`) and stop that.",
    )


# ---------------------------------------------------------------- time


def step(w: World) -> None:
    """Time has passed: tell agents what to run, kill what hangs, end alarms that are over."""
    hosts = w.hosts
    stood_still = hosts.stepped_at is not None and w.now - hosts.stepped_at > STOOD_STILL_S
    if not w.is_bus_up or stood_still or hosts.stepped_at is None:
        hosts.judge_from = w.now
    hosts.stepped_at = w.now
    for host in list(hosts.by_name.values()):
        if not host.is_connected:
            _judge_lost(w, host)
            continue
        _tell_when_due(w, host)
        if w.now - host.heard_at <= FRESH_S:
            for run in host.runs.values():
                _judge_silence(w, host, run)
    for name, watch in hosts.watches.items():
        _bury(w, name, watch)
    for cluster in w.clusters.alive():
        _calm(w, cluster.name)


def _tell_when_due(w: World, host: Host) -> None:
    if w.now >= host.tell_at or host.told != _wanted(w, host):
        _tell(w, host)


def _tell(w: World, host: Host) -> None:
    wanted = _wanted(w, host)
    host.told, host.tell_at = wanted, w.now + TELL_S
    w.emit(WantClusters(host.name, wanted, {} if host.name else dict(w.hosts.process_generations)))


def _wanted(w: World, host: Host) -> dict[str, int]:
    """Return the clusters that shall run on a host, with their generations."""
    info = w.catalog.hosts.get(host.name)
    if host.name and (info is None or not info.is_enabled):
        return {}
    return {
        cluster.name: w.hosts.generations.get(cluster.name, 0)
        for cluster in w.catalog.clusters.values()
        if cluster.is_enabled and cluster.host == host.name and _is_free_for(w, cluster.name, host)
    }


def _is_free_for(w: World, cluster: str, host: Host) -> bool:
    """Whether no other process of that name lives: two would answer for the same players."""
    if cluster in host.runs:
        return True
    for other in w.hosts.by_name.values():
        run = other.runs.get(cluster) if other is not host else None
        if run is not None and (other.is_connected or w.clusters.is_alive(cluster, run.run)):
            return False
    living = w.clusters.by_name.get(cluster)
    started_by_hand = living is not None and living.is_alive and cluster not in (host.told or {})
    return not started_by_hand


def _bury(w: World, cluster: str, watch: Watch) -> None:
    """A process that its agent has seen end is dead at once, not only after seconds of silence."""
    for incarnation, at in list(watch.ended.items()):
        if w.now - at > LAST_WORDS_S and w.clusters.end(cluster, incarnation):
            recovery.cluster_lost(w, cluster, incarnation)
    while len(watch.ended) > ENDED:
        del watch.ended[next(iter(watch.ended))]


def _judge_silence(w: World, host: Host, run: ClusterRun) -> None:
    """Kill a process that its agent sees living, and that the bus has not heard for too long."""
    ready_at = host.ready_at.get(run.run)
    if run.state != "ready" or ready_at is None or not w.is_bus_up:
        return
    known = w.clusters.by_name.get(run.name)
    is_known = known is not None and known.incarnation == run.run
    heard_at, patience = (known.heard_at, HUNG_S) if known is not None and is_known else (ready_at, MUTE_S)
    silent = w.now - max(heard_at, w.hosts.judge_from)
    watch = w.hosts.watch(run.name)
    if silent <= patience or w.now < watch.not_before:
        return
    watch.not_before = w.now + KILL_PAUSES_S[min(watch.kills, len(KILL_PAUSES_S) - 1)]
    watch.kills += 1
    w.log("cluster_killed", "error", cluster=run.name, host=host.name, run=run.run, silent_s=round(silent, 1))
    w.emit(KillCluster(host.name, run.name, run.run))
    trouble(
        w,
        "cluster_hung",
        run.name,
        f"Cluster {run.name} lived but said nothing for {silent:.0f} s: it was killed and is started again.",
        "If it happens again: look at its log and the load of its machine; can it reach Redis from there?",
    )


def _judge_deaths(w: World, host: str, run: ClusterRun) -> None:
    if run.deaths < DEATHS or run.state != "waiting":
        return
    where = f" on {host}" if host else ""
    trouble(
        w,
        "cluster_dies",
        run.name,
        f"Cluster {run.name}{where} has ended {run.deaths} times in a row: {run.reason}",
        f"Look at log/zonecluster-{run.name}.log there: the cause is in its last lines.",
    )


def _judge_lost(w: World, host: Host) -> None:
    info = w.catalog.hosts.get(host.name)
    is_expected = info is not None and info.is_enabled and info.key
    if host.name and is_expected and w.now - host.lost_at >= LOST_HOST_S:
        _alarm(
            w,
            f"host_lost:{host.name}",
            f"The host agent of {host.name} has not been there for {w.now - host.lost_at:.0f} s.",
            "Is the machine up, and `manage.py hostagent` running there? Its log says why it cannot connect.",
        )


# ---------------------------------------------------------------- alarms


def trouble(w: World, kind: str, cluster: str, text: str, advice: str) -> None:
    """Raise an alarm about a cluster; it ends when there was no trouble of it for a minute."""
    watch = w.hosts.watch(cluster)
    watch.trouble_at, watch.is_calm = w.now, False
    _alarm(w, f"{kind}:{cluster}", text, advice)


def _calm(w: World, cluster: str) -> None:
    watch = w.hosts.watch(cluster)
    living = w.clusters.by_name[cluster]
    since = max(watch.trouble_at, living.alive_since)
    if watch.is_calm or w.now - since < CALM_S:
        return
    watch.is_calm, watch.kills = True, 0
    watch.strangers.clear()
    for kind in TROUBLES:
        _end_alarm(w, f"{kind}:{cluster}")


def _alarm(w: World, key: str, text: str, advice: str) -> None:
    if w.now - w.hosts.alarmed.get(key, -1e9) >= REPEAT_ALARM_S:
        w.hosts.alarmed[key] = w.now
        w.emit(RaiseAlarm(key, text, advice))


def _end_alarm(w: World, key: str) -> None:
    w.hosts.alarmed.pop(key, None)
    w.emit(EndAlarm(key))
