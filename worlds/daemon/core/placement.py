"""Where a zone runs: zone → instance → cluster.

One instance per zone for now (copy 1); the numbers leave room for further ones. A zone runs on its home
cluster while that is alive, else on the living cluster with the fewest players. An instance stays where it
was opened until it has been empty for a minute; then it goes home.
"""

from worlds.daemon.core.catalog import ZoneInfo
from worlds.daemon.core.clusters import FAILED_PAUSE_S, IDLE_BEFORE_MOVE_S, OPEN_REPEAT_S, Cluster, Instance
from worlds.daemon.core.state import World
from zonecluster.protocol import bus


def open_instance(w: World, zone: ZoneInfo) -> Instance | None:
    """Return an open instance of the zone, or None after asking a cluster for one: call again each tick."""
    number = zone.instance()
    row = w.clusters.instances.get(number)
    if row is None:
        cluster = choose_cluster(w, zone, number)
        if cluster is None:
            return None
        row = Instance(number, zone.slug, cluster.name, cluster.incarnation, used_at=w.now)
        w.clusters.instances[number] = row
        w.log(
            "zone_placed",
            zone=zone.slug,
            instance=number,
            cluster=cluster.name,
            home=zone.home_cluster or None,
        )
    row.used_at = w.now
    if row.is_open:
        return row
    if w.now - row.asked_at >= OPEN_REPEAT_S:
        row.asked_at = w.now
        is_again = number in w.clusters.ran
        w.to_cluster(row.cluster, bus.OpenInstance(instance=number, zone=zone.slug, is_again=is_again))
    return None


def choose_cluster(w: World, zone: ZoneInfo, number: int) -> Cluster | None:
    """Return the cluster that shall run an instance; None: no usable one is alive."""
    usable = [
        cluster
        for cluster in w.clusters.alive()
        if (info := w.catalog.clusters.get(cluster.name)) is not None
        and info.is_enabled
        and cluster.players < info.max_players
        and w.clusters.refused.get((number, cluster.name), 0.0) <= w.now
    ]
    home = next((cluster for cluster in usable if cluster.name == zone.home_cluster), None)
    return home or min(usable, key=lambda cluster: (cluster.players, cluster.name), default=None)


def on_opened(w: World, m: bus.InstanceOpened) -> None:
    """A cluster has opened an instance, or says why it cannot."""
    row = w.clusters.instances.get(m.instance)
    if row is None or (row.cluster, row.incarnation) != (m.cluster, m.incarnation):
        return
    if m.error:
        w.log(
            "instance_not_opened",
            "error",
            cluster=m.cluster,
            instance=m.instance,
            zone=row.zone,
            cause=m.error,
        )
        del w.clusters.instances[m.instance]
        w.clusters.refused[(m.instance, m.cluster)] = w.now + FAILED_PAUSE_S
        return
    row.is_open = True
    w.clusters.ran.add(m.instance)


def on_reported(w: World, cluster: Cluster) -> None:
    """Compare what a cluster says it runs with what it should run."""
    for number in cluster.instances:
        w.clusters.ran.add(number)
        zone = w.catalog.zone_of_instance(number)
        row = w.clusters.instances.get(number)
        if row is None and zone is not None:
            row = Instance(number, zone.slug, cluster.name, cluster.incarnation, True, used_at=w.now)
            w.clusters.instances[number] = row
        elif row is not None and (row.cluster, row.incarnation) == (cluster.name, cluster.incarnation):
            row.is_open = True
        else:  # it runs elsewhere by now, or its zone is gone; the cluster keeps it while somebody is in it
            w.to_cluster(cluster.name, bus.CloseInstance(instance=number))
    for row in w.clusters.instances.values():
        is_here = (row.cluster, row.incarnation) == (cluster.name, cluster.incarnation)
        if is_here and row.is_open and row.number not in cluster.instances:
            row.is_open = False  # asked for again when it is needed


def send_idle_home(w: World) -> None:
    """Close instances that run away from their living home cluster and have been empty for a while."""
    used = {stay.instance for s in w.sessions.values() for stay in (s.home, s.target) if stay is not None}
    alive = {cluster.name for cluster in w.clusters.alive()}
    for row in list(w.clusters.instances.values()):
        zone = w.catalog.zones.get(row.zone)
        if row.number in used:
            row.used_at = w.now
            continue
        is_away = zone is not None and zone.home_cluster != row.cluster and zone.home_cluster in alive
        if is_away and w.now - row.used_at > IDLE_BEFORE_MOVE_S:
            w.to_cluster(row.cluster, bus.CloseInstance(instance=row.number))
            del w.clusters.instances[row.number]
            w.log("instance_sent_home", zone=row.zone, instance=row.number, from_cluster=row.cluster)
