"""A zone cluster process under real encrypted clients. For `manage.py benchmark zone`.

Server on core 0, all clients in this process on core 1, loopback UDP. Each player walks at full speed and
sends ten inputs a second; each is sent its nearest 64, twenty times a second. Passes when clients get at
least 19 snapshots a second in the mean and 99 of 100 gaps are at most 75 ms. Keys of the result are those of
the other servers' benchmarks with the same workload, so that one table can show all.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import numpy as np

from tests.benchmark.machine import Histogram, Sample, Second, instability, rss_mb
from tests.benchmark.swarm import Swarm
from zonecluster.protocol.netcode import CONNECT_TOKEN_BYTES
from zonecluster.protocol.zone_payloads import INPUT, INPUT_HEADER, INPUT_RECORD, SNAPSHOT, SNAPSHOT_HEADER

INPUTS_PER_S = 10
PROBES = 10
PROBE_S = 0.2
INPUT_EVERY_S = 0.005  # inputs are spread evenly by sending what is due this often
IDLE_S = 0.0005
GOOD_RATE, GOOD_GAP_MS = 19.0, 75.0
PACKET = np.dtype([("header", INPUT_HEADER), ("record", INPUT_RECORD)])
ROOT = Path(__file__).resolve().parents[2]


class CannotMeasure(RuntimeError):
    """The benchmark cannot run here; the message says why."""


@dataclass(frozen=True)
class Setting:
    """One run. Seconds are of the window; `core` numbers, None: not pinned."""

    players: int
    zones: int = 1
    workload: str = "zone"  # zone: spread evenly; hotspot: half of them within 50 m; box: all in 64 m
    path: str = "auto"
    clean_seconds: int = 8
    most_seconds: int = 25
    settle_s: float = 3.0
    server_core: int | None = 0
    client_core: int | None = 1


class Server:
    """The measured process."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        tokens = folder / "tokens"
        arguments = {
            "players": setting.players,
            "zones": setting.zones,
            "workload": setting.workload,
            "path": setting.path,
            "core": setting.server_core,
            "tokens": str(tokens),
        }
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "platform", "clients/python"))
        self._log = (folder / "server.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmark.zone_server", json.dumps(arguments)],
            env={**os.environ, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "waystone.settings"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.pid = self._process.pid
        self.port = int(self._answer()["port"])
        raw = tokens.read_bytes()
        self.tokens = [raw[at : at + CONNECT_TOKEN_BYTES] for at in range(0, len(raw), CONNECT_TOKEN_BYTES)]

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):
            line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise CannotMeasure(f"The zone cluster ended: {self._log.read()[-2000:]}")
        return json.loads(line)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass
class Window:
    """What the clients saw in one second."""

    players: int
    gaps: Histogram = field(default_factory=Histogram)
    round_trips: Histogram = field(default_factory=Histogram)
    snapshots: int = 0
    snapshot_bytes: int = 0
    datagram_bytes: int = 0
    inputs: int = 0
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.players, np.int64)


class Players:
    """All clients: their inputs, and what they notice of the snapshots."""

    def __init__(self, server: Server, count: int) -> None:
        self.count = count
        self.swarm = Swarm(count, ("127.0.0.1", server.port))
        self.window: Window | None = None
        self._tokens = server.tokens
        self._last = np.zeros(count)  # arrival of each client's last snapshot; 0: none yet
        self._heading = np.random.default_rng(2).uniform(0, 2 * np.pi, count)
        self._rng = np.random.default_rng(3)
        self._seq = np.zeros(count, np.uint32)
        self._newest = np.zeros(count, np.uint32)  # tick
        self._cursor = 0
        self._due = 0.0
        self._inputs_at = monotonic()
        self._probes = np.linspace(0, count - 1, min(PROBES, count)).astype(int).tolist()
        self._asked: dict[int, tuple[int, float]] = {}  # by probe: seq, when
        self._probed_at = dict.fromkeys(self._probes, 0.0)

    def join(self, tell: Callable[[int], None], most_seconds: float = 40.0) -> float:
        """Let everybody in, some handshakes at a time; returns how long it took.

        Raises: CannotMeasure: not all got in, in time.
        """
        began, begun = monotonic(), 0
        at_once = 32 if self.count > 1000 else 16
        while begun < self.count or self.swarm.joining:
            now = monotonic()
            if now - began > most_seconds:
                connected = int(self.swarm.is_connected.sum())
                raise CannotMeasure(
                    f"Only {connected} of {self.count} players got in within {most_seconds} s."
                )
            while begun < self.count and len(self.swarm.joining) < at_once:
                self.swarm.join(begun, self._tokens[begun])
                begun += 1
            self.swarm.send_handshakes(now)
            self.step(now)
            tell(int(self.swarm.is_connected.sum()))
        return monotonic() - began

    def play(self, seconds: float) -> None:
        """Receive and send for so long."""
        end = monotonic() + seconds
        while (now := monotonic()) < end:
            self.step(now)

    def step(self, now: float) -> None:
        """Take what came, send what is due, wait a little where nothing was."""
        was_idle = True
        while (batch := self.swarm.receive()) is not None:
            self._take(*batch)
            was_idle = False
        if now - self._inputs_at >= INPUT_EVERY_S:
            self._send_inputs(now)
        elif was_idle:
            sleep(IDLE_S)

    def _take(self, numbers: np.ndarray, lengths: np.ndarray, data: np.ndarray) -> None:
        is_snapshot = (data[:, 0] == SNAPSHOT) & (lengths >= SNAPSHOT_HEADER.itemsize)
        numbers, lengths, data = numbers[is_snapshot], lengths[is_snapshot], data[is_snapshot]
        if len(numbers) == 0:
            return
        now = monotonic()
        headers = np.ascontiguousarray(data[:, : SNAPSHOT_HEADER.itemsize]).view(SNAPSHOT_HEADER)[:, 0]
        senders = np.unique(numbers)
        gaps = (now - self._last[senders]) * 1000
        is_second = self._last[senders] > 0
        self._last[senders] = now
        self._newest[numbers] = headers["tick"]
        for probe in self._asked.keys() & set(senders.tolist()):
            seq, asked_at = self._asked[probe]
            if int(headers["input_ack"][numbers == probe].max()) >= seq:
                del self._asked[probe]
                if self.window is not None:
                    self.window.round_trips.add(np.array([(now - asked_at) * 1000]))
        if (window := self.window) is not None:
            window.gaps.add(gaps[is_second])
            window.gaps.add(
                np.zeros(len(numbers) - len(senders))
            )  # two at once: the gap between them is none
            window.snapshots += len(numbers)
            window.snapshot_bytes += int(lengths.sum())
            np.add.at(window.counts, numbers, 1)

    def _send_inputs(self, now: float) -> None:
        self._due += (now - self._inputs_at) * INPUTS_PER_S * self.count
        self._inputs_at = now
        many = min(int(self._due), self.count)
        self._due = min(self._due - many, self.count)
        numbers = (self._cursor + np.arange(many)) % self.count
        self._cursor = (self._cursor + many) % self.count
        numbers = numbers[self.swarm.is_connected[numbers]]
        if len(numbers) == 0:
            return
        self._heading[numbers] += self._rng.uniform(-0.4, 0.4, len(numbers))
        self._seq[numbers] += 1
        packets = np.zeros(len(numbers), PACKET)
        packets["header"]["kind"], packets["header"]["count"] = INPUT, 1
        packets["header"]["snapshot_ack"] = self._newest[numbers]
        records = packets["record"]
        records["seq"] = self._seq[numbers]
        records["move_x"] = np.rint(np.sin(self._heading[numbers]) * 126)
        records["move_y"] = np.rint(np.cos(self._heading[numbers]) * 126)
        records["heading"] = (self._heading[numbers] * (256 / (2 * np.pi))).astype(np.int64) % 256
        self.swarm.send(numbers, packets.view(np.uint8).reshape(len(numbers), PACKET.itemsize))
        if self.window is not None:
            self.window.inputs += len(numbers)
        for probe in self._probes:
            if probe not in self._asked and now - self._probed_at[probe] >= PROBE_S and probe in numbers:
                self._asked[probe] = int(self._seq[probe]), now
                self._probed_at[probe] = now


def measure(setting: Setting, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run once and return the figures.

    Raises: CannotMeasure.
    """
    before = os.sched_getaffinity(0)
    with TemporaryDirectory() as folder:
        tell(f"{setting.players} players: starting the zone cluster")
        server = Server(setting, Path(folder))
        if setting.client_core is not None:
            os.sched_setaffinity(0, {setting.client_core})
        try:
            players = Players(server, setting.players)
            took = players.join(lambda n: tell(f"{setting.players} players: {n} have joined"))
            players.play(setting.settle_s)
            return _window(setting, server, players, took, tell)
        finally:
            os.sched_setaffinity(0, before)
            server.stop()


def _window(
    setting: Setting, server: Server, players: Players, join_s: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Play second by second until enough of them were clean."""
    server.ask("reset")
    seconds: list[tuple[Second, Window]] = []
    sample = Sample(server.pid, os.getpid())
    while len(seconds) < setting.most_seconds:
        players.window = Window(setting.players)
        bytes_before = players.swarm.bytes_received
        players.play(1.0)
        players.window.datagram_bytes = players.swarm.bytes_received - bytes_before
        after = Sample(server.pid, os.getpid())
        seconds.append((Second(sample, after, bool(seconds) and seconds[-1][0].is_calm), players.window))
        sample = after
        clean = sum(second.is_clean for second, _ in seconds)
        tell(f"{setting.players} players: second {len(seconds)}, {clean} clean")
        if clean >= setting.clean_seconds:
            break
    players.window = None
    return summary(setting, server, seconds, join_s, players)


def summary(
    setting: Setting,
    server: Server,
    seconds: list[tuple[Second, Window]],
    join_s: float,
    players: Players,
) -> dict[str, Any]:
    """Return the figures of the clean seconds; of all where there are fewer than three."""
    clean = [pair for pair in seconds if pair[0].is_clean]
    used = clean if len(clean) >= 3 else seconds
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
    report = server.ask("report")
    return {
        "test": "zone",
        "name": f"waystone-{setting.workload} {setting.players}",
        "n": setting.players,
        "zones": setting.zones,
        "clean": len(clean) >= 3,
        "clean_secs": len(clean),
        "secs": len(seconds),
        "server_cpu": mean(lambda second: second.server_cpu),
        "client_cpu": mean(lambda second: second.client_cpu),
        "foreign0": mean(lambda second: second.foreign[0]),
        "foreign1": mean(lambda second: second.foreign[1]),
        "wait_srv_ms_s": mean(lambda second: second.waited[0]),
        "wait_cli_ms_s": mean(lambda second: second.waited[1]),
        "rss_mb": round(rss_mb(server.pid)),
        "snaps_mean": round(float(rates.mean()), 2),
        "snaps_min": round(float(rates.min()), 2),
        "gap": gap,
        "ok": bool(rates.mean() >= GOOD_RATE and gap.get("p99", np.inf) <= GOOD_GAP_MS),
        "rtt": round_trips.out(),
        "bytes_per_client_s": round(
            sum(window.datagram_bytes for _, window in used) / span / setting.players
        ),
        "bytes_per_patch": round(sum(window.snapshot_bytes for _, window in used) / max(1, snapshots)),
        "inputs_per_s": round(sum(window.inputs for _, window in used) / span),
        "joins_per_s": round(setting.players / join_s, 1),
        "errors": players.swarm.lost,
        "server": server_figures(report, used),
    }


def server_figures(report: dict[str, Any], used: list[tuple[Second, Window]]) -> dict[str, Any]:
    """Return ticks of the used seconds, phases of the whole window, and what the links counted."""
    began, took = np.array(report["began"]), np.array(report["took"]) * 1000
    inside = np.zeros(len(began), bool)
    for second, _ in used:
        inside |= (began >= second.begin) & (began < second.end)
    intervals = np.diff(began) * 1000
    ticks, between = Histogram(), Histogram()
    ticks.add(took[inside])
    between.add(intervals[inside[1:]])
    links = report["links"]
    drops = {name: count for name, count in links.items() if name.startswith("drop_") and count}
    return {
        "path": report["path"],
        "tick": ticks.out(),
        "patch_interval": between.out(),
        "isr": instability(intervals[inside[1:]]),
        "phases_ms": report["phases"],
        "datagrams_lost": links.get("datagrams_lost", 0),
        "drops": drops,
        "counters": report["counters"],
    }


def largest(low: int, high: int, step: int, run: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Run between low (which holds) and high players until the largest that holds is known to `step`.

    A number that fails is tried once more, as others use the machine too. Returns: all runs, in order.
    """
    runs: list[dict[str, Any]] = []

    def holds(players: int) -> bool:
        for _ in range(2):
            runs.append(run(players))
            if runs[-1]["ok"]:
                return True
        return False

    while high - low > step:
        middle = (low + high) // 2 // step * step
        if middle <= low:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
    return runs
