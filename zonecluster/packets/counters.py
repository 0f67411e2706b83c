"""Names of the counters that compiled code keeps, by index into one array."""

from zonecluster.protocol.netcode import Drop, Statistics

DROPS = tuple(Drop)
SUMS = (
    "datagrams_received",
    "bytes_received",
    "stranger_bytes_received",
    "payloads_received",
    "datagrams_sent",
    "bytes_sent",
    "payloads_sent",
)
COUNTERS = len(DROPS) + len(SUMS)


def index_of(name: str) -> int:
    """Return the place of a counter: a Drop's value, or one of SUMS."""
    return len(DROPS) + SUMS.index(name) if name in SUMS else DROPS.index(Drop(name))


def fold(counts, statistics: Statistics) -> None:
    """Move the counts (COUNTERS,) i8 into the core's statistics."""
    for drop, count in zip(DROPS, counts.tolist(), strict=False):
        statistics.drops[drop] += count
    for name, count in zip(SUMS, counts[len(DROPS) :].tolist(), strict=True):
        setattr(statistics, name, getattr(statistics, name) + count)
    counts[:] = 0
