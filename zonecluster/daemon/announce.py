"""What the cluster says of itself, unasked: that it is alive, and who stands where."""

from collections.abc import Sequence

import numpy as np

from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.players import Player
from zonecluster.protocol.bus import ClusterAlive, Resident, Residents

ROUND_S = 1.0  # everybody is told of once in so long
PART_PLAYERS = 50  # fewer are told of at once ...
MOST_PARTS = 20  # ... more in parts, about one a tick


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
            handlers_off=sorted(cluster.handlers.off),
            vacant=sorted(cluster.copies.vacant),
            exported=sorted(cluster.copies.exported),
            door=cluster.links.door_when_due(),
        )
    )


def residents(cluster: Cluster, players: Sequence[Player]) -> list[Resident]:
    """Return where players are now."""
    tables, rows = cluster.tables, np.array([player.row for player in players], np.int64)
    has_walked = tables.metres_walked[rows] >= 1
    columns = zip(
        players,
        tables.position[rows].tolist(),
        (tables.heading_deg[rows].astype(np.float64) % 360).tolist(),
        tables.is_frozen[rows].tolist(),
        has_walked.tolist(),
        tables.group[rows].tolist(),
        strict=True,
    )
    return [
        Resident(
            session=player.session,
            instance=player.instance.number,
            position=(x, y, z),
            heading_deg=heading_deg,
            is_dirty=player.has_unsaved or (is_changed and player.held is None),
            stay=player.stay,
            is_frozen=is_frozen,
            link=player.link,
            is_withheld=player.is_withheld,
            is_silenced=bool(player.silenced),
            group=group,
            after=player.after,
            held=player.held.exchange if player.held is not None else None,
            line=player.line,
            serial=player.serial,
            level_cap=player.level_cap,
        )
        for player, (x, y, z), heading_deg, is_frozen, is_changed, group in columns
    ]


class Rounds:
    """Tells where all players are, once a second; the daemon restores places from it after this process died.

    Many players are told of in parts, spread over the second, so that no tick has to tell of all.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._began_at = float("-inf")
        self._number = self._sent = self._parts = 0
        self._players: list[Player] = []

    def tell_when_due(self, now: float) -> None:
        """Send the parts that are due by now, monotonic seconds."""
        if self._sent == self._parts and now - self._began_at >= ROUND_S:
            self._began_at = now
            self._players = list(self._cluster.roster)
            self._parts = min(-(-len(self._players) // PART_PLAYERS), MOST_PARTS) or 1
            self._number, self._sent = self._number + 1, 0
        while self._sent < self._parts and now - self._began_at >= ROUND_S * self._sent / self._parts:
            self._tell_part()

    def _tell_part(self) -> None:
        """Send the next part: those of it who are still here."""
        roster = self._cluster.roster
        mine = self._players[self._sent :: self._parts]
        here = [player for player in mine if roster.at_row(player.row) is player]
        config = self._cluster.config
        self._cluster.to_daemon(
            Residents(
                config.name,
                self._cluster.incarnation,
                residents(self._cluster, here),
                self._number,
                self._sent,
                self._parts,
            )
        )
        self._sent += 1


def announce(cluster: Cluster) -> None:
    """Send both at once, everybody in one part."""
    announce_alive(cluster)
    everybody = residents(cluster, list(cluster.roster))
    cluster.to_daemon(Residents(cluster.config.name, cluster.incarnation, everybody))
