"""One tick of the cluster, step by step: links, inputs, commands, simulation, snapshots. For the loop."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import structlog

from zonecluster.daemon.announce import announce_alive, announce_residents
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.packets.arrivals import Arrivals, no_arrivals
from zonecluster.protocol.bus import PortalEntered
from zonecluster.protocol.netcode import Connected, Disconnected
from zonecluster.simulation.inputs import MAX_INPUT_BYTES, decode_input_matrix
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.snapshots import Clock

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 0.5
RESIDENTS_EVERY_S = 1.0

_Result = TypeVar("_Result")


class Ticks:
    """The steps of a tick, each a method. `run` is all of them in order."""

    def __init__(self, cluster: Cluster, queues: CommandQueues) -> None:
        self._cluster = cluster
        self._queues = queues
        self._alive_at = self._residents_at = float("-inf")

    def run(self, now: float) -> None:
        """Do one tick; `now` is monotonic seconds. A step that fails is logged, and the others go on."""
        cluster, phases = self._cluster, self._cluster.phases
        phases.start()
        for event in self._try(cluster.links.take_events) or ():
            self._try(self.take_link_event, event)
        arrivals = self._try(cluster.links.take_arrivals) or no_arrivals()
        instances_of = cluster.links.instances[arrivals.slots]
        cluster.counters["payloads_dropped"] += int(np.count_nonzero(instances_of < 0))
        phases.lap("links")
        self._try(self._queues.run)
        phases.lap("commands")
        for instance in list(cluster.instances.values()):
            self._try(self.step_instance, instance, arrivals, instances_of, now)
        self._try(cluster.links.flush)
        phases.lap("send")
        self._try(self.announce_when_due, now)
        cluster.orders.forget_old(now)
        phases.lap("rest")
        phases.end_tick()

    def _try(self, step: Callable[..., _Result], *arguments: object) -> _Result | None:
        """Run one step. What breaks it, of one player or one zone, must not stop everybody else."""
        try:
            return step(*arguments)
        except Exception:
            name = f"{step.__name__}_failed"
            self._cluster.counters[name] += 1
            failures = self._cluster.counters[name]
            if failures.bit_count() == 1:  # the 1st, 2nd, 4th, …: it may come 20 times a second
                log.exception("tick_step_failed", step=step.__name__, failures=failures)
            return None

    # ------------------------------------------------------------ zone links

    def take_link_event(self, event: Connected | Disconnected) -> None:
        """Note a link that came or went."""
        if isinstance(event, Connected):
            self.connected(event.client_id)
        else:
            self.disconnected(event.client_id)

    def connected(self, client_id: int) -> None:
        """A zone link is up: it replaces an older one of the player, but never one of a newer token."""
        player = self._cluster.roster.of_client(client_id)
        if player is None:
            self._cluster.links.drop(client_id)
            return
        older = player.client_id
        if older is not None and player.minted.index(older) > player.minted.index(client_id):
            self._cluster.links.drop(client_id)
            return
        player.client_id = client_id
        instance = player.instance
        self._cluster.links.assign(client_id, instance.number, player.row, instance.tables.capacity)
        if older is not None:
            self._cluster.links.drop(older)
        player.instance.restart_inputs(player.row)
        player.update_links()
        self._cluster.record_arrival(player)

    def disconnected(self, client_id: int) -> None:
        """A zone link is gone: if it was the player's, the entity stands still."""
        player = self._cluster.roster.of_client(client_id)
        if player is not None and player.client_id == client_id:
            player.client_id = None
            player.update_links()

    # ------------------------------------------------------------ zones

    def step_instance(
        self, instance: ZoneInstance, arrivals: Arrivals, instances_of: np.ndarray, now: float
    ) -> None:
        """Advance one instance and send what its players see.

        Args: instances_of: (m,) the instance whose player sent each of the arrivals.
        """
        phases = self._cluster.phases
        mine = np.flatnonzero(instances_of == instance.number)
        rows = self._cluster.links.rows[arrivals.slots[mine]]
        inputs = decode_input_matrix(rows, arrivals.data[mine, :MAX_INPUT_BYTES], arrivals.lengths[mine])
        self._cluster.counters["inputs_refused"] += inputs.refused
        phases.lap("inputs")
        entries = instance.step(inputs)
        for row, link in zip(entries.rows.tolist(), entries.links.tolist(), strict=True):
            self.entered_portal(instance, row, link)
        phases.lap("simulation")
        snapshots = instance.snapshots(Clock(int(now * 1000), self._cluster.pace.dilation))
        phases.lap("snapshots")
        self._cluster.links.send(instance.number, snapshots.rows, snapshots.payloads)
        phases.lap("send")

    def entered_portal(self, instance: ZoneInstance, row: int, link: int) -> None:
        """Tell the daemon; it decides whether the player goes."""
        player = self._cluster.roster.at_row(instance.number, row)
        if player is not None:
            slug = instance.content.links[link].slug
            self._cluster.to_daemon(
                PortalEntered(self._cluster.config.name, player.session, slug, player.stay)
            )

    # ------------------------------------------------------------ to the daemon

    def announce_when_due(self, now: float) -> None:
        """Send heartbeat and residents, each in its own time."""
        if now - self._alive_at >= ALIVE_EVERY_S:
            self._alive_at = now
            announce_alive(self._cluster)
        if now - self._residents_at >= RESIDENTS_EVERY_S:
            self._residents_at = now
            announce_residents(self._cluster)
