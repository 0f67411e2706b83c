"""A zone cluster process under real encrypted clients. For `manage.py benchmark zone`.

Server on core 0, all clients in this process on core 1, loopback UDP. Passes when clients get at least 19
snapshots a second in the mean and 99 of 100 gaps are at most 75 ms. Keys of the result are those of the other
servers' benchmarks with the same workload, so that one table can show all. Left out: gateway, bus, database.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmark.asked_process import ROOT, AskedProcess
from tests.benchmark.machine import (
    Histogram,
    Sample,
    Second,
    instability,
    rss_mb,
    socket_drops,
)
from tests.benchmark.players import Players, Window
from tests.benchmark.views import ViewCheck
from tests.benchmark.workloads import SIZE
from zonecluster.protocol.netcode import CONNECT_TOKEN_BYTES

GOOD_RATE, GOOD_GAP_MS = 19.0, 75.0
LEAST_CLEAN = 3  # seconds
BETWEEN_TICKS = ("bus", "loop")  # phases that are no part of a tick's work
# Beyond any of these the clients may be what was measured: such a run says nothing of the server.
MOST_CLIENT_CPU = 90.0  # % of their core
MOST_LATE_MS = 10.0  # 99 of 100 datagrams were read at most so late
MOST_UNREAD = 1e-4  # of the datagrams


@dataclass(frozen=True)
class Setting:
    """One run. Seconds are of the window; `core` numbers, None: not pinned."""

    players: int
    zones: int = 1
    workload: str = "zone"  # of workloads.py
    in_c: bool = False  # the tick in C, once everybody is in: what the machine can do
    spare: int = 0  # players beyond these, admitted but left to somebody else to connect
    path: str = "auto"
    clean_seconds: int = 8
    most_seconds: int = 25
    settle_s: float = 3.0
    server_core: int | None = 0
    client_core: int | None = 1


class Server(AskedProcess):
    """The measured process."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        tokens = folder / "tokens"
        arguments = {
            "players": setting.players + setting.spare,
            "zones": setting.zones,
            "workload": setting.workload,
            "path": setting.path,
            "core": setting.server_core,
            "tokens": str(tokens),
        }
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "platform", "clients/python"))
        super().__init__(
            "zone cluster",
            ["tests.benchmark.zone_server", json.dumps(arguments)],
            {**os.environ, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "waystone.settings"},
            folder / "server.log",
        )
        self.port = int(self.answer()["port"])
        raw = tokens.read_bytes()
        self.tokens = [raw[at : at + CONNECT_TOKEN_BYTES] for at in range(0, len(raw), CONNECT_TOKEN_BYTES)]


@dataclass(frozen=True)
class Run:
    """What one window gave: its seconds, and the losses of both sockets meanwhile."""

    seconds: list[tuple[Second, Window]]
    server_drops: int
    client_drops: int
    corrected: int  # players' movements that the server corrected
    report: dict[str, Any]

    def used(self) -> list[tuple[Second, Window]]:
        """Return the clean seconds; all where there are too few of them."""
        clean = self.clean()
        return clean if len(clean) >= LEAST_CLEAN else self.seconds

    def clean(self) -> list[tuple[Second, Window]]:
        """Return the seconds in which nobody else used the cores."""
        return [pair for pair in self.seconds if pair[0].is_clean]


@contextmanager
def joined(
    setting: Setting, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Server, Players, float]]:
    """Start a zone cluster and let everybody in; gives server, players, and how long joining took, in s.

    Raises: CannotMeasure.
    """
    before = os.sched_getaffinity(0)
    with TemporaryDirectory() as folder:
        tell(f"{setting.players} players: starting the zone cluster")
        server = Server(setting, Path(folder))
        if setting.client_core is not None:
            os.sched_setaffinity(0, {setting.client_core})
        try:
            tokens = server.tokens[: setting.players]
            players = Players(tokens, server.port, check=ViewCheck(setting.players, SIZE))
            took = players.join(lambda n: tell(f"{setting.players} players: {n} have joined"))
            players.play(setting.settle_s)
            if setting.in_c:
                tell(f"{setting.players} players: the tick is C's from now on")
                server.ask("in_c")
                players.play(setting.settle_s)
            yield server, players, took
        finally:
            os.sched_setaffinity(0, before)
            server.stop()


def measure(setting: Setting, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run once and return the figures.

    Raises: CannotMeasure.
    """
    with joined(setting, tell) as (server, players, took):
        run = play_window(setting, server, players, tell)
        return summary(setting, server, run, took, players)


def play_window(setting: Setting, server: Server, players: Players, tell: Callable[[str], None]) -> Run:
    """Play second by second until enough of them were clean."""
    server.ask("reset")
    seconds: list[tuple[Second, Window]] = []
    corrections = players.corrections.copy()
    client_port = players.swarm.port
    drops = socket_drops(server.pid, server.port), socket_drops(os.getpid(), client_port)
    sample = Sample(server.pid, os.getpid())
    while len(seconds) < setting.most_seconds:
        players.window = Window(players.count)
        bytes_before = players.swarm.bytes_received
        players.play(1.0)
        players.window.datagram_bytes = players.swarm.bytes_received - bytes_before
        after = Sample(server.pid, os.getpid())
        seconds.append((Second(sample, after, bool(seconds) and seconds[-1][0].is_calm), players.window))
        sample = after
        clean = sum(second.is_clean for second, _ in seconds)
        tell(f"{players.count} players: second {len(seconds)}, {clean} clean")
        if clean >= setting.clean_seconds:
            break
    players.window = None
    return Run(
        seconds,
        socket_drops(server.pid, server.port) - drops[0],
        socket_drops(os.getpid(), client_port) - drops[1],
        int((players.corrections - corrections).sum(dtype=np.int64)),  # both count modulo 2^16
        server.ask("report"),
    )


def summary(setting: Setting, server: Server, run: Run, join_s: float, players: Players) -> dict[str, Any]:
    """Return the figures of the clean seconds; of all where there are too few of them."""
    used = run.used()
    span = sum(second.seconds for second, _ in used)
    gaps, round_trips = Histogram(), Histogram()
    for _, window in used:
        gaps.merge(window.gaps)
        round_trips.merge(window.round_trips)

    def mean(value: Callable[[Second], float]) -> float:
        return round(sum(value(second) * second.seconds for second, _ in used) / span, 1)

    rates = sum((window.counts for _, window in used), np.zeros(setting.players)) / span
    snapshots = sum(window.snapshots for _, window in used)
    gap = gaps.out()
    load = load_figures(run, players, mean(lambda second: second.client_cpu))
    holds = bool(rates.mean() >= GOOD_RATE and gap.get("p99", np.inf) <= GOOD_GAP_MS)
    return {
        "test": "zone",
        "name": name_of(setting),
        "n": setting.players,
        "zones": setting.zones,
        "clean": len(run.clean()) >= LEAST_CLEAN,
        "clean_secs": len(run.clean()),
        "secs": len(run.seconds),
        "server_cpu": mean(lambda second: second.server_cpu),
        "server_kernel_cpu": mean(lambda second: second.server_kernel_cpu),
        "client_cpu": load["cpu"],
        "foreign0": mean(lambda second: second.foreign[0]),
        "foreign1": mean(lambda second: second.foreign[1]),
        "wait_srv_ms_s": mean(lambda second: second.waited[0]),
        "wait_cli_ms_s": mean(lambda second: second.waited[1]),
        "rss_mb": round(rss_mb(server.pid)),
        "snaps_mean": round(float(rates.mean()), 2),
        "snaps_min": round(float(rates.min()), 2),
        "gap": gap,
        # None: the clients were the bottleneck, so nobody knows.
        "ok": None if load["limits"] else holds,
        "rtt": round_trips.out(),
        "bytes_per_client_s": round(
            sum(window.datagram_bytes for _, window in used) / span / setting.players
        ),
        "bytes_per_patch": round(sum(window.snapshot_bytes for _, window in used) / max(1, snapshots)),
        "whole_snapshots": sum(window.whole for _, window in used),
        "inputs_per_s": round(sum(window.inputs for _, window in used) / span),
        "corrections": run.corrected,
        "joins_per_s": round(setting.players / join_s, 1),
        "errors": players.swarm.lost,
        "load": load,
        "views": players.check.out() if players.check is not None else {},
        "server": server_figures(run),
    }


def name_of(setting: Setting) -> str:
    """Return a name that the peers' table sorts by: family, players, and zones where there are several."""
    if setting.zones > 1:
        return f"waystone-zones {setting.players}x{setting.zones}"
    path = "-in-C" if setting.in_c else "" if setting.path == "auto" else f"-{setting.path}"
    return f"waystone-{setting.workload}{path} {setting.players}"


def load_figures(run: Run, players: Players, cpu: float) -> dict[str, Any]:
    """Return how well the clients did their own part, and in `limits` where they were the bottleneck."""
    late = Histogram()
    for _, window in run.used():
        late.merge(window.lateness)
    snapshots = sum(window.snapshots for _, window in run.seconds)
    lateness = late.out()
    limits = []
    if cpu > MOST_CLIENT_CPU:
        limits.append(f"the clients used {cpu:.0f} % of their core")
    if lateness.get("p99", 0.0) > MOST_LATE_MS:
        limits.append(f"the clients read up to {lateness['p99']} ms late (p99)")
    if run.client_drops > MOST_UNREAD * max(snapshots, 1):
        limits.append(f"the clients left {run.client_drops} datagrams unread")
    return {
        "cpu": cpu,
        "late": lateness,
        "unread": run.client_drops,
        "not_sent": players.swarm.lost,
        "limits": limits,
    }


def server_figures(run: Run) -> dict[str, Any]:
    """Return ticks of the used seconds by wall clock and by CPU, and what the links counted."""
    report = run.report
    began, took = np.array(report["began"]), np.array(report["took"]) * 1000
    inside = np.zeros(len(began), bool)
    for second, _ in run.used():
        inside |= (began >= second.begin) & (began < second.end)
    intervals = np.diff(began) * 1000
    ticks, between = Histogram(), Histogram()
    ticks.add(took[inside])
    between.add(intervals[inside[1:]])
    phases = np.array(report["phases_ms"]).reshape(-1, len(report["phase_names"]))
    of_phases = phases[inside[-len(phases) :]] if len(phases) else phases
    in_tick = [name not in BETWEEN_TICKS for name in report["phase_names"]]
    links = report["links"]
    drops = {name: count for name, count in links.items() if name.startswith("drop_") and count}
    return {
        "path": report["path"],
        "tick": ticks.out(),
        "work": quantiles(of_phases[:, in_tick].sum(axis=1)),
        "patch_interval": between.out(),
        "isr": instability(intervals[inside[1:]]),
        "over_100_ms": int(np.count_nonzero(took[inside] > 100)),
        "phases_ms": {
            name: quantiles(column) for name, column in zip(report["phase_names"], of_phases.T, strict=True)
        },
        "unread": run.server_drops,
        "datagrams_lost": links.get("datagrams_lost", 0),
        "drops": drops,
        "counters": report["counters"],
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Return mean, p50, p99 and max of (n,) ms, to the µs."""
    if len(values) == 0:
        return {}
    p50, p99 = np.percentile(values, (50, 99))
    found = {"mean": values.mean(), "p50": p50, "p99": p99, "max": values.max()}
    return {name: round(float(value), 3) for name, value in found.items()}
