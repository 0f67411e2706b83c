"""One tick of the cluster, step by step: links, inputs, commands, simulation, snapshots. For the loop."""

from collections import Counter, defaultdict
from collections.abc import Callable

import structlog

from zonecluster.daemon.announce import announce_alive, announce_residents
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.protocol.bus import PortalEntered
from zonecluster.protocol.netcode import Connected, Disconnected, Payload, ServerEvent
from zonecluster.simulation.inputs import decode_inputs
from zonecluster.simulation.instance import ZoneInstance
from zonecluster.simulation.snapshots import Clock

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 0.5
RESIDENTS_EVERY_S = 1.0
MAX_PAYLOADS_A_TICK = 8  # of one link; a client sends one

Arrivals = dict[int, tuple[list[int], list[bytes]]]  # instance → rows and payloads


class Ticks:
    """The steps of a tick, each a method. `run` is all of them in order."""

    def __init__(self, cluster: Cluster, queues: CommandQueues) -> None:
        self._cluster = cluster
        self._queues = queues
        self._taken: Counter[int] = Counter()  # payloads of this tick, by client id
        self._alive_at = self._residents_at = float("-inf")

    def run(self, now: float) -> None:
        """Do one tick; `now` is monotonic seconds. A step that fails is logged, and the others go on."""
        cluster = self._cluster
        arrivals: Arrivals = defaultdict(lambda: ([], []))
        self._taken.clear()
        for event in cluster.links.take_events():
            self._try(self.take_link_event, event, arrivals)
        self._try(self._queues.run)
        for instance in list(cluster.instances.values()):
            self._try(self.step_instance, instance, arrivals, now)
        self._try(cluster.links.flush)
        self._try(self.announce_when_due, now)
        cluster.orders.forget_old(now)

    def _try(self, step: Callable[..., None], *arguments: object) -> None:
        """Run one step. What breaks it, of one player or one zone, must not stop everybody else."""
        try:
            step(*arguments)
        except Exception:
            name = f"{step.__name__}_failed"
            self._cluster.counters[name] += 1
            failures = self._cluster.counters[name]
            if failures.bit_count() == 1:  # the 1st, 2nd, 4th, …: it may come 20 times a second
                log.exception("tick_step_failed", step=step.__name__, failures=failures)

    # ------------------------------------------------------------ zone links

    def take_link_event(self, event: ServerEvent, arrivals: Arrivals) -> None:
        """Note a link that came or went; put a payload to the arrivals of its player's instance."""
        match event:
            case Payload():
                self.received(event.client_id, event.data, arrivals)
            case Connected():
                self.connected(event.client_id)
            case Disconnected():
                self.disconnected(event.client_id)

    def received(self, client_id: int, data: bytes, arrivals: Arrivals) -> None:
        """Take a payload, but only of the link that is the player's now, and not too many."""
        player = self._cluster.roster.of_client(client_id)
        self._taken[client_id] += 1
        if player is None or player.client_id != client_id or self._taken[client_id] > MAX_PAYLOADS_A_TICK:
            self._cluster.counters["payloads_dropped"] += 1
            return
        rows, payloads = arrivals[player.instance.number]
        rows.append(player.row)
        payloads.append(data)

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

    def step_instance(self, instance: ZoneInstance, arrivals: Arrivals, now: float) -> None:
        """Advance one instance and send what its players see."""
        rows, payloads = arrivals[instance.number]
        inputs = decode_inputs(rows, payloads)
        self._cluster.counters["inputs_refused"] += inputs.refused
        entries = instance.step(inputs)
        for row, link in zip(entries.rows.tolist(), entries.links.tolist(), strict=True):
            self.entered_portal(instance, row, link)
        self.send_snapshots(instance, now)

    def entered_portal(self, instance: ZoneInstance, row: int, link: int) -> None:
        """Tell the daemon; it decides whether the player goes."""
        player = self._cluster.roster.at_row(instance.number, row)
        if player is not None:
            slug = instance.content.links[link].slug
            self._cluster.to_daemon(
                PortalEntered(self._cluster.config.name, player.session, slug, player.stay)
            )

    def send_snapshots(self, instance: ZoneInstance, now: float) -> None:
        """Hand every linked player's snapshot to its link."""
        snapshots = instance.snapshots(Clock(int(now * 1000), self._cluster.pace.dilation))
        at_row = self._cluster.roster.at_row
        outgoing = []
        for row, payload in zip(snapshots.rows.tolist(), snapshots.payloads, strict=True):
            player = at_row(instance.number, row)
            if player is not None and player.client_id is not None:
                outgoing.append((player.client_id, payload.tobytes()))
        self._cluster.links.send(outgoing)

    # ------------------------------------------------------------ to the daemon

    def announce_when_due(self, now: float) -> None:
        """Send heartbeat and residents, each in its own time."""
        if now - self._alive_at >= ALIVE_EVERY_S:
            self._alive_at = now
            announce_alive(self._cluster)
        if now - self._residents_at >= RESIDENTS_EVERY_S:
            self._residents_at = now
            announce_residents(self._cluster)
