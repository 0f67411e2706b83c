"""What each zone costs: the clusters' figures, summed over their instances, a minute at a time."""

from math import isfinite

from worlds.cost_rules import Cost
from worlds.daemon.core.measuring import RecordMinute
from worlds.daemon.core.session import IN_PLAY
from worlds.daemon.core.state import World
from zonecluster.protocol import bus
from zonecluster.protocol.figures import InstanceFigures

MINUTE_S = 60.0
# Longer is no minute any more: the daemon stood still, or the machine slept. What came then says nothing.
LONGEST_S = 90.0
LONGEST_WINDOW_S = 10.0  # of a cluster's figures; they are of about 3 s


def on_alive(w: World, m: bus.ClusterAlive) -> None:
    """Add a cluster's figures to the minute, each once: they are repeated until there are new ones."""
    figures = m.figures
    if figures is None or figures.window <= 0:
        return
    known = m.incarnation, figures.ticks
    if w.measured.read.get(m.cluster) == known:
        return
    w.measured.read[m.cluster] = known
    window = min(figures.window, LONGEST_WINDOW_S)
    for instance in figures.instances:
        zone = w.catalog.zone_of_instance(instance.instance)
        if zone is not None:
            _add(w.measured.sums.setdefault(zone.number, [0.0, 0.0, 0.0]), instance, window)


def _add(sums: list[float], instance: InstanceFigures, window: float) -> None:
    for index, value in enumerate((instance.cpu_ms, instance.players, instance.commands)):
        if isfinite(value):
            sums[index] += value * window


def step(w: World) -> None:
    """Once a minute, ask for it to be kept."""
    measured = w.measured
    if measured.began_at is None:
        measured.began_at = w.now
    passed = w.now - measured.began_at
    if passed < MINUTE_S:
        return
    sums, measured.sums, measured.began_at = measured.sums, {}, w.now
    if passed <= LONGEST_S and w.is_loaded:
        players = sum(s.phase in IN_PLAY for s in w.sessions.values())
        zones = {zone: Cost(*(value / passed for value in values)) for zone, values in sums.items()}
        w.emit(RecordMinute(zones, players))
