"""What a report tells for the reachability check: connect tokens of zone clusters, how many zones run."""

from worlds.daemon.core import placement
from worlds.daemon.core.state import World

MOST = 4  # clusters that are named
GOOD_FOR_S = 30.0  # of the 45 s that a token lives: it has to travel


def offered(w: World) -> list[bytes]:
    """Return young connect tokens of living clusters, if the master asked for them."""
    if not w.wants_doors:
        return []
    entry = w.catalog.free_entry_zone()
    if entry is not None:  # zones open for players only: here one opens to show that it can
        placement.open_instance(w, entry)
    clusters = sorted(w.clusters.by_name.values(), key=lambda cluster: cluster.name)
    young = [c.door for c in clusters if c.door and c.is_alive and w.now - c.door_at < GOOD_FOR_S]
    return young[:MOST]


def open_zones(w: World) -> int:
    """Return how many zones have a copy that players can be let into."""
    alive = {name for name, cluster in w.clusters.by_name.items() if cluster.is_alive}
    return len({one.zone for one in w.clusters.instances.values() if one.is_open and one.cluster in alive})
