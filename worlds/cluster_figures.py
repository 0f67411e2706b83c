"""How a zone cluster keeps time, drawn for the admin: from the row that the world daemon renews every 3 s."""

from datetime import datetime

import msgspec
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from worlds.models import Zone, ZoneCluster
from worlds.rules import COPIES, is_online
from zonecluster.protocol.figures import ClusterFigures, Consumer, InstanceFigures, PhaseFigures

TICK_MS = 50.0
FULL_CORE_MS = 900.0  # of CPU time in a second: little is left
SHOWN_INSTANCES = 20
LEAST_SCALE_MS = 1.0  # of the bars: an idle cluster's phases are not drawn as if they were long


def figures_of(cluster: ZoneCluster) -> ClusterFigures | None:
    """Return what the cluster last said of itself; None: nothing yet, or not in a form that is known."""
    try:
        return msgspec.convert(cluster.status.get("figures"), ClusterFigures | None)
    except msgspec.ValidationError:  # of a daemon of another release
        return None


def figures_panel(cluster: ZoneCluster, now: datetime) -> SafeString:
    """Return the panel, which renews itself."""
    figures = figures_of(cluster)
    seen_at = cluster.last_seen_at
    context = {
        "cluster": cluster,
        "now": now,
        "is_alive": seen_at is not None and is_online(seen_at, now),
        "age_s": round((now - seen_at).total_seconds()) if seen_at else None,
        "status": cluster.status,
        "figures": figures,
        "tiles": _tiles(cluster, figures) if figures else [],
        "phases": _bars(figures.phases) if figures else [],
        "drops": _drops(figures) if figures else [],
        "consumers": _consumers(figures) if figures else [],
        "instances": _instances(cluster, figures) if figures else [],
    }
    return SafeString(render_to_string("admin/worlds/cluster_figures.html", context))


def _tiles(cluster: ZoneCluster, figures: ClusterFigures) -> list[tuple[str, str, str, bool]]:
    """Return (title, value, note, whether it is worrying) of the large numbers."""
    dilation = _number(cluster.status.get("dilation"), 1.0)
    players = round(_number(cluster.status.get("players"), 0))
    return [
        ("Players", f"{players:,}", f"of {cluster.max_players:,}; {figures.entities:,} entities", False),
        ("Time", f"{dilation:.0%}", "of full speed", dilation < 0.95),
        (
            "Tick, median",
            f"{figures.tick_p50_ms:.1f} ms",
            f"p99 {figures.tick_p99_ms:.1f}, longest {figures.tick_max_ms:.1f}, of {TICK_MS:.0f}",
            figures.tick_p99_ms > TICK_MS,
        ),
        (
            "Interval, p99",
            f"{figures.interval_p99_ms:.1f} ms",
            f"instability {figures.instability:.4f}; late p99 {figures.late_p99_ms:.1f} ms",
            figures.interval_p99_ms > 1.5 * TICK_MS / dilation,
        ),
        (
            "Sent to a player",
            f"{figures.sent_bytes_per_player_s / 1000:.1f} kB/s",
            f"{figures.received_bytes_per_player_s / 1000:.1f} kB/s received",
            False,
        ),
        (
            "CPU time",
            f"{figures.cpu_ms / 10:.1f} %",
            f"of a core; {figures.unassigned_ms / 10:.1f} % is nobody's; "
            f"{figures.budget_refusals:,} commands refused for it",
            figures.cpu_ms > FULL_CORE_MS,
        ),
        ("Ticks skipped", f"{figures.skipped_ticks:,}", f"of {figures.ticks:,} since the start", False),
    ]


def _drops(figures: ClusterFigures) -> list[tuple[str, str]]:
    """Return (reason, count), the most frequent first."""
    return [
        (reason, f"{count:,}") for reason, count in sorted(figures.drops.items(), key=lambda item: -item[1])
    ]


def _consumers(figures: ClusterFigures) -> list[tuple[Consumer, str]]:
    """Return the dearest players, each with its share of the process's CPU time."""
    return [(consumer, f"{consumer.share:.1%}") for consumer in figures.consumers]


def _instances(cluster: ZoneCluster, figures: ClusterFigures) -> list[tuple[InstanceFigures, str]]:
    """Return the dearest instances, each with the name of its zone."""
    dearest = sorted(figures.instances, key=lambda each: -each.cpu_ms)[:SHOWN_INSTANCES]
    numbers = {each.instance // COPIES for each in dearest}
    names = dict(Zone.objects.filter(world=cluster.world, pk__in=numbers).values_list("pk", "name"))
    return [(each, names.get(each.instance // COPIES, "a zone that is gone")) for each in dearest]


def _bars(phases: list[PhaseFigures]) -> list[tuple[PhaseFigures, float, float]]:
    """Return each phase with the lengths of its bars, 0..100."""
    scale_ms = max([LEAST_SCALE_MS, *(phase.p99_ms for phase in phases)])
    return [
        (phase, round(100 * phase.p50_ms / scale_ms, 1), round(100 * phase.p99_ms / scale_ms, 1))
        for phase in phases
    ]


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else otherwise
