"""What the machine did meanwhile, second by second, from /proc; and histograms with the peers' keys.

A second is clean when on each core others used under 10 %, or our thread there waited under 30 ms (server) or
50 ms (clients); and the second before was clean too. Only clean seconds count, if there are three of them.
"""

import os
from pathlib import Path
from time import monotonic

import numpy as np

HERTZ = os.sysconf("SC_CLK_TCK")
FOREIGN_LIMIT = 10.0  # % of a core
WAIT_LIMIT_MS = (30.0, 50.0)
BUCKETS_PER_MS = 4
TOP_MS = 5000


class CannotMeasure(RuntimeError):
    """A benchmark cannot run here; the message says why, and what to do."""


def cpu_ticks(pid: int) -> tuple[int, int]:
    """Return the CPU time of a process in its own code and in the kernel, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def run_delay_ms(pid: int) -> float:
    """Return how long the process's main thread has waited for a core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e6


def rss_mb(pid: int) -> float:
    """Return the process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def socket_drops(pid: int, port: int) -> int:
    """Return how many datagrams the kernel threw away because nobody read that UDP socket in time."""
    for name in ("udp", "udp6"):
        table = Path(f"/proc/{pid}/net/{name}")
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                return int(fields[12])
    return 0


def busy_ticks() -> list[int]:
    """Return each core's busy time, in ticks."""
    busy = []
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            values = [int(value) for value in line.split()[1:9]]
            busy.append(sum(values) - values[3] - values[4])
    return busy


class Sample:
    """The machine at one instant."""

    def __init__(self, server: int, client: int) -> None:
        self.at = monotonic()
        server_own, self.server_kernel = cpu_ticks(server)
        self.server, self.client = server_own + self.server_kernel, sum(cpu_ticks(client))
        self.busy = busy_ticks()
        self.waited = run_delay_ms(server), run_delay_ms(client)


class Second:
    """What one second of the window cost, and whether it was ours alone."""

    def __init__(self, before: Sample, after: Sample, was_clean: bool) -> None:
        self.begin, self.end = before.at, after.at
        self.seconds = after.at - before.at
        scale = 100 / HERTZ / self.seconds
        self.server_cpu = (after.server - before.server) * scale
        self.server_kernel_cpu = (after.server_kernel - before.server_kernel) * scale
        self.client_cpu = (after.client - before.client) * scale
        busy = [(after.busy[core] - before.busy[core]) * scale for core in (0, -1)]
        self.foreign = busy[0] - self.server_cpu, busy[1] - self.client_cpu
        self.waited = tuple((after.waited[i] - before.waited[i]) / self.seconds for i in (0, 1))
        self.is_calm = all(
            self.foreign[i] < FOREIGN_LIMIT or self.waited[i] < WAIT_LIMIT_MS[i] for i in (0, 1)
        )
        self.is_clean = self.is_calm and was_clean


class Histogram:
    """Milliseconds in buckets of 0.25 ms up to 5 s, and their exact maximum."""

    def __init__(self) -> None:
        self.counts = np.zeros(TOP_MS * BUCKETS_PER_MS + 1, np.int64)
        self.sum = self.max = 0.0

    def add(self, values_ms: np.ndarray) -> None:
        """Count values (m,)."""
        if len(values_ms) == 0:
            return
        values_ms = np.maximum(values_ms, 0.0)
        buckets = np.clip((values_ms * BUCKETS_PER_MS).astype(np.int64), 0, len(self.counts) - 1)
        np.add.at(self.counts, buckets, 1)
        self.sum += float(values_ms.sum())
        self.max = max(self.max, float(values_ms.max()))

    def merge(self, other: "Histogram") -> None:
        """Add another's counts."""
        self.counts += other.counts
        self.sum += other.sum
        self.max = max(self.max, other.max)

    def out(self) -> dict[str, float]:
        """Return n, mean, p50, p95, p99, max."""
        count = int(self.counts.sum())
        if not count:
            return {"n": 0}
        cumulated = np.cumsum(self.counts)
        quantiles = {
            f"p{percent}": float(np.searchsorted(cumulated, np.ceil(count * percent / 100))) / BUCKETS_PER_MS
            for percent in (50, 95, 99)
        }
        return {"n": count, "mean": round(self.sum / count, 3), **quantiles, "max": round(self.max, 2)}


def instability(intervals_ms: np.ndarray, budget_ms: float = 50.0) -> float | None:
    """Return Meterstick's instability ratio of tick intervals (m,): 0 is a perfect clock.

    t' = max(b, t); ISR = Σ |t'ᵢ − t'ᵢ₋₁| / (2 b Nₑ), Nₑ = ⌊Σ t' / b⌋.
    """
    if len(intervals_ms) < 2:
        return None
    late = np.maximum(intervals_ms, budget_ms)
    expected = int(late.sum() / budget_ms)
    return round(float(np.abs(np.diff(late)).sum() / (2 * budget_ms * expected)), 4)
