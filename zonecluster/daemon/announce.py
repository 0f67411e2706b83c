"""What the cluster says of itself, unasked: that it is alive, and who stands where."""

from zonecluster.daemon.cluster import Cluster
from zonecluster.protocol.bus import ClusterAlive, Resident, Residents


def announce_alive(cluster: Cluster) -> None:
    """Send the heartbeat."""
    cluster.to_daemon(
        ClusterAlive(
            cluster=cluster.config.name,
            incarnation=cluster.incarnation,
            instances=sorted(cluster.instances),
            players=len(cluster.roster.active),
            tick_ms=round(cluster.pace.tick_ms, 3),
            dilation=round(cluster.pace.dilation, 3),
            figures=cluster.figures,
            metrics=cluster.metrics,
        )
    )


def announce_residents(cluster: Cluster) -> None:
    """Send where all players are; the daemon restores places from it after this process has died."""
    residents = []
    for player in cluster.roster:
        stand = player.instance.stand_of(player.row)
        residents.append(
            Resident(
                session=player.session,
                instance=player.instance.number,
                position=stand.position,
                heading_deg=stand.heading_deg,
                is_dirty=bool(player.is_dirty),
                stay=player.stay,
                is_frozen=player.is_frozen,
                link=player.link,
            )
        )
    cluster.to_daemon(Residents(cluster.config.name, cluster.incarnation, residents))


def announce(cluster: Cluster) -> None:
    """Send both at once."""
    announce_alive(cluster)
    announce_residents(cluster)
