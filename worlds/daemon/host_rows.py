"""What the daemon writes down of machines and of its own door. Sync; called by the shell's writer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from worlds.alarms import end_alarm, raise_alarm
from worlds.daemon.core.catalog import HostInfo
from worlds.daemon.core.hosts import Host as Heard
from worlds.models import Alarm, Host, World

SECOND_DAEMON = "two_daemons"
ALARM_ENDS = timedelta(minutes=10)  # a supervisor tries again within half a minute


@dataclass(frozen=True)
class HostStatus:
    """What the admin and the planner see of a host; "": the daemon's own machine."""

    name: str
    seen_at: datetime
    status: dict[str, Any]


@dataclass(frozen=True)
class DoorStatus:
    """Where agents of other machines find the door: "host:port", and the certificate's fingerprint, hex; or
    ""."""

    address: str
    fingerprint: str


def status_of(heard: Heard, seen_at: datetime) -> HostStatus:
    """Return what is written down of a host that is connected."""
    status = {
        "cores": heard.report.cores,
        "memory_mb": heard.report.memory_mb,
        "free_memory_mb": heard.report.free_memory_mb,
        "load": round(heard.report.load, 2),
        "clusters": [_cluster(each) for each in heard.report.clusters],
    }
    return HostStatus(heard.name, seen_at, status)


def _cluster(run: msgspec.Struct) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(run)
    return {**row, "run": str(row["run"])}  # JavaScript has no integers so large


def write_host(world: World, effect: HostStatus | DoorStatus) -> None:
    """Write it."""
    match effect:
        case DoorStatus(address, fingerprint):
            _merge(world, {"door": {"address": address, "fingerprint": fingerprint}})
        case HostStatus("", seen_at, status):
            _merge(world, {**status, "seen_at": seen_at.isoformat()})
        case HostStatus(name, seen_at, status):
            Host.objects.filter(world=world, name=name).update(last_seen_at=seen_at, status=status)


def note_second_daemon(world: World, where: str, now: datetime) -> None:
    """Tell staff that a second daemon of this world was started, and refused."""
    raise_alarm(
        key=SECOND_DAEMON,
        text=f"A second world daemon of {world.slug} was started ({where}) and refused: one runs.",
        advice="Stop one of the two deployments that run this world. The second one did nothing.",
        now=now,
        world=world,
    )


def end_second_daemon(world: World, now: datetime) -> None:
    """End that alarm once nobody has tried again for a while."""
    last = Alarm.objects.filter(
        world=world, key=SECOND_DAEMON, ended_at__isnull=True, last_at__lt=now - ALARM_ENDS
    )
    if last.exists():
        end_alarm(key=SECOND_DAEMON, now=now, world=world)


def _merge(world: World, fields: dict[str, Any]) -> None:
    status = World.objects.values_list("host_status", flat=True).get(pk=world.pk)
    World.objects.filter(pk=world.pk).update(host_status={**status, **fields})


def load_hosts(world: World) -> dict[str, HostInfo]:
    """Read the machines that may run clusters of a world, by name."""
    end_second_daemon(world, datetime.now(UTC))
    return {
        row.name: HostInfo(row.name, row.is_enabled, row.cores, row.memory_mb, bytes(row.public_key or b""))
        for row in Host.objects.filter(world=world)
    }
