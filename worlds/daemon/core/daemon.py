"""The core's one way in: which event goes to which part. Owns the order of things within an event."""

from datetime import datetime
from random import Random

from worlds.daemon.core import (
    answers,
    exchanges,
    hearing,
    life,
    orders,
    poison,
    queueing,
    recovery,
    reoffers,
    replay,
    steps,
    supervision,
    writes,
)
from worlds.daemon.core.catalog import Catalog
from worlds.daemon.core.effects import Effect, HailAll
from worlds.daemon.core.events import (
    Answered,
    BusBack,
    BusLost,
    CatalogLoaded,
    Event,
    FromBus,
    Journaled,
    JournalFailed,
    JournalLoaded,
    PoisonStored,
    ReceiptsLoaded,
    Recorded,
    SessionsLoaded,
    Stopping,
    Tick,
)
from worlds.daemon.core.hosts import HostHeard, HostLost
from worlds.daemon.core.ordering import CarriedOut
from worlds.daemon.core.session import IN_PLAY
from worlds.daemon.core.state import World
from worlds.daemon.core.upkeep import UpkeepLoaded

PAUSE_S = 10.0  # so long without any event: the process was stopped, it looks at the time many times a second
REVISION_BITS = 20  # of an order's number; what is left is below 2**53, which every client can hold


class DaemonCore:
    """The world daemon as a function of its events."""

    def __init__(self, catalog: Catalog, started_at: datetime, first_order: int) -> None:
        """Make an empty world. `first_order`: above every order of an earlier daemon of this world."""
        self.world = World(catalog, started_at, first_order, first_order >> REVISION_BITS)

    def handle(self, event: Event, now: float, rng: Random) -> list[Effect]:
        """Take one event; return what is to be done.

        Args: now: seconds, monotonic, never less than before.
        """
        w = self.world
        pause_s, w.now, w.rng, w.effects = now - w.now, now, rng, []
        if pause_s > PAUSE_S:
            hearing.woke(w)
        match event:
            case FromBus(message):
                hearing.from_bus(w, message)
            case Tick():
                steps.tick(w)
            case Answered(call, answer):
                answers.answered(w, call, answer)
            case PoisonStored(session, stay):
                poison.on_stored(w, session, stay)
            case Recorded(session):
                answers.recorded(w, session)
            case Journaled(tickets):
                answers.journaled(w, tickets)
            case JournalFailed(tickets, cause):
                answers.journal_failed(w, tickets, cause)
            case JournalLoaded(unfinished):
                replay.load(w, unfinished)
            case ReceiptsLoaded():
                reoffers.on_loaded(w, event)
            case UpkeepLoaded():
                steps.upkeep(w, event)
            case CarriedOut():
                orders.on_carried_out(w, event)
            case HostHeard(host, report):
                supervision.heard(w, host, report)
            case HostLost(host):
                supervision.lost(w, host)
            case CatalogLoaded(catalog):
                life.on_catalog(w, catalog)
            case SessionsLoaded(rows, waiting):
                recovery.load(w, rows)
                queueing.load(w, waiting)
                w.emit(HailAll())
            case BusLost():
                w.is_bus_up = False
                w.log("bus_lost", "warning")
            case BusBack():
                hearing.bus_back(w)
            case Stopping():
                w.is_stopping = True
        exchanges.step(w)
        for s in list(w.sessions.values()):
            if s.writer is not None and not s.head.is_idle:
                writes.push(w, s)
        return w.effects

    @property
    def is_quiet(self) -> bool:
        """Whether no write is outstanding or waiting, and no exchange."""
        is_written = all(s.writer is None or s.head.is_idle for s in self.world.sessions.values())
        return is_written and not self.world.exchanges

    @property
    def players(self) -> int:
        """How many sessions are in play."""
        return sum(s.phase in IN_PLAY for s in self.world.sessions.values())
