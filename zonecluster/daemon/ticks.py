"""One tick of the cluster, step by step: links, commands, inputs, simulation, snapshots. For the loop."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import structlog

from zonecluster.daemon.announce import Rounds, announce_alive
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.daemon.config import CannotStart
from zonecluster.daemon.slow_handlers import SlowHandlers
from zonecluster.daemon.views import Views
from zonecluster.interest.visibility import SightFault
from zonecluster.protocol.bus import PortalEntered
from zonecluster.protocol.netcode import Connected, Disconnected
from zonecluster.simulation.inputs import MAX_INPUT_BYTES, NO_INPUTS, Inputs, decode_input_matrix
from zonecluster.simulation.step import TICK_S, step
from zonecluster.snapshots.parts import Clock

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 0.5
CLEAR_GROUND_TICKS = 20  # things on the ground vanish up to a second late

_Result = TypeVar("_Result")


class Ticks:
    """The steps of a tick, each a method. `run` is all of them in order."""

    def __init__(self, cluster: Cluster, queues: CommandQueues) -> None:
        self._cluster = cluster
        self._queues = queues
        choice = cluster.config.packet_path
        try:
            self.views = Views(
                choice,
                len(cluster.links.of_rows.rows),
                cluster.config.bytes_per_player,
                sights=cluster.sights,
                tell_fault=self.sight_failed,
            )
        except (ImportError, RuntimeError, OSError) as error:
            raise CannotStart(
                f"The packet path {choice!r} cannot run here: {error}. "
                "Set WAYSTONE_PACKET_PATH=auto to use what can."
            ) from error
        self._alive_at = float("-inf")
        self._rounds = Rounds(cluster)
        self._slow = SlowHandlers(cluster)

    @property
    def kinds(self) -> dict[str, str]:
        """Which implementation of interest and snapshots runs."""
        return self.views.kinds

    def run(self, now: float) -> None:
        """Do one tick; `now` is monotonic seconds. A step that fails is logged, and the others go on."""
        cluster, phases = self._cluster, self._cluster.phases
        phases.lap("loop")
        for event in self.attempt(cluster.links.take_events) or ():
            self.attempt(self.take_link_event, event)
        phases.lap("links")
        self.attempt(self._queues.run)
        self.attempt(cluster.save_changes)
        phases.lap("commands")
        inputs = self.attempt(self.decode_inputs) or NO_INPUTS
        phases.lap("inputs")
        self.attempt(cluster.spawn)
        self.attempt(self.step, inputs)
        phases.lap("simulation")
        self.attempt(self.send_snapshots, now)
        self.attempt(cluster.links.keep_alive)
        self.attempt(cluster.links.flush)
        phases.lap("send")
        self.attempt(self.announce_when_due, now)
        self.attempt(self.clear_ground)
        cluster.orders.forget_old(now)
        phases.lap("rest")
        phases.end_tick()

    def run_commands_early(self) -> None:
        """Between two ticks: run commands that have just come."""
        self.attempt(self._queues.run_early)

    def attempt(self, step: Callable[..., _Result], *arguments: object) -> _Result | None:
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
        if not self._cluster.links.of_rows.is_up(client_id):  # gone again within the same tick
            return
        older = player.client_id
        if older is not None and player.minted.index(older) > player.minted.index(client_id):
            self._cluster.links.drop(client_id)
            return
        player.client_id = client_id
        self.views.forget(self._cluster.links.of_rows.assign(client_id, player.row))
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

    # ------------------------------------------------------------ all zones at once

    def decode_inputs(self) -> Inputs:
        """Decode what came on all links since the last tick."""
        links, counters = self._cluster.links, self._cluster.counters
        arrivals = links.take_arrivals()
        rows = links.of_rows.rows[arrivals.slots]
        self._cluster.accounts.note_datagrams(rows)
        inputs = decode_input_matrix(rows, arrivals.data[:, :MAX_INPUT_BYTES], arrivals.lengths)
        counters["payloads_dropped"] += int(np.count_nonzero(rows < 0))
        counters["inputs_refused"] += inputs.refused
        self.views.acknowledge(arrivals.slots[inputs.payloads], inputs.acks)
        return inputs

    def step(self, inputs: Inputs) -> None:
        """Advance all zone instances."""
        cluster = self._cluster
        entries = step(cluster.tables, inputs, TICK_S, cluster.rng)
        for row, link in zip(entries.rows.tolist(), entries.links.tolist(), strict=True):
            self.attempt(self.entered_portal, row, link)

    def send_snapshots(self, now: float) -> None:
        """Show every player with a zone link what it sees."""
        cluster = self._cluster
        viewers, slots = cluster.links.of_rows.viewers()
        clock = Clock(cluster.tables.tick, int(now * 1000), cluster.pace.dilation)
        payloads, lengths = self.views.snapshots(cluster.tables, viewers, slots, clock, cluster.phases.lap)
        cluster.accounts.note_snapshots(viewers, lengths)
        cluster.links.send(slots, payloads, lengths)

    def clear_ground(self) -> None:
        """Now and then, take away what has lain around for long enough."""
        if self._cluster.tables.tick % CLEAR_GROUND_TICKS == 0:
            for instance in self._cluster.instances.values():
                instance.clear_ground()

    def sight_failed(self, fault: SightFault) -> None:
        """Count it, and log the 1st, 2nd, 4th, …: an operator's provider fails 20 times a second."""
        self._cluster.counters["sight_failed"] += 1
        if self._cluster.counters["sight_failed"].bit_count() == 1:
            number = int(self._cluster.tables.places.numbers[fault.place])
            log.error("sight_failed", instance=number, exc_info=fault.error)

    def entered_portal(self, row: int, link: int) -> None:
        """Tell the daemon; it decides whether the player goes."""
        player = self._cluster.roster.at_row(row)
        if player is not None:
            slug = player.instance.content.links[link].slug
            self._cluster.to_daemon(
                PortalEntered(self._cluster.config.name, player.session, slug, player.stay)
            )

    # ------------------------------------------------------------ to the daemon

    def announce_when_due(self, now: float) -> None:
        """Send heartbeat and residents, each in its own time."""
        if now - self._alive_at >= ALIVE_EVERY_S:
            self._alive_at = now
            announce_alive(self._cluster)
        self._rounds.tell_when_due(now)
        for report in self._cluster.reports.due(now):
            self._cluster.to_daemon(report)
        self._slow.tell_when_due(now)
