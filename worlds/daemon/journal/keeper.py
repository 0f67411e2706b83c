"""The journal in the daemon's loop: what has gathered since the last commit goes to the disk as the next one.

The commit runs in a thread, so that a slow disk holds up nobody but those who wait for it.
"""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from worlds.daemon.core.effects import Journal as KeepWrite
from worlds.daemon.core.effects import ProbeJournal, SetAside
from worlds.daemon.core.events import Event, Journaled, JournalFailed
from worlds.daemon.journal.records import Done, Probe, Record, write_of
from worlds.daemon.journal.store import Journal, JournalUnavailable

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 500  # writes of one commit
IDLE_S = 1.0  # how long news that a write is finished may wait for another commit to go with

JournalEffect = KeepWrite | ProbeJournal | SetAside


class JournalKeeper:
    """Carries out the core's effects on the journal, in their order, and tells it what came of them."""

    def __init__(self, journal: Journal, tell: Callable[[Event], None]) -> None:
        """`tell` gives an event to the core; it is called in the loop."""
        self._journal, self._tell = journal, tell
        self._waiting: asyncio.Queue[JournalEffect] = asyncio.Queue()
        self._done: list[Done] = []
        self._aside: list[SetAside] = []
        self._is_busy = False

    def put(self, effect: JournalEffect) -> None:
        """Take an effect."""
        self._waiting.put_nowait(effect)

    def finish(self, line: UUID, version: int) -> None:
        """The receipt of that version is stored: the journal may forget what led to it."""
        self._done.append(Done(line, version))

    @property
    def is_idle(self) -> bool:
        """Whether all that was put is on the disk, or has failed."""
        return self._waiting.empty() and not self._is_busy

    async def run(self) -> None:
        """Commit what comes, until cancelled."""
        while True:
            await self.step(IDLE_S)

    async def step(self, wait_s: float) -> None:
        """Make one commit, of what comes within that time."""
        effects = await self._gather(wait_s)
        done, self._done = self._done, []
        aside = self._aside + [effect for effect in effects if isinstance(effect, SetAside)]
        keeps = [effect for effect in effects if isinstance(effect, KeepWrite)]
        is_probe = len(keeps) + len(aside) < len(effects)
        if not effects and not done and not aside:
            return
        self._is_busy = True
        try:
            self._aside = await asyncio.to_thread(self._set_aside, aside)
            records: list[Record] = [*(write_of(keep.write) for keep in keeps), *done]
            cause = await asyncio.to_thread(self._commit, [*records, Probe()] if is_probe else records)
        finally:
            self._is_busy = False
        tickets = tuple(keep.ticket for keep in keeps)
        if cause:
            self._done = done + self._done
            self._tell(JournalFailed(tickets, cause))
        elif tickets or is_probe:
            self._tell(Journaled(tickets))

    async def _gather(self, wait_s: float) -> list[JournalEffect]:
        try:
            async with asyncio.timeout(wait_s):
                effects = [await self._waiting.get()]
        except TimeoutError:
            return []
        while len(effects) < MOST_AT_ONCE and not self._waiting.empty():
            effects.append(self._waiting.get_nowait())
        return effects

    def _commit(self, records: list[Record]) -> str:
        """Make records durable; returns why that failed, empty if it did not. In a thread."""
        try:
            if records:
                self._journal.append(records)
        except JournalUnavailable as error:
            return str(error)
        return ""

    def _set_aside(self, effects: list[SetAside]) -> list[SetAside]:
        """Put refused writes where people find them; returns those to be tried again. In a thread."""
        failed = []
        for effect in effects:
            try:
                self._journal.set_aside(write_of(effect.write), effect.reason)
            except JournalUnavailable as error:
                log.error("write_not_set_aside", op_id=str(effect.write.save.op_id), cause=str(error))
                failed.append(effect)
        return failed
