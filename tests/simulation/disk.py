"""The disk of a simulated world's machine: its journal, as real bytes. Slow, full, and torn by a death."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from tests.simulation.ledger import gains_of
from worlds.daemon.core.effects import Journal, ProbeJournal, SetAside
from worlds.daemon.core.events import Journaled, JournalFailed, Unfinished
from worlds.daemon.journal.pending import Pending
from worlds.daemon.journal.records import (
    Done,
    Probe,
    Record,
    Write,
    commit_bytes,
    segment_head,
    unfinished_of,
    write_of,
)
from worlds.daemon.journal.recovery import recover
from zonecluster.protocol.character import decode_state

if TYPE_CHECKING:
    from tests.simulation.world import SimulatedWorld

COMMIT_S = (0.002, 0.02)
ROW_S = 0.02  # until a receipt is in the database


class Disk:
    """One segment; what is in `data` is durable."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world, self.rng = world, Random(f"{world.sim.seed} disk {world.slug}")
        self.dice = world.sim.chaos.dice(world.slug, ("disk_slow",))
        self.data = segment_head(1)
        self.next = 1
        self.waiting: list[tuple[int, Record]] = []  # ticket, 0: of nobody
        self.is_under_way = False
        self.full_until = -1.0
        self.gains: dict[UUID, dict[str, int]] = {}  # of each line: all that was ever durable here
        self.failing_since: float | None = None  # as the daemon was told

    def take(self, effect: Journal | ProbeJournal | SetAside) -> None:
        """Carry out what the core asks for."""
        match effect:
            case Journal(ticket, write):
                self.put(ticket, write_of(write))
            case ProbeJournal():
                self.put(0, Probe())
            case SetAside(write, reason):
                self.world.sim.ledger.check_set_aside(self.world.slug, write.save, reason)
                self.put(0, Done(write.save.line, write.save.version + 1))

    def finish(self, line: UUID, version: int) -> None:
        """The master has a version, and its receipt is on its way into the database."""
        self.world.sim.after(ROW_S, self._finish, self.world.generation, Done(line, version))

    def _finish(self, generation: int, done: Done) -> None:
        if generation == self.world.generation and self.world.core is not None:  # the dead write nothing
            self.put(0, done)

    def put(self, ticket: int, record: Record) -> None:
        self.waiting.append((ticket, record))
        if self.is_under_way:
            return
        self.is_under_way = True
        delay = self.rng.uniform(*COMMIT_S)
        if (struck := self.dice.roll()) is not None:
            delay += 3.0 * struck["disk_slow"]
        self.world.sim.after(delay, self.commit, self.world.generation)

    def commit(self, generation: int) -> None:
        """What has gathered becomes durable together, or fails together."""
        if generation != self.world.generation:
            return
        waiting, self.waiting, self.is_under_way = self.waiting, [], False
        tickets = tuple(ticket for ticket, _ in waiting if ticket)
        if self.world.core is None:
            return
        if self.world.sim.now < self.full_until:
            if self.failing_since is None:
                self.failing_since = self.world.sim.now
            self.waiting += [(0, record) for _, record in waiting if isinstance(record, Done)]
            self.world.feed(JournalFailed(tickets, "no space left on device"))
            return
        self.failing_since = None
        self.data += commit_bytes(self.next, [record for _, record in waiting])
        self.next += 1
        for _, record in waiting:
            if isinstance(record, Write):
                self.gains.setdefault(record.line, {}).update(gains_of(decode_state(record.state)))
        self.world.feed(Journaled(tickets))

    # ---------------------------------------------------------------- deaths

    def tear(self) -> None:
        """The daemon dies: of what was being written any part may be on the disk."""
        records = [record for _, record in self.waiting]
        self.waiting, self.is_under_way, self.failing_since = [], False, None
        if records:
            torn = commit_bytes(self.next, records)
            self.data += torn[: self.rng.randrange(len(torn) + 1)]

    def read(self) -> Sequence[Unfinished]:
        """Return what a daemon finds that starts now."""
        (segment,) = recover([("1.journal", self.data)])
        pending = Pending()
        for commit in segment.commits:
            pending.take(commit.records)
        self.next = segment.first + len(segment.commits)
        self.data = self.data[: len(self.data) - segment.torn_bytes]  # the next segment's place, in one file
        return [unfinished_of(write) for write in pending]

    def snapshot(self) -> bytes:
        return self.data

    def restore(self, data: bytes) -> None:
        """The machine goes back: so does its disk."""
        self.waiting, self.is_under_way, self.data = [], False, data
        self.read()
