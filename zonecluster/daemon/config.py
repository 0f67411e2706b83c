"""What a zone cluster process is told, read once at its start from the cluster's row."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from worlds.models import Zone, ZoneCluster
from zonecluster.hot_code import Choice
from zonecluster.protocol.netcode.wire import MAX_SERVER_ADDRESSES
from zonecluster.snapshots.encoder import DEFAULT_BYTES_PER_S


class CannotStart(RuntimeError):
    """The cluster cannot run as it is set up; the message says what to do."""


@dataclass(frozen=True)
class ClusterConfig:
    """One zone cluster. `udp_port` 0 means any free port."""

    world: str  # slug
    name: str
    udp_host: str
    udp_port: int
    public_hosts: tuple[str, ...]  # IP addresses that players use, in the order in which they try them
    max_players: int
    spawn_budget: int = 100  # creatures that appear in a tick
    packet_path: Choice = "auto"
    bytes_per_player: int = DEFAULT_BYTES_PER_S  # of snapshots, a second
    metrics_host: str | None = None  # where /metrics is served; None: nowhere
    metrics_port: int = 0  # 0: any free one
    metrics_folder: Path | None = None  # where Prometheus finds out about it; None: nowhere
    incarnation: int = 0  # as the host agent has chosen it; 0: the process chooses


def load_config(world: str, name: str) -> ClusterConfig:
    """Read the cluster's row.

    Raises: CannotStart: no such row, disabled, no content, or an address that is none.
    """
    row = ZoneCluster.objects.select_related("world").filter(world__slug=world, name=name).first()
    if row is None:
        others = ", ".join(ZoneCluster.objects.filter(world__slug=world).values_list("name", flat=True))
        raise CannotStart(
            f"World {world!r} has no cluster {name!r}; it has: {others or 'none'}. "
            "Add it in the admin under Worlds, Zone clusters, or import a world's content first."
        )
    if not row.is_enabled:
        raise CannotStart(f"Cluster {name!r} is disabled. Enable it in the admin, then start it again.")
    if not Zone.objects.filter(world__slug=world).exists():
        raise CannotStart(
            f"World {world!r} has no zones. Import its content pack first, then start the cluster."
        )
    metrics_host, metrics_port = settings.CONFIG.metrics_bind or (None, 0)
    if metrics_port:  # several clusters of a machine share the setting
        metrics_port += ZoneCluster.objects.filter(world__slug=world, name__lt=name).count()
    return ClusterConfig(
        world=world,
        name=name,
        udp_host=row.udp_host,
        udp_port=row.udp_port,
        public_hosts=public_addresses(row.public_host or row.udp_host),
        max_players=row.max_players,
        spawn_budget=row.world.spawn_budget,
        packet_path=settings.CONFIG.packet_path,
        bytes_per_player=settings.CONFIG.zone_bytes_per_player,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        metrics_folder=settings.CONFIG.state_dir / "metrics",
        incarnation=own_run(os.environ),
    )


def own_run(environment: Mapping[str, str]) -> int:
    """Return which life of the cluster this is, as its supervisor says; 0: it says nothing usable."""
    said = environment.get("WAYSTONE_RUN", "")
    is_run = said.isascii() and said.isdigit() and len(said) < 20 and int(said) < 2**63
    return int(said) if is_run else 0


def public_addresses(hosts: str) -> tuple[str, ...]:
    """Return the IP addresses of the hosts, with commas between, that players are sent to.

    Raises: CannotStart: too many, or one of them has none, or one that only means "all of mine".
    """
    names = [host.strip() for host in hosts.split(",") if host.strip()]
    if not 1 <= len(names) <= MAX_SERVER_ADDRESSES:
        raise CannotStart(
            f"A connect token holds 1 to {MAX_SERVER_ADDRESSES} public hosts, not {len(names)}."
        )
    return tuple(dict.fromkeys(public_address(name) for name in names))


def public_address(host: str) -> str:
    """Return the IP address of the host that players are sent to.

    Raises: CannotStart: it has none, or it is an address that only means "all of mine".
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise CannotStart(
            f"The cluster's host {host!r} has no address: {error}. Correct it in the admin."
        ) from error
    address = str(found[0][4][0])
    if "%" in address:
        raise CannotStart(
            f"The cluster's host {host!r} is valid on one link only (fe80::…), not for players elsewhere."
        )
    if address in ("0.0.0.0", "::"):
        raise CannotStart(
            f"The cluster listens on all addresses ({host}); set its public host in the admin, "
            "so that players can be told where to connect."
        )
    return address
