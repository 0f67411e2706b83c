"""Where an instance runs: instance → cluster. Which copy of a zone somebody goes into: instances.py.

A first copy runs where it was moved to, else on its home cluster, while that is alive; all others on the
living cluster with the fewest players. An instance stays where it was opened. When it has been empty for a
minute, further copies, and those of an alliance, are closed; a first copy away from home goes home.
"""

from worlds.daemon.core import instances
from worlds.daemon.core.catalog import COPIES, ZoneInfo
from worlds.daemon.core.clusters import FAILED_PAUSE_S, IDLE_BEFORE_MOVE_S, OPEN_REPEAT_S, Cluster, Instance
from worlds.daemon.core.session import Session
from worlds.daemon.core.state import World
from zonecluster.protocol import bus


def open_instance(w: World, zone: ZoneInfo, s: Session | None = None) -> Instance | None:
    """Return the open instance of a zone for a player, or None after asking for one: call each tick."""
    number = instances.choose_copy(w, zone, s)
    if number is None:
        return None
    row = w.clusters.instances.get(number)
    if row is None:
        cluster = choose_cluster(w, zone, number)
        if cluster is None:
            return None
        owner = instances.owner_of(zone, s)
        row = Instance(number, zone.slug, cluster.name, cluster.incarnation, used_at=w.now, owner=owner)
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
    if _is_about_to_stir(w, row):
        return None  # by its move: opened plainly, it would lose what was moved
    if w.now - row.asked_at >= OPEN_REPEAT_S:
        row.asked_at = w.now
        is_again = number in w.clusters.ran
        w.to_cluster(row.cluster, bus.OpenInstance(instance=number, zone=zone.slug, is_again=is_again))
    return None


def _is_about_to_stir(w: World, row: Instance) -> bool:
    """Whether an instance has been moved where it is, and that cluster has yet to activate its copy."""
    move, cluster = w.moves.get(row.number), w.clusters.by_name.get(row.cluster)
    is_moved_here = move is not None and _is_at(row, (move.target, move.target_incarnation))
    return is_moved_here and cluster is not None and row.number in cluster.vacant


def choose_cluster(w: World, zone: ZoneInfo, number: int) -> Cluster | None:
    """Return the cluster that shall run an instance; None: no usable one is alive."""
    usable = [cluster for cluster in w.clusters.alive() if is_usable(w, cluster, number)]
    running = next((each for each in usable if number in each.instances - each.vacant), None)
    if running is not None:  # left there by a move, or by a daemon that is dead, with who is in it
        return running
    wanted = w.clusters.placed.get(number, zone.home_cluster)
    if number == zone.instance() and not zone.is_by_alliance:
        home = next((cluster for cluster in usable if cluster.name == wanted), None)
        if home is not None:
            return home
    return min(usable, key=lambda cluster: (cluster.players, cluster.name), default=None)


def is_usable(w: World, cluster: Cluster, number: int) -> bool:
    """Whether a living cluster may be given an instance."""
    info = w.catalog.clusters.get(cluster.name)
    return (
        info is not None
        and info.is_enabled
        and cluster.name not in w.clusters.emptying
        and cluster.players < info.max_players
        and w.clusters.refused.get((number, cluster.name), 0.0) <= w.now
    )


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
    here = (cluster.name, cluster.incarnation)
    w.clusters.split = {each for each in w.clusters.split if each[1] != cluster.name}
    for number in cluster.instances:
        w.clusters.ran.add(number)
        zone = w.catalog.zone_of_instance(number)
        row = w.clusters.instances.get(number)
        move = w.moves.get(number)
        if move is not None and here == (move.target, move.target_incarnation) and not _is_at(row, here):
            continue  # it is being got ready there
        if zone is None:
            w.to_cluster(cluster.name, bus.CloseInstance(instance=number))
        elif number in cluster.vacant and not _is_at(row, here):
            w.to_cluster(cluster.name, bus.CloseInstance(instance=number))  # of a move that is over
        elif row is None or _is_better_here(w, cluster, row):
            row = Instance(number, zone.slug, *here, True, used_at=w.now)
            w.clusters.instances[number] = row
        elif _is_at(row, here):
            row.is_open = number not in cluster.vacant  # a vacant one is asked for once it is needed
        else:  # it runs elsewhere by now; the cluster keeps it while somebody is in it
            w.clusters.split.add((number, cluster.name))
            if not _is_inhabited(w, number, cluster):
                w.to_cluster(cluster.name, bus.CloseInstance(instance=number))
    for row in w.clusters.instances.values():
        if _is_at(row, here) and row.is_open and row.number not in cluster.instances:
            row.is_open = False  # asked for again when it is needed


def _is_at(row: Instance | None, here: tuple[str, int]) -> bool:
    return row is not None and (row.cluster, row.incarnation) == here


def _is_better_here(w: World, cluster: Cluster, row: Instance) -> bool:
    """Whether an instance that two clusters run, as a dead daemon has left it, goes on here.

    Where it was stilled for a move that nobody knows of any more it has been handed over to the other.
    """
    there = w.clusters.by_name.get(row.cluster)
    is_known = row.number in w.moves or there is None or there.name == cluster.name
    return not is_known and row.number in there.exported and row.number not in cluster.exported  # type: ignore[union-attr]


def _is_inhabited(w: World, number: int, cluster: Cluster) -> bool:
    stays = (stay for s in w.sessions.values() for stay in (s.home, s.target) if stay is not None)
    return any(stay.instance == number and stay.cluster == cluster.name for stay in stays)


def close_idle(w: World) -> None:
    """Close what has been empty for a while: copies, and instances away from their living home cluster."""
    used = {stay.instance for s in w.sessions.values() for stay in (s.home, s.target) if stay is not None}
    alive = {cluster.name for cluster in w.clusters.alive()}
    for row in list(w.clusters.instances.values()):
        zone = w.catalog.zones.get(row.zone)
        if row.number in used or row.number in w.moves:
            row.used_at = w.now
            continue
        if zone is None or w.now - row.used_at <= IDLE_BEFORE_MOVE_S:
            continue
        home = w.clusters.placed.get(row.number, zone.home_cluster)
        is_away = home != row.cluster and home in alive and home not in w.clusters.emptying
        is_further = row.number % COPIES != 1 or zone.is_by_alliance
        if is_away or is_further:
            w.to_cluster(row.cluster, bus.CloseInstance(instance=row.number))
            del w.clusters.instances[row.number]
            w.log("instance_closed_empty", zone=row.zone, instance=row.number, from_cluster=row.cluster)
