"""The world daemon's shell: one asyncio loop around the core. Carries out effects, and knows the clock.

Not here: any decision about a player. Effects go five ways, each in its own order: bus (outbox, flushed every
20 ms), master (uplink calls; the saves of one flush travel as one batch), database (one writer task that
tries again until PostgreSQL answers), journal (one commit after the other), log.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

import msgspec
import structlog
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections

from worlds.bus import BUS_ERRORS, Outbox, cluster_channel, gateway_channel, gateways_group
from worlds.daemon import host_rows, order_rows, queue_rows, rows, upkeep_rows
from worlds.daemon.bus_worker import BusWorker
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.daemon import DaemonCore
from worlds.daemon.core.effects import (
    Call,
    Effect,
    HailAll,
    Journal,
    LoadReceipts,
    Log,
    ProbeJournal,
    RecordSession,
    SendToCluster,
    SendToGateway,
    SetAside,
    StorePoison,
)
from worlds.daemon.core.events import (
    Answered,
    BusBack,
    BusLost,
    CatalogLoaded,
    Event,
    FromBus,
    JournalLoaded,
    PoisonStored,
    Recorded,
    SessionsLoaded,
    Stopping,
    Tick,
    Unreachable,
)
from worlds.daemon.core.hosts import KillCluster, WantClusters
from worlds.daemon.core.ordering import CarriedOut, CarryOut
from worlds.daemon.core.upkeep import EndAlarm, RaiseAlarm, UpkeepLoaded
from worlds.daemon.host_door import Admitted, Door, Place
from worlds.daemon.journal import store
from worlds.daemon.journal.keeper import JournalKeeper
from worlds.daemon.journal.records import unfinished_of
from worlds.daemon.lock import AlreadyRunning, WorldLock
from worlds.daemon.master import MasterClient
from worlds.daemon.metrics import CoreFigures, ShellFigures, outcome_of
from worlds.hosts.handshake import Claimed
from worlds.hosts.messages import Kill, Wanted
from worlds.hosts.registry import admit
from worlds.observing import observe
from worlds.uplink.messages import MAX_BATCH, Save
from zonecluster.protocol import bus

log = structlog.get_logger(__name__)

TICK_S = 0.1
FLUSH_S = 0.02
STATUS_S = 3.0
CATALOG_S = 10.0
UPKEEP_S = 1.0
LOCK_S = 5.0
BUS_WAIT_S = 3.0  # how long a start waits for the bus before it goes on without
STOP_S = 6.0  # how long a stop waits for outstanding writes; a supervisor kills after 10 s
CANCEL_TRIES = 10
DATABASE_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
DATABASE_DOWN = (OperationalError, InterfaceError)


async def _cancel(tasks: set[asyncio.Task]) -> None:
    """Cancel until they have ended: redis-py swallows a cancellation that comes while it connects."""
    for _ in range(CANCEL_TRIES):
        for task in tasks:
            task.cancel()
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=0.2)
    if tasks:
        log.warning("tasks_not_ended", tasks=len(tasks))


class DaemonService:
    """One world's daemon, running."""

    def __init__(
        self,
        catalog: Catalog,
        master: MasterClient,
        lock: WorldLock,
        journal: store.Journal,
        place: Place | None = None,
    ) -> None:
        """`place`: where host agents come; None: nowhere, and clusters are started by others."""
        self._slug = catalog.world
        self._gateway_url = catalog.gateway_url
        self._master = master
        self._lock = lock
        self._unfinished = journal.unfinished
        self._journal = JournalKeeper(journal, self.handle)
        self._rng = SystemRandom()
        started_at = datetime.now(UTC)
        # Orders grow over restarts of the daemon: a later start is a higher number.
        self.core = DaemonCore(catalog, started_at, int(started_at.timestamp() * 1000) << 20)
        self._outbox = Outbox()
        self._figures = ShellFigures()
        self._figures.registry.register(CoreFigures(self.core.world, self._outbox, lambda: journal.size))
        self._calls: list[Call] = []
        self._asking: set[asyncio.Task] = set()
        self._rows: asyncio.Queue[rows.RowEffect] = asyncio.Queue()
        self._door = Door(self._slug, place, self._admit_host, self.handle, self._alarm) if place else None
        self._worker = BusWorker(self._slug, self._on_batch, self._on_bus)
        self._bus_known = asyncio.Event()
        self._stop = asyncio.Event()

    # ---------------------------------------------------------------- life

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Run until `stop`, then hand in what is written. `on_ready` is called once when players may come.

        Raises: AlreadyRunning: the lock was lost to another daemon.
        """
        steps = [
            self._worker.handle(),
            self._every(TICK_S, self._tick),
            self._every(FLUSH_S, self._flush),
            self._every(STATUS_S, self._note_status),
            self._every(CATALOG_S, self._reload_catalog),
            self._every(UPKEEP_S, self._load_upkeep),
            self._every(LOCK_S, self._keep_lock),
            self._write_rows(),
            self._journal.run(),
            *([self._door.run()] if self._door is not None else []),
        ]
        pages = observe("worlddaemon", self._figures.registry, self._why_not_ready, {"world": self._slug})
        if pages is not None:
            steps.append(pages.serve_in_loop())
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            await self._start()
            on_ready(f"world {self._slug}: {self.core.players} in play")
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # a step ends only by its error
            await self._finish()
        finally:
            await _cancel({*tasks, *self._asking})
            if pages is not None:
                pages.close()

    def _why_not_ready(self) -> str:
        """Return why nobody can enter this world now; empty if they can."""
        w = self.core.world
        if w.is_stopping or not w.is_loaded:
            return "stopping" if w.is_stopping else "starting"
        if not w.is_bus_up:
            return "the bus does not work"
        return "" if w.clusters.alive() else "no zone cluster is alive"

    def stop(self) -> None:
        """Ask for the end; from a signal handler."""
        self._stop.set()

    async def _start(self) -> None:
        try:
            async with asyncio.timeout(BUS_WAIT_S):
                await self._bus_known.wait()
        except TimeoutError:
            log.warning("bus_not_there_yet", waits="in the background")
        sessions = await sync_to_async(rows.load_open_sessions)(self._slug)
        self.handle(JournalLoaded([unfinished_of(write) for write in self._unfinished]))
        self._unfinished = []
        waiting = await sync_to_async(queue_rows.load_queue)(self._slug, datetime.now(UTC))
        self.handle(SessionsLoaded(sessions, waiting))

    async def _finish(self) -> None:
        """No more entries; outstanding writes get a few seconds; players stay in their clusters."""
        log.info("stopping", players=self.core.players)
        self.handle(Stopping())
        try:
            async with asyncio.timeout(STOP_S):
                while not self._is_quiet():
                    await asyncio.sleep(TICK_S)
                await self._rows.join()
                await self._journal.step(0.0)
        except TimeoutError:
            log.warning("stopped_with_writes_outstanding", rows=self._rows.qsize(), calls=len(self._asking))
        await self._outbox.flush()
        log.info("stopped")

    def _is_quiet(self) -> bool:
        is_asked = bool(self._asking or self._calls)
        return self.core.is_quiet and not is_asked and self._rows.empty() and self._journal.is_idle

    async def _every(self, seconds: float, step: Callable[[], Any]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            result = step()
            if result is not None:
                await result
            began = loop.time()
            await asyncio.sleep(seconds)
            self._figures.lag_seconds.observe(max(loop.time() - began - seconds, 0.0))

    # ---------------------------------------------------------------- events

    def handle(self, event: Event) -> None:
        """Give an event to the core and take its effects on their way."""
        try:
            effects = self.core.handle(event, time.monotonic(), self._rng)
        except Exception:  # noqa: BLE001  (one bad event must not take the world down; the log has all of it)
            log.exception("event_failed", kind=type(event).__name__)
            effects = self.core.world.effects
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendToGateway(gateway, message):
                self._outbox.put(gateway_channel(gateway), message)
            case SendToCluster(cluster, message):
                self._outbox.put(cluster_channel(self._slug, cluster), message)
            case HailAll():
                self._hail()
            case Call():
                self._calls.append(effect)
            case LoadReceipts():
                self._track(self._load_receipts(effect))
            case CarryOut():
                self._track(self._carry_out_order(effect))
            case Log(name, level, fields):
                getattr(log, level)(name, **fields)
            case Journal() | ProbeJournal() | SetAside():
                self._journal.put(effect)
            case WantClusters(host, clusters, processes):
                self._tell_host(host, Wanted(clusters=clusters, processes=processes))
            case KillCluster(host, cluster, run):
                self._tell_host(host, Kill(cluster=cluster, run=run))
            case _:
                self._rows.put_nowait(effect)

    def _hail(self) -> None:
        for cluster in self.core.world.catalog.clusters:
            self._outbox.put(cluster_channel(self._slug, cluster), bus.Hail(world=self._slug))
        self._track(self._hail_gateways())

    async def _hail_gateways(self) -> None:
        payload = bus.encoder.encode([bus.Hail(world=self._slug)])
        try:
            async with asyncio.timeout(2.0):
                layer = get_channel_layer()
                await layer.group_send(gateways_group(self._slug), {"type": "bus.batch", "payload": payload})
        except BUS_ERRORS as error:
            log.debug("hail_not_sent", cause=str(error))

    def _on_batch(self, messages: list[Any]) -> None:
        for message in messages:
            self._figures.heard.labels(type(message).__name__).inc()
            self.handle(FromBus(message))

    def _on_bus(self, is_up: bool) -> None:
        is_first = not self._bus_known.is_set()
        self._bus_known.set()
        if not (is_first and is_up):
            self.handle(BusBack() if is_up else BusLost())

    def _tick(self) -> None:
        self.handle(Tick())

    # ---------------------------------------------------------------- master

    async def _flush(self) -> None:
        """Send what has gathered: one batch to each process, one batch of saves to the master."""
        calls, self._calls = self._calls, []
        saves = [call for call in calls if isinstance(call.request, Save)]
        for start in range(0, len(saves), MAX_BATCH):
            self._track(self._ask(saves[start : start + MAX_BATCH]))
        for call in calls:
            if not isinstance(call.request, Save):
                self._track(self._ask([call]))
        await self._outbox.flush()

    def _track(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, calls: list[Call]) -> None:
        began = time.monotonic()
        try:
            answers = await self._master.carry_out(calls)
        except Exception as error:  # noqa: BLE001  (the core waits for an answer to each call, whatever happens)
            log.exception("uplink_failed", calls=len(calls))
            answers = [Answered(call.id, Unreachable(f"{type(error).__name__}: {error}")) for call in calls]
        kind, took = type(calls[0].request).__name__.lower(), time.monotonic() - began
        self._figures.answered(kind, outcome_of(answers), took)
        for answer in answers:
            self.handle(answer)

    # ---------------------------------------------------------------- database

    async def _load_receipts(self, effect: LoadReceipts) -> None:
        """Read a page of receipts; the core asks again if the database is away."""
        try:
            page = await sync_to_async(rows.load_receipts)(self._slug, effect)
        except DatabaseError as error:
            log.warning("receipts_not_read", cause=str(error).strip())
        else:
            self.handle(page)

    async def _carry_out_order(self, effect: CarryOut) -> None:
        """Have an order of the world's keepers in the rows; the core asks again if the database is away."""
        try:
            outcome = await sync_to_async(self._order_rows)(effect)
        except DatabaseError as error:
            log.warning("order_not_carried_out", order=str(effect.order), cause=str(error).strip())
            outcome = CarriedOut(effect.order, False, "", is_known=False)
        self.handle(outcome)

    def _order_rows(self, effect: CarryOut) -> CarriedOut:
        close_old_connections()
        return order_rows.carry_out(self._slug, effect, datetime.now(UTC))

    async def _write_rows(self) -> None:
        """Write what the core wants durable, in order; wait for a database that is away."""
        attempt = 0
        waiting: list[rows.RowEffect] = []
        while True:
            waiting = waiting or [await self._rows.get()]
            while len(waiting) < MAX_BATCH and not self._rows.empty():
                waiting.append(self._rows.get_nowait())
            try:
                await sync_to_async(self._write)(waiting)
            except DATABASE_DOWN as error:
                if attempt == 0:
                    log.warning("database_unreachable", cause=str(error).strip(), waiting=len(waiting))
                await asyncio.sleep(DATABASE_RETRY_S[min(attempt, len(DATABASE_RETRY_S) - 1)])
                attempt += 1
                continue
            if attempt:
                log.info("database_back")
            attempt = 0
            written, waiting = waiting, []
            for effect in written:
                self._rows.task_done()
                if isinstance(effect, RecordSession):
                    self.handle(Recorded(effect.row.id))
                elif isinstance(effect, StorePoison):
                    self.handle(PoisonStored(effect.report.session, effect.report.stay))
                for receipt in rows.receipts_in(effect):
                    self._journal.finish(receipt.line, receipt.version)

    def _write(self, effects: list[rows.RowEffect]) -> None:
        """Write together; if the database refuses that, one by one, so that one bad row stops no other."""
        close_old_connections()
        now = datetime.now(UTC)
        try:
            rows.write_rows(self._slug, effects, now)
        except DATABASE_DOWN:
            raise
        except DatabaseError:
            for effect in effects:
                self._write_alone(effect, now)

    def _write_alone(self, effect: rows.RowEffect, now: datetime) -> None:
        try:
            rows.write_rows(self._slug, [effect], now)
        except DATABASE_DOWN:
            raise
        except DatabaseError:
            log.exception("row_refused", effect=type(effect).__name__)

    def _note_status(self) -> None:
        """Write what the admin shows of the clusters; skipped while the database is behind."""
        if self._rows.qsize() > MAX_BATCH:
            return
        seen_at = datetime.now(UTC)
        for cluster in self.core.world.clusters.alive():
            status = {
                "incarnation": str(cluster.incarnation),
                "players": cluster.players,
                "tick_ms": round(cluster.tick_ms, 2),
                "dilation": cluster.dilation,
                "instances": sorted(cluster.instances),
                "metrics": cluster.metrics,
                "figures": msgspec.to_builtins(cluster.figures),
            }
            self._rows.put_nowait(rows.ClusterStatus(cluster.name, seen_at, status))
        for host in self.core.world.hosts.connected():
            self._rows.put_nowait(host_rows.status_of(host, seen_at))
        if self._door is not None:
            self._rows.put_nowait(host_rows.DoorStatus(*self._door.whereabouts()))

    async def _reload_catalog(self) -> None:
        """Notice new clusters, zones, hosts and texts without a restart."""
        began = time.monotonic()
        try:
            catalog = await sync_to_async(self._load_catalog)()
        except DatabaseError as error:
            log.debug("catalog_not_reloaded", cause=str(error))
            return
        if catalog != self.core.world.catalog:
            log.info("catalog_loaded", zones=len(catalog.zones), clusters=len(catalog.clusters))
            self.handle(CatalogLoaded(catalog))
        if self._door is not None:
            self._door.keep({host.name: host.key for host in catalog.hosts.values()}, began)

    def _load_catalog(self) -> Catalog:
        close_old_connections()
        return rows.load_catalog(self._slug, self._gateway_url)

    async def _load_upkeep(self) -> None:
        """Notice what staff, planner and Celery ask for; a database that is away is waited for."""
        if not self.core.world.is_loaded:
            return
        try:
            event = await sync_to_async(self._read_upkeep)()
        except DatabaseError as error:
            log.debug("upkeep_not_loaded", cause=str(error))
            return
        self.handle(event)

    def _read_upkeep(self) -> UpkeepLoaded:
        close_old_connections()
        return upkeep_rows.load_upkeep(self._slug, datetime.now(UTC))

    # ---------------------------------------------------------------- hosts

    def _tell_host(self, host: str, order: Wanted | Kill) -> None:
        if self._door is not None:
            self._door.tell(host, order)

    async def _admit_host(self, claim: Claimed) -> Admitted:
        return Admitted(*await sync_to_async(self._look_up_host)(claim))

    def _look_up_host(self, claim: Claimed) -> tuple[str, bytes]:
        close_old_connections()
        return admit(world=self._slug, claim=claim, now=datetime.now(UTC))

    def _alarm(self, key: str, text: str, advice: str) -> None:
        self._rows.put_nowait(RaiseAlarm(key, text, advice) if text else EndAlarm(key))

    async def _keep_lock(self) -> None:
        """Make sure that we are still the one; a database that is away is waited for."""
        try:
            await sync_to_async(self._lock.acquire)()
        except AlreadyRunning:
            log.error("lock_lost_to_another_daemon", world=self._slug)
            raise
        except DatabaseError as error:
            log.warning("lock_not_confirmed", cause=str(error).strip())
