"""A cluster that has zone instances which run elsewhere: told to close them, and an alarm if it does not.

Nobody is sent to them: where an instance runs is the daemon's to say. `placement.on_reported` finds them and
has them
closed; here is seen who keeps them all the same, with none of our players in them and no move that would
explain it.
"""

from worlds.daemon.core import moves, supervision
from worlds.daemon.core.state import World

CLAIM_S = 10.0  # an instance is closed in one tick; the bus may lose some of the orders


def judge(w: World) -> None:
    """Look for claims that last."""
    for name, watch in w.hosts.watches.items():
        watch.claims = {
            number: at for number, at in watch.claims.items() if (number, name) in w.clusters.split
        }
    for number, name in w.clusters.split:
        if moves.is_involved(w, number, name) or _is_inhabited(w, number, name):
            w.hosts.watch(name).claims.pop(number, None)
            continue
        since = w.hosts.watch(name).claims.setdefault(number, w.now)
        if w.now - since >= CLAIM_S:
            _complain(w, number, name)


def _complain(w: World, number: int, cluster: str) -> None:
    zone, row = w.catalog.zone_of_instance(number), w.clusters.instances.get(number)
    where = row.cluster if row is not None else "no cluster"
    supervision.trouble(
        w,
        "zones_claimed",
        cluster,
        f"Cluster {cluster} keeps instance {number} of {zone.slug if zone else 'no zone'}, which runs on "
        f"{where}.",
        "Nobody is sent there. Restart the cluster; if it is of another version of Waystone, bring both to "
        "the same.",
    )


def _is_inhabited(w: World, number: int, cluster: str) -> bool:
    stays = (stay for s in w.sessions.values() for stay in (s.home, s.target) if stay is not None)
    return any(stay.instance == number and stay.cluster == cluster for stay in stays)
