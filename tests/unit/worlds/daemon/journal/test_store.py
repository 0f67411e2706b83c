"""The journal's files: what append has returned for is there after any end; a full disk loses nothing."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.unit.worlds.daemon.journal.test_records import LINE, write
from worlds.daemon.journal.records import Done, Probe, Write
from worlds.daemon.journal.recovery import JournalDamaged
from worlds.daemon.journal.store import Journal, JournalInUse, JournalUnavailable

ROOM = 10**6


class Disk:
    """Stands for fdatasync: counts, and fails while told to."""

    def __init__(self) -> None:
        self.syncs, self.is_broken = 0, False

    def __call__(self, file: int) -> None:
        self.syncs += 1
        if self.is_broken:
            raise OSError(5, "Input/output error")
        os.fdatasync(file)


def done(finished: Write) -> Done:
    return Done(finished.line, finished.version + 1)


@pytest.fixture
def disk() -> Disk:
    return Disk()


def opened(folder: Path, disk: Disk, **options: int) -> Journal:
    return Journal(folder, **{"max_bytes": ROOM, **options}, sync=disk)


def again(journal: Journal, folder: Path, disk: Disk) -> list[Write]:
    """Close, open anew, and return what is unfinished."""
    journal.close()
    new = opened(folder, disk)
    unfinished = new.unfinished
    new.close()
    return unfinished


def test_one_commit_is_one_sync(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    journal.append([write(line=uuid4())])
    before = disk.syncs
    journal.append([write(line=uuid4()) for _ in range(200)])
    assert disk.syncs == before + 1
    assert len(again(journal, tmp_path, disk)) == 201


def test_what_is_unfinished_survives(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    first, second, other = write(4), write(5), write(4, line=uuid4())
    journal.append([first])
    journal.append([second, other])
    journal.append([done(first)])
    assert again(journal, tmp_path, disk) == [second, other]
    assert again(opened(tmp_path, disk), tmp_path, disk) == [second, other]


def test_a_torn_end_is_left_out_and_written_over(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    kept, torn, later = write(4), write(5), write(5)
    journal.append([kept])
    journal.append([torn])
    journal.close()
    (file,) = tmp_path.glob("*.journal")
    file.write_bytes(file.read_bytes()[:-3])
    journal = opened(tmp_path, disk)
    assert journal.unfinished == [kept]
    journal.append([later])
    assert again(journal, tmp_path, disk) == [kept, later]


def test_damage_is_refused(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    journal.append([write(4)])
    journal.append([write(5)])
    journal.close()
    (file,) = tmp_path.glob("*.journal")
    data = bytearray(file.read_bytes())
    data[70] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(JournalDamaged, match=file.name):
        opened(tmp_path, disk)
    file.unlink()
    opened(tmp_path, disk).close()  # the lock was let go


def test_one_process_at_a_time(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    with pytest.raises(JournalInUse):
        opened(tmp_path, disk)
    journal.close()
    opened(tmp_path, disk).close()


def test_segments_rotate_and_go_when_all_in_them_is_finished(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk, segment_bytes=4000)
    slow = write(1, line=uuid4())
    journal.append([slow])
    for version in range(100):
        new = write(version)
        journal.append([new])
        journal.append([done(new)])
    assert len(list(tmp_path.glob("*.journal"))) > 5, "the oldest write keeps them"
    journal.append([done(slow)])
    assert len(list(tmp_path.glob("*.journal"))) == 1
    assert again(journal, tmp_path, disk) == []


def test_an_old_write_is_moved_so_that_there_is_room(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk, max_bytes=30_000, segment_bytes=4000)
    slow, waiting = write(1, line=uuid4()), write(2, line=UUID(int=8))
    journal.append([slow, waiting])
    for _ in range(1000):
        journal.append([write(5)])
        assert journal.size <= 30_000
    assert {each.line for each in journal.unfinished} == {slow.line, waiting.line, LINE}
    assert {each.op_id for each in again(journal, tmp_path, disk)} >= {slow.op_id, waiting.op_id}


def test_full(tmp_path: Path, disk: Disk) -> None:
    """Nothing goes in, nothing is lost, and what is finished makes room."""
    journal = opened(tmp_path, disk, max_bytes=20_000, segment_bytes=2000)
    kept: list[Write] = []
    with pytest.raises(JournalUnavailable, match="is full: .*WAYSTONE_JOURNAL_MAX_BYTES"):
        while True:
            new = write(line=uuid4())
            journal.append([new])
            kept.append(new)
    with pytest.raises(JournalUnavailable):
        journal.append([Probe()] * 20)
    assert journal.unfinished == kept
    journal.append([done(each) for each in kept[:-1]])
    journal.append([write()])
    assert len(again(journal, tmp_path, disk)) == 2


def test_a_disk_that_fails_and_comes_back(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    first, lost, second = write(4), write(5), write(5)
    journal.append([first])
    disk.is_broken = True
    for _ in range(3):
        with pytest.raises(JournalUnavailable, match="Input/output error"):
            journal.append([lost])
    assert journal.unfinished == [first]
    disk.is_broken = False
    journal.append([second])
    assert again(journal, tmp_path, disk) == [first, second]


def test_a_disk_without_room(tmp_path: Path) -> None:
    """A real ENOSPC, of the device that is always full, in the middle of a segment."""
    journal = Journal(tmp_path, max_bytes=ROOM)
    first = write(4)
    journal.append([first])
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file)
    os.close(full)
    with pytest.raises(JournalUnavailable, match="No space left"):
        journal.append([write(5)])
    journal.append([second := write(5)])
    journal.close()
    reopened = Journal(tmp_path, max_bytes=ROOM)
    assert reopened.unfinished == [first, second]
    reopened.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        opened(tmp_path / "file", disk)


def test_set_aside(tmp_path: Path, disk: Disk) -> None:
    journal = opened(tmp_path, disk)
    refused, other = write(4, money=77), write(4, line=uuid4())
    journal.append([refused, other])
    disk.is_broken = True
    with pytest.raises(JournalUnavailable):
        journal.set_aside(refused, "stale")
    assert journal.unfinished == [refused, other], "what could not be set aside is not finished"
    disk.is_broken = False
    journal.set_aside(refused, "stale: another world")
    kept = msgspec.json.decode((tmp_path / "aside" / f"{refused.op_id}.json").read_bytes())
    assert kept["state"]["money"] == 77 and kept["reason"] == "stale: another world"
    assert kept["line"] == str(LINE) and kept["version"] == 4
    assert again(journal, tmp_path, disk) == [other]
