"""The heart of a gateway process: its links, and the bus between them and the world's other processes.

One hub in a process. The consumer brings frames and takes what is to be written; `manage.py gateway` starts
and stops it. Nothing here has to be right: the daemon decides, and a lost message is asked for again.
"""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from waystone.addresses import household, is_local
from waystone.gateway.limits import Limits
from waystone.gateway.link import (
    CLOSE_RESTART,
    Close,
    Effect,
    ForCluster,
    ForDaemon,
    LinkCore,
    Phase,
    Reply,
)
from waystone.gateway.outgoing import Flow, Outgoing
from worlds.bus import Inbox, Outbox, cluster_channel, daemon_channel, gateway_channel, gateways_group
from worlds.observing import Observed
from zonecluster.protocol import bus, to_client

log = structlog.get_logger(__name__)

FLUSH_S = 0.004  # batches to each destination leave this often
TICK_S = 1.0  # announcements and time-outs
LINKS_EVERY_TICKS = 5
STATS_EVERY_TICKS = 60
PROBE_S = 0.05  # until a gateway that starts hears itself on the bus
DEAF_S = 3.0  # new sockets wait for that so long; a handshake may take 5 s


@dataclass
class Link:
    """One open world link."""

    id: int
    core: LinkCore
    outgoing: Outgoing
    address: str = ""  # of the peer, if it stands for one household


@dataclass
class Statistics:
    """Counts since the process started."""

    opened: int = 0
    refused_full: int = 0
    frames_in: int = 0
    frames_out: int = 0
    commands: int = 0
    dropped_slow: int = 0
    undeliverable: int = 0


@dataclass
class Hub:
    """All links of this process. Use from one event loop."""

    world: str
    name: str
    limits: Limits = field(default_factory=Limits)
    incarnation: int = field(default_factory=lambda: secrets.randbits(63))
    statistics: Statistics = field(default_factory=Statistics)
    links: dict[int, Link] = field(default_factory=dict)
    is_stopping: bool = False
    on_failure: Callable[[], None] = lambda: signal.raise_signal(signal.SIGTERM)
    outbox: Outbox = field(default_factory=Outbox)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _pages: Observed | None = None
    _hears: asyncio.Event = field(default_factory=asyncio.Event)

    # ------------------------------------------------------------ life

    def ensure_started(self) -> None:
        """Start the hub's tasks in the running loop, once."""
        if self._tasks:
            return
        inbox = Inbox(gateway_channel(self.name), bus.gateway_decoder, group=gateways_group(self.world))
        self._tasks = [
            asyncio.create_task(inbox.run(self.receive_batch), name="gateway-inbox"),
            asyncio.create_task(self._flush_often(), name="gateway-outbox"),
            asyncio.create_task(self._tick_often(), name="gateway-tick"),
            asyncio.create_task(self._probe_until_heard(), name="gateway-probe"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._end_if_broken)
        log.info("gateway_started", gateway=self.name, world=self.world)

    async def stop(self, grace_s: float = 3.0) -> None:
        """Close every link with 1012, so that clients come back, tell the daemon, and end the tasks."""
        self.is_stopping = True
        for link in list(self.links.values()):
            link.outgoing.close(CLOSE_RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self.links:
                    await asyncio.sleep(FLUSH_S)
        await self.outbox.flush()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)  # the process ends in any case
        self._tasks = []
        if self._pages is not None:
            self._pages.close()
        log.info("gateway_stopped", gateway=self.name, links_left=len(self.links))

    def _end_if_broken(self, task: asyncio.Task[None]) -> None:
        """End the process when one of the tasks has failed: without it every link would be deaf or mute.

        The links are closed with 1012, and the supervisor starts a gateway that works.
        """
        if task.cancelled() or self.is_stopping or (error := task.exception()) is None:
            return
        log.critical("gateway_task_failed", task=task.get_name(), exc_info=error)
        self.on_failure()

    @property
    def is_bus_up(self) -> bool:
        """Whether the last batch could be sent."""
        return self.outbox.failed_flushes == 0

    def why_not_ready(self) -> str:
        """Return why players cannot play through this gateway; empty if they can."""
        if self.is_stopping:
            return "stopping"
        if not self.is_bus_up:
            return "the bus does not take messages"
        return "" if self._hears.is_set() else "nothing has been heard on the bus yet"

    def observe(self, pages: Observed) -> None:
        """Serve these pages from the hub's loop until it stops."""
        self._pages = pages
        self._tasks.append(asyncio.get_running_loop().create_task(pages.serve_in_loop(), name="observed"))

    async def _probe_until_heard(self) -> None:
        while not self._hears.is_set():
            self.outbox.put(gateway_channel(self.name), bus.Hail(self.world))
            await asyncio.sleep(PROBE_S)

    async def until_hearing(self) -> None:
        """Wait until this process hears what is sent to it: an answer that comes before is lost.

        Without a bus that takes for ever; after DEAF_S the link is worth having all the same.
        """
        if not self._hears.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DEAF_S):
                    await self._hears.wait()

    async def _flush_often(self) -> None:
        while True:
            await self.outbox.flush()
            await asyncio.sleep(FLUSH_S)

    async def _tick_often(self) -> None:
        number = 0
        while True:
            self.tick(number, time.monotonic())
            number += 1
            await asyncio.sleep(TICK_S)

    # ------------------------------------------------------------ sockets

    def open_link(self, flow: Flow, now: float, peer: str = "") -> Link | None:
        """Take a new socket; None if there is no room. Args: peer: its address, "" if that is not known."""
        address = "" if is_local(peer) else household(peer)
        if self._is_full(address) or self.is_stopping:
            self.statistics.refused_full += 1
            if self.statistics.refused_full in (1, 10, 100) or self.statistics.refused_full % 1000 == 0:
                log.warning("links_refused_full", links=len(self.links), total=self.statistics.refused_full)
            return None
        link = Link(secrets.randbits(62), LinkCore(now, self.limits), Outgoing(self.limits, flow), address)
        self.links[link.id] = link
        self.statistics.opened += 1
        return link

    def _is_full(self, address: str) -> bool:
        unwelcomed = [link.address for link in self.links.values() if link.core.phase is not Phase.WELCOMED]
        return (
            len(self.links) >= self.limits.max_links
            or len(unwelcomed) >= self.limits.max_unwelcomed
            or (address != "" and unwelcomed.count(address) >= self.limits.max_unwelcomed_of_address)
        )

    def receive_frame(self, link: Link, frame: str | bytes, now: float) -> None:
        """Take a frame of a client."""
        self.statistics.frames_in += 1
        self._apply(link, link.core.receive(frame, now))

    def close_link(self, link: Link) -> None:
        """Forget a socket that is gone."""
        if self.links.pop(link.id, None) is not None and link.core.was_forwarded:
            self._to_daemon(bus.LinkClosed(self.name, self.incarnation, link.id))

    # ------------------------------------------------------------ bus

    def receive_batch(self, messages: Iterable[Any]) -> None:
        """Take a batch of the daemon or of a cluster."""
        now = time.monotonic()
        self._hears.set()
        for message in messages:
            match message:
                case bus.ToLinks(links=ids, message=content):
                    self._deliver(ids, content, now)
                case bus.Route(link=id, session=session, cluster=cluster):
                    if link := self.links.get(id):
                        link.core.route(session, cluster)
                case bus.CloseLink(link=id):
                    if link := self.links.get(id):
                        link.outgoing.close(1000)
                case bus.Hail(world=self.world):
                    self._announce()
                    self._tell_links()

    def tick(self, number: int, now: float) -> None:
        """Announce the gateway, close what is overdue, and now and then log the counts."""
        self._announce()
        if number % LINKS_EVERY_TICKS == 0:
            self._tell_links()
        for link in list(self.links.values()):
            if link.outgoing.close_code is None:
                self._apply(link, link.core.handle_timeout(now))
            if link.outgoing.is_stalled(now):
                self._drop(link, "stalled")
        if number % STATS_EVERY_TICKS == STATS_EVERY_TICKS - 1:
            log.info("gateway_statistics", links=len(self.links), **vars(self.statistics))

    def _announce(self) -> None:
        self._to_daemon(bus.GatewayAlive(self.name, self.incarnation))

    def _tell_links(self) -> None:
        welcomed = [
            bus.OpenLink(link.id, link.core.session)
            for link in self.links.values()
            if link.core.phase is Phase.WELCOMED
        ]
        self._to_daemon(bus.LinksOpen(self.name, self.incarnation, welcomed))

    def _to_daemon(self, message: bus.BusMessage) -> None:
        self.outbox.put(daemon_channel(self.world), message)

    def _deliver(self, ids: list[int], message: to_client.ServerMessage, now: float) -> None:
        """Queue one message for some links, encoded once for each kind of frame."""
        encoded: dict[bool, str | bytes] = {}
        for id in ids:
            link = self.links.get(id)
            if link is None:
                self.statistics.undeliverable += 1
                continue
            link.core.passes(message, now)
            is_binary = link.core.is_binary
            if is_binary not in encoded:
                encoded[is_binary] = encode(message, is_binary)
            self._write(link, encoded[is_binary])

    def _apply(self, link: Link, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply(message=message):
                    self._write(link, encode(message, link.core.is_binary))
                case ForDaemon(message=message):
                    self._to_daemon(bus.LinkMessage(self.name, self.incarnation, link.id, message))
                case ForCluster(cluster=cluster, session=session, command=command):
                    self.statistics.commands += 1
                    channel = cluster_channel(self.world, cluster)
                    self.outbox.put(channel, bus.SessionCommand(session, command))
                case Close(code=code):
                    log.info("link_closed_by_gateway", code=code)
                    link.outgoing.close(code)

    def _write(self, link: Link, frame: str | bytes) -> None:
        if link.outgoing.close_code is not None:
            return
        if link.outgoing.put(frame):
            self.statistics.frames_out += 1
        else:
            self._drop(link, "queue_full")

    def _drop(self, link: Link, cause: str) -> None:
        """Give up a reader that does not read: its memory is worth more than its messages."""
        self.statistics.dropped_slow += 1
        log.warning("slow_link_dropped", cause=cause, waiting=len(link.outgoing.frames))
        link.outgoing.frames.clear()
        link.outgoing.waiting_bytes = 0
        link.outgoing.close(1008)
        link.outgoing.flow.abort()
        self.close_link(link)


def encode(message: to_client.ServerMessage, is_binary: bool) -> str | bytes:
    """Return the frame of a message: MessagePack bytes, or JSON text."""
    if is_binary:
        return to_client.msgpack_encoder.encode(message)
    return to_client.json_encoder.encode(message).decode()
