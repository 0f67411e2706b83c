"""The journal in the daemon's loop: one commit for what has gathered, and an answer to every ticket."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.unit.worlds.daemon.journal.test_store import ROOM, Disk
from worlds.daemon.core.effects import Journal as KeepWrite
from worlds.daemon.core.effects import ProbeJournal, SetAside
from worlds.daemon.core.events import Event, Journaled, JournalFailed, Unfinished
from worlds.daemon.journal.keeper import JournalKeeper
from worlds.daemon.journal.store import Journal
from worlds.uplink.messages import Save
from zonecluster.protocol.character import CharacterState


class Kept:
    """A keeper, its journal and disk, and what the core was told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.disk = folder, Disk()
        self.told: list[Event] = []
        self.journal = Journal(folder, max_bytes=ROOM, sync=self.disk)
        self.keeper = JournalKeeper(self.journal, self.told.append)

    def step(self) -> list[Event]:
        """Make one commit; return what the core was told of it."""
        self.told.clear()
        asyncio.run(self.keeper.step(0.0))
        return list(self.told)

    @property
    def unfinished(self) -> list[UUID]:
        return [write.op_id for write in self.journal.unfinished]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.journal.close()


def write(line: UUID | None = None, version: int = 4) -> Unfinished:
    save = Save(line or uuid4(), 1, version, bytes(32), uuid4(), "quest", CharacterState(money=7))
    return Unfinished(uuid4(), save)


def test_all_that_has_gathered_is_one_commit(kept: Kept) -> None:
    kept.keeper.put(KeepWrite(1, write()))
    kept.step()
    syncs, writes = kept.disk.syncs, [write() for _ in range(20)]
    for ticket, each in enumerate(writes, 2):
        kept.keeper.put(KeepWrite(ticket, each))
    assert not kept.keeper.is_idle
    assert kept.step() == [Journaled(tuple(range(2, 22)))]
    assert kept.disk.syncs == syncs + 1 and kept.keeper.is_idle
    assert kept.unfinished[1:] == [each.save.op_id for each in writes]


def test_what_is_finished_goes_with_the_next_commit(kept: Kept) -> None:
    first = write()
    kept.keeper.put(KeepWrite(1, first))
    kept.step()
    kept.keeper.finish(first.save.line, first.save.version + 1)
    second = write()
    kept.keeper.put(KeepWrite(2, second))
    assert kept.step() == [Journaled((2,))]
    assert kept.unfinished == [second.save.op_id]


def test_what_is_finished_goes_alone_when_nothing_else_comes(kept: Kept) -> None:
    first = write()
    kept.keeper.put(KeepWrite(1, first))
    kept.step()
    kept.keeper.finish(first.save.line, first.save.version + 1)
    assert kept.step() == [] and kept.unfinished == []


def test_nothing_to_do_touches_nothing(kept: Kept) -> None:
    assert kept.step() == [] and kept.disk.syncs == 0


def test_a_broken_disk_is_told_and_tried(kept: Kept) -> None:
    first, second = write(), write()
    kept.keeper.put(KeepWrite(1, first))
    kept.step()
    kept.disk.is_broken = True
    kept.keeper.finish(first.save.line, first.save.version + 1)
    kept.keeper.put(KeepWrite(2, second))
    (told,) = kept.step()
    assert isinstance(told, JournalFailed) and told.tickets == (2,) and "Input/output error" in told.cause
    kept.keeper.put(ProbeJournal())
    assert isinstance(kept.step()[0], JournalFailed)
    kept.disk.is_broken = False
    kept.keeper.put(ProbeJournal())
    assert kept.step() == [Journaled(())]
    assert kept.unfinished == [], "the news that the first is finished was not lost"


def test_a_refused_write_is_set_aside_when_the_disk_can(kept: Kept) -> None:
    refused = write()
    kept.keeper.put(KeepWrite(1, refused))
    kept.step()
    kept.disk.is_broken = True
    kept.keeper.put(SetAside(refused, "stale"))
    kept.step()
    assert kept.unfinished == [refused.save.op_id]
    kept.disk.is_broken = False
    kept.step()
    assert kept.unfinished == [] and (kept.folder / "aside" / f"{refused.save.op_id}.json").exists()
