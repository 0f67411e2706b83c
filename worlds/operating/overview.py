"""How a world is at present, for its keepers: what the master knows, and what the world says of itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from worlds.models import World
from worlds.rules import is_online, maintenance_of
from worlds.selectors import NextRestart, restart_of_report, text_of_report
from worlds.uplink.messages import ClusterReport


@dataclass(frozen=True)
class WorldState:
    """A world now. `players`: leases in force; the clusters are what the world says."""

    is_online: bool
    is_suspended: bool
    is_limited: bool
    last_report_at: datetime | None
    started_at: datetime | None
    players: int
    max_players: int
    maintenance: str | None
    is_closed_by_site: bool  # its keepers or the staff have closed it here, and can open it here
    restart: NextRestart | None
    clusters: list[ClusterReport]

    @property
    def words(self) -> str:
        """How many play, in words."""
        return f"{self.players:,} of {self.max_players:,}"


def state_of(world: World, now: datetime) -> WorldState:
    """Return how a world is. One query."""
    report: dict[str, Any] = world.report if isinstance(world.report, dict) else {}
    online = is_online(world.last_report_at, now)
    leases: Any = world  # Line.holder: this app knows no lines
    said = text_of_report(report.get("maintenance"))
    return WorldState(
        is_online=online,
        is_suspended=world.suspended_at is not None,
        is_limited=world.limited_at is not None,
        last_report_at=world.last_report_at,
        started_at=_read(report.get("started_at"), datetime) if online else None,
        players=leases.leases.filter(lease_until__gt=now).count(),
        max_players=world.max_players,
        maintenance=maintenance_of(world.maintenance_since, world.maintenance_text, said),
        is_closed_by_site=world.maintenance_since is not None,
        restart=restart_of_report(report.get("restart"), now),
        clusters=(_read(report.get("clusters"), list[ClusterReport]) or [])[:50] if online else [],
    )


def _read(said: object, kind: Any) -> Any:
    """Return what a world said, if it is of that kind; else None: it may say anything."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        return None
