"""What goes wrong with the machines of a world: deaths, pauses, snapshots, full disks, refusals."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from worlds.daemon.core.events import Answered, Unreachable

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

LONG_S, SHORT_S, OUTAGE_S = 200.0, 8.0, 240.0


def begin(world: SimulatedWorld) -> None:
    """Let trouble strike a world from now on."""
    watch, slug = world.sim.chaos.watch, world.slug
    for name in world.clusters:
        watch("cluster_pause", f"{slug}/{name}", lambda force, name=name: pause_cluster(world, name, force))
        watch("cluster_death", f"{slug}/{name}", lambda force, name=name: kill_cluster(world, name, force))
    watch("gateway_death", slug, lambda force: kill_gateway(world))
    watch("disk_full", slug, lambda force: fill_disk(world, force))
    watch("refusal", slug, lambda force: refuse(world, force))
    watch("daemon_pause", slug, lambda force: pause_daemon(world, force))
    watch("daemon_death", slug, lambda force: kill_daemon(world, force))
    watch("daemon_restored", slug, lambda force: restore_daemon(world, force))


def end(world: SimulatedWorld) -> None:
    """What is paused goes on; a restored machine is started afresh."""
    if world.sim.now < world.paused_until:
        world.paused_until = world.sim.now
        world.resume_daemon()
    if world.is_restored:
        start_afresh(world)


def is_running(world: SimulatedWorld) -> bool:
    return world.core is not None and world.sim.now >= world.paused_until


def length(force: float, share: float, longest: float) -> float:
    """Return seconds: short ones, and for a share of the cases long ones."""
    return SHORT_S * force if force < 1.0 - share else longest * force


def pause_cluster(world: SimulatedWorld, name: str, force: float) -> bool:
    cluster = world.clusters[name]
    if cluster is None:
        return False
    cluster.paused_until = world.sim.now + length(force, 0.25, LONG_S)
    return True


def kill_cluster(world: SimulatedWorld, name: str, force: float) -> bool:
    is_there = world.clusters[name] is not None
    world.kill_cluster(name, 0.5 + 6 * force)
    return is_there


def kill_gateway(world: SimulatedWorld) -> bool:
    for player in world.gateway.players.values():
        player.link = None
    world.open_gateway()
    return True


def fill_disk(world: SimulatedWorld, force: float) -> bool:
    seconds = 20 * force if force < 0.5 else OUTAGE_S * force
    world.disk.full_until = max(world.disk.full_until, world.sim.now + seconds)
    return True


def refuse(world: SimulatedWorld, force: float) -> bool:
    seconds = 20 * force if force < 0.5 else OUTAGE_S * force
    world.refusing_until = max(world.refusing_until, world.sim.now + seconds)
    return True


def pause_daemon(world: SimulatedWorld, force: float) -> bool:
    if not is_running(world):
        return False
    world.pause_daemon(length(force, 0.33, LONG_S))
    return True


def kill_daemon(world: SimulatedWorld, force: float) -> bool:
    if not is_running(world):
        return False
    if world.is_restored:
        start_afresh(world)
    else:
        world.kill_daemon(1 + 5 * force)
    return True


def restore_daemon(world: SimulatedWorld, force: float) -> bool:
    """The machine will go back in some seconds to the snapshot that is taken now."""
    if not is_running(world) or world.is_restored:
        return False
    snapshot = deepcopy(world.core.world), world.disk.snapshot()
    world.sim.after(0.5 + 9.5 * force, go_back, world, world.generation, snapshot, force)
    return True


def go_back(world: SimulatedWorld, generation: int, snapshot: tuple[object, bytes], force: float) -> None:
    """The machine goes back to a snapshot, its database does not.

    People notice it within a minute, and start the whole world again: clusters may have been told to
    admit players with states of the snapshot, and a daemon that comes later cannot see that.
    """
    if generation != world.generation or not is_running(world) or world.sim.chaos.is_over:
        return
    world.core.world, data = snapshot
    world.disk.restore(data)
    world.is_restored = True
    world.sim.ledger.go_back(world.life, set(world.core.world.exchanges))
    for call in list(world.core.world.calls):
        world.feed(Answered(call, Unreachable("the connection is of another time")))
    world.tick_in(0.25)
    world.sim.after(5 + 55 * force, _notice, world, generation)


def _notice(world: SimulatedWorld, generation: int) -> None:
    if generation == world.generation and world.is_restored:
        start_afresh(world)


def start_afresh(world: SimulatedWorld) -> None:
    """Start daemon and clusters anew."""
    world.kill_daemon(2.0)
    for name in list(world.clusters):
        world.kill_cluster(name, 1.0)
