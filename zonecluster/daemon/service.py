"""The zone cluster's process: the event loop around socket, bus and ticks. Each thing it does is a method.

Started by `manage.py zonecluster NAME`; ends with SIGTERM or SIGINT: saves sent, links closed, exit code 0.
"""

import asyncio
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic, thread_time

import numpy as np
import structlog
from asgiref.sync import sync_to_async
from django.db import Error as DatabaseError
from django.db import connection

from worlds.bus import Inbox, Outbox, cluster_channel
from worlds.http_door import HttpDoor
from worlds.notify import notify_ready
from worlds.observing import write_target
from zonecluster.daemon.announce import announce
from zonecluster.daemon.cluster import Cluster
from zonecluster.daemon.commands import CommandQueues
from zonecluster.daemon.config import CannotStart, ClusterConfig
from zonecluster.daemon.content import UnknownZone, load_sight, load_zone
from zonecluster.daemon.figures import Meter
from zonecluster.daemon.metrics import Metrics
from zonecluster.daemon.pace import Pace, SlowTime
from zonecluster.daemon.requests import Requests, instance_opened, zone_loaded
from zonecluster.daemon.steady_clock import SteadyClock
from zonecluster.daemon.ticks import Ticks
from zonecluster.daemon.zone_links import ZoneLinks
from zonecluster.interest.visibility import LineOfSight
from zonecluster.protocol.bus import OpenInstance, cluster_decoder
from zonecluster.protocol.to_client import Notice
from zonecluster.simulation.content import ZoneContent
from zonecluster.simulation.step import TICK_S

log = structlog.get_logger(__name__)

SAY_SKIPPED_S = 10.0
# Often enough that the kernel's buffer does not fill, rarely enough that datagrams come in batches. The event
# loop telling of each datagram would cost more than the datagrams.
RECEIVE_EVERY_S = 0.005
EARLY_S = 0.0005  # a tick so near is run: to sleep for less is to sleep for a millisecond
SLOW_IS_OVER = Notice("Time runs at full speed again.")


class Service:
    """One zone cluster process."""

    def __init__(self, config: ClusterConfig, wall_clock: Callable[[], float] = monotonic) -> None:
        """Bind the ports. Args: wall_clock: monotonic seconds, for what a steady clock is not to judge.

        Raises: CannotStart.
        """
        self._wall_clock = wall_clock
        self.clock = SteadyClock(wall_clock)
        self.cluster = Cluster(
            config=config,
            links=ZoneLinks(config, self.clock),
            outbox=Outbox(),
            incarnation=config.incarnation or secrets.randbits(62) + 1,
            rng=np.random.default_rng(secrets.randbits(64)),
            pace=Pace(TICK_S, wall_clock()),
            clock=self.clock,
        )
        self.cluster.links.path.stopwatch = self.cluster.phases
        self.queues = CommandQueues(self.cluster)
        self.requests = Requests(self.cluster, self.queues)
        self.ticks = Ticks(self.cluster, self.queues)
        self.meter = Meter(self.cluster.phases, TICK_S)
        self.slow_time = SlowTime()
        self._target: Path | None = None
        self.door = self._open_door()
        self._stop = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None
        self._say_skipped_at = float("-inf")
        self._began: float | None = None  # the last tick
        self._received_s = 0.0  # since then, by the wall clock
        self._cpu_s = thread_time()
        self._tasks: set[asyncio.Task[None]] = set()

    def _open_door(self) -> HttpDoor | None:
        """Listen for /metrics and /healthz, if the deployment wants them.

        Raises: CannotStart: the port is taken, or the address is not this machine's.
        """
        config = self.cluster.config
        if config.metrics_host is None:
            return None
        metrics = Metrics(self.cluster, self.ticks.kinds, self.meter, self.clock)
        pages = {"/metrics": metrics.page, "/healthz": metrics.health}
        try:
            door = HttpDoor(config.metrics_host, config.metrics_port, pages)
        except (OSError, OverflowError) as error:  # a port over 65535 overflows
            self.cluster.links.close()
            raise CannotStart(
                f"Cannot serve /metrics on {config.metrics_host} port {config.metrics_port}: {error}. "
                "Set WAYSTONE_METRICS_BIND to a free port of this machine, to 127.0.0.1:0 for any, or to off."
            ) from error
        self.cluster.metrics = door.address
        if config.metrics_folder is not None:
            labels = {"world": config.world, "cluster": config.name}
            name = f"zonecluster-{config.name}"
            self._target = write_target(config.metrics_folder, name, door.address, labels)
        return door

    # ------------------------------------------------------------ the process

    async def run(self) -> None:
        """Serve until told to stop. Raises: CannotStart: told that another process is this cluster."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        config, links = self.cluster.config, self.cluster.links
        inbox = Inbox(cluster_channel(config.world, config.name), cluster_decoder)
        listening = asyncio.create_task(inbox.run(self.hear))
        udp = f"{config.udp_host}:{links.port}"
        log.info("zone_cluster_started", cluster=config.name, udp=udp, metrics=self.cluster.metrics or "off")
        notify_ready(f"zone cluster {config.name} listens on UDP {config.udp_host}:{links.port}")
        try:
            await self.loop()
        finally:
            listening.cancel()
            await asyncio.gather(listening, *self._tasks, return_exceptions=True)
            await self.shut_down()
        if self.cluster.stood_down:
            raise CannotStart(f"Told to end by the world daemon: {self.cluster.stood_down}")

    async def loop(self) -> None:
        """Tick until stopped: 20 times a second, or as slowly as the load demands."""
        self.cluster.pace = Pace(TICK_S, self._wall_clock())
        self.cluster.phases.start()
        while not self._stop.is_set() and not self.cluster.stood_down:
            await asyncio.sleep(self.rest_s())
            self.turn()

    def rest_s(self) -> float:
        """Return how long the bus and others may have the thread now."""
        return min(self.cluster.pace.wait_s(self._wall_clock()), RECEIVE_EVERY_S)

    def turn(self) -> None:
        """Take what has arrived, and run a tick if one is due."""
        self.receive()
        if self.cluster.pace.wait_s(self._wall_clock()) <= EARLY_S:
            self.tick()

    def stop(self) -> None:
        """End the loop after the present tick."""
        log.info("zone_cluster_stopping", cluster=self.cluster.config.name)
        self._stop.set()

    # ------------------------------------------------------------ the steps

    def hear(self, messages: list) -> None:
        """Do what a batch asks; commands in it are run and answered at once, as far as budgets go."""
        self.handle_batch(messages)
        self.ticks.run_commands_early()
        self.cluster.phases.lap("commands")
        self.start_flush()

    def handle_batch(self, messages: list) -> None:
        """Do what a batch of bus messages asks."""
        self.cluster.phases.lap("loop")
        for message in messages:
            self.requests.handle(message)
        self.cluster.phases.lap("bus")

    def receive(self) -> None:
        """Take what the zone links brought, and answer those who connect."""
        began = self._wall_clock()
        self.cluster.phases.lap("loop")
        self.ticks.attempt(self.take_datagrams)
        self._received_s += self._wall_clock() - began

    def take_datagrams(self) -> None:
        """Read the socket until it is empty."""
        links, phases = self.cluster.links, self.cluster.phases
        if links.receive():
            links.flush()
            phases.lap("send")
        else:
            phases.lap("receive")

    def tick(self) -> None:
        """Run one tick, and start what has to wait for others."""
        began = self._wall_clock()
        pace, phases = self.cluster.pace, self.cluster.phases
        skipped = pace.begin(began)
        if skipped:
            self.note_skipped(skipped, began)
        self.ticks.run(self.clock())
        for step in (self.start_openings, self.start_flush, self.tell_of_slow_time, self.make_figures):
            self.ticks.attempt(step)
        if self.door is not None:
            self.ticks.attempt(self.door.serve, self.clock())
        phases.lap("rest")  # of the next tick's account: this one's is closed
        self.account(began)

    def account(self, began: float) -> None:
        """Note how long the tick took, and let the pace judge what it cost."""
        now, cpu_s = self._wall_clock(), thread_time()
        wall_s = now - began
        interval_s = TICK_S if self._began is None else began - self._began
        self.cluster.phases.note(wall_s, interval_s, self.cluster.pace.late_s)
        # CPU time has what the bus and all else on this thread took; wall time, what others took from it.
        self.cluster.pace.end(max(wall_s + self._received_s, cpu_s - self._cpu_s))
        self._began, self._received_s, self._cpu_s = began, 0.0, cpu_s

    def note_skipped(self, ticks: int, now: float) -> None:
        """Count game time that was given up, and say so: not more often than every SAY_SKIPPED_S."""
        self.cluster.counters["ticks_skipped"] += ticks
        if now >= self._say_skipped_at:
            self._say_skipped_at = now + SAY_SKIPPED_S
            in_all = self.cluster.pace.skipped_ticks
            log.warning("ticks_skipped", cluster=self.cluster.config.name, ticks=ticks, in_all=in_all)

    def tell_of_slow_time(self) -> None:
        """Tell players when game time has become slow, and when that is over."""
        dilation = self.cluster.pace.dilation
        news = self.slow_time.news(dilation, self.clock())
        if news is None:
            return
        log.warning("time_dilation", cluster=self.cluster.config.name, news=news, dilation=round(dilation, 3))
        notice = slow_notice(dilation) if news == "slow" else SLOW_IS_OVER
        self.cluster.tell_all(self.cluster.roster.active.values(), notice)

    def make_figures(self) -> None:
        """Sum up the last seconds for the world daemon, when it is time."""
        cluster, now = self.cluster, self.clock()
        if cluster.accounts.is_due(now):
            cluster.settle(now)
        if self.meter.is_due(now):
            self.meter.read(cluster, now)
            cluster.figures = self.meter.latest

    def start_openings(self) -> None:
        """Begin to load the zones that were asked for."""
        while self.cluster.openings:
            self._start(self.open_instance(self.cluster.openings.pop()))

    async def open_instance(self, message: OpenInstance) -> None:
        """Load a zone in a thread and open it; whatever goes wrong is the answer."""
        try:
            content, sight = await sync_to_async(_load_zone, thread_sensitive=False)(
                self.cluster.config.world, message.zone
            )
            zone_loaded(self.cluster, message, content, sight)
        except Exception as error:  # noqa: BLE001  (content may be anything; the daemon waits for an answer)
            is_known = isinstance(error, UnknownZone | DatabaseError | ValueError)
            report = log.warning if is_known else log.exception
            report("instance_not_opened", instance=message.instance, zone=message.zone, error=str(error))
            instance_opened(self.cluster, message.instance, str(error) or type(error).__name__)

    def start_flush(self) -> None:
        """Send the outbox, unless the last sending still waits for the bus."""
        if self._flushing is None or self._flushing.done():
            self._flushing = self._start(self.cluster.outbox.flush())

    def _start(self, work) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # or nothing would hold it
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------ the end

    async def shut_down(self) -> None:
        """Send what is not saved yet, close the links, and say so on the bus."""
        cluster = self.cluster
        cluster.is_stopping = True
        dirty = [
            player for player in cluster.roster.active.values() if player.is_dirty and not player.is_frozen
        ]
        if cluster.stood_down:  # another process has these players, and newer documents
            dirty = []
        for player in dirty:
            with cluster.guarded(player, "checkpoint"):
                cluster.checkpoint(player, "periodic")
        announce(cluster)
        cluster.links.close()
        if self.door is not None:
            self.door.close()
        if self._target is not None:
            self._target.unlink(missing_ok=True)
        await cluster.outbox.flush()
        counters = {name: count for name, count in cluster.counters.items() if count}
        log.info(
            "zone_cluster_stopped", cluster=cluster.config.name, checkpoints=len(dirty), counters=counters
        )


def _load_zone(world: str, slug: str) -> tuple[ZoneContent, LineOfSight | None]:
    """Load a zone on a connection of its own: hours may pass until the next one is needed."""
    try:
        content = load_zone(world, slug)
        return content, load_sight(content)
    finally:
        connection.close()


def slow_notice(dilation: float) -> Notice:
    """Return what players are told when game time has become slow."""
    return Notice(
        f"More is going on here than fits: time runs at {dilation:.0%}. Everything happens, only slower.",
        "warning",
    )
