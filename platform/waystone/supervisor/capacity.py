"""What this machine has for zone clusters: cores and memory, within the limits of a container. Linux only."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMORY = Path("/proc/meminfo")
MB = 2**20


def cores(cgroup: Path = CGROUP) -> float:
    """Return how many cores this process may use."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit() and int(period) > 0:
        return max(0.01, min(allowed, int(quota) / int(period)))
    return allowed


def memory_mb(cgroup: Path = CGROUP, meminfo: Path = MEMORY) -> tuple[int, int]:
    """Return the memory that may be used, and what of it is free now, in MB; 0 if that cannot be read."""
    figures = {}
    for line in _read(meminfo).splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            figures[name] = int(words[0]) * 1024
    total, free = figures.get("MemTotal", 0), figures.get("MemAvailable", 0)
    limit, used = _read(cgroup / "memory.max").strip(), _read(cgroup / "memory.current").strip()
    if limit.isdigit() and int(limit) < total:
        total = int(limit)
        if used.isdigit():
            free = min(free, max(0, total - int(used)))
    return total // MB, free // MB


def load() -> float:
    """Return the load of the last minute."""
    return os.getloadavg()[0]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
