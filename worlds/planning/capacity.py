"""What a cluster and a machine can do, as the planner counts it. Pure."""

THREAD_MS = (
    800.0  # CPU ms/s that the one thread of a cluster may spend before game time slows down, with room
)
LEAST_MS = 50.0  # a cluster that spends nearly all on itself can still take this much
MACHINE_SHARE = 0.85  # of the cores of a machine
OWN_CORES = 0.5  # of the world daemon's machine are kept for it, the gateway and the database
CLUSTER_MB = 400.0  # a cluster process without zones: Python, numba, its tables
INSTANCE_MB = 4.0
PLAYER_MB = 0.05
UNKNOWN_CORES = 2.0  # of a machine that has not said


def cluster_capacity(unassigned_ms: float) -> float:
    """Return what a cluster can spend on zones, CPU ms/s.

    Args: unassigned_ms: what it spends on neither zones nor players.
    """
    return max(THREAD_MS - unassigned_ms, LEAST_MS)


def machine_capacity(cores: float | None, *, is_own: bool) -> float:
    """Return what all clusters of a machine can spend, CPU ms/s. `is_own`: the world daemon is on it."""
    usable = (cores or UNKNOWN_CORES) - (OWN_CORES if is_own else 0.0)
    return max(usable * 1000.0 * MACHINE_SHARE, LEAST_MS)


def instance_memory(players: float) -> float:
    """Return what an instance takes, MB."""
    return INSTANCE_MB + PLAYER_MB * players
