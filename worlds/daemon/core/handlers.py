"""Kinds of commands that kept taking too long: off on all clusters of the world until staff switches them on.

The rows say what is off (worlds/slow_handlers.py). One that was switched off just now is off here before its
row is read. What a cluster refuses is compared with it at each of its signs of life.
"""

from typing import get_args

from worlds.cost_rules import handler_alarm
from worlds.daemon.core.measuring import SwitchOff
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import RaiseAlarm
from zonecluster.protocol import bus
from zonecluster.protocol.from_client import Command

KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Command))
ROW_S = 10.0  # a row is written and read within that, while the database answers


def on_slow(w: World, m: bus.HandlerSlow) -> None:
    """A cluster has noticed one: off it is, and somebody has to look at it."""
    if m.kind not in KINDS:
        w.log("unknown_handler", "warning", cluster=m.cluster, kind=m.kind)
        return
    if m.kind in w.measured.off:
        return
    w.measured.just_off[m.kind] = w.now
    w.log(
        "handler_switched_off",
        "error",
        kind=m.kind,
        cluster=m.cluster,
        p99_ms=m.p99_ms,
        worst_ms=m.worst_ms,
        runs=m.runs,
    )
    w.emit(SwitchOff(m.kind, m.cluster, m.p99_ms, m.worst_ms, m.runs))
    text = (
        f"Commands of the kind {m.kind!r} kept taking too long on cluster {m.cluster}: of the last {m.runs}, "
        f"99 of 100 took up to {m.p99_ms:.1f} ms of CPU time, the longest {m.worst_ms:.0f} ms. "
        "They are refused on this world."
    )
    advice = "Find out why (the cluster's log, new content), then switch it on again under Slow handlers."
    w.emit(RaiseAlarm(handler_alarm(m.kind), text, advice, "urgent"))
    _tell_all(w)


def on_rows(w: World, off: frozenset[str]) -> None:
    """The rows were read."""
    measured, before = w.measured, w.measured.off
    is_first = measured.off_by_rows is None
    measured.off_by_rows = off
    for kind, since in list(measured.just_off.items()):
        if kind in off or w.now - since >= ROW_S:
            del measured.just_off[kind]
    if measured.off != before or is_first:
        _tell_all(w)


def on_alive(w: World, m: bus.ClusterAlive) -> None:
    """Tell a cluster again that refuses something else."""
    if w.measured.off_by_rows is not None and frozenset(m.handlers_off) != w.measured.off:
        w.to_cluster(m.cluster, bus.HandlersOff(sorted(w.measured.off)))


def _tell_all(w: World) -> None:
    for cluster in w.clusters.alive():
        w.to_cluster(cluster.name, bus.HandlersOff(sorted(w.measured.off)))
