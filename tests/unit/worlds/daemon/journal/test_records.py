"""The journal's bytes: what a crash or a bad disk leaves of them is a prefix, or is refused."""

from uuid import UUID, uuid4

import pytest

from worlds.daemon.core.events import Unfinished
from worlds.daemon.journal.pending import Pending
from worlds.daemon.journal.records import (
    SEGMENT_HEAD,
    Commit,
    Done,
    Moved,
    Probe,
    Write,
    commit_bytes,
    read_commit,
    segment_head,
    unfinished_of,
    write_of,
)
from worlds.daemon.journal.recovery import JournalDamaged, recover
from worlds.uplink.messages import Save
from zonecluster.protocol.character import CharacterState, InvalidState, encode_state

LINE, ALICE = UUID(int=1), UUID(int=2)


def write(version: int = 4, money: int = 7, line: UUID = LINE, op_id: UUID | None = None) -> Write:
    state = encode_state(CharacterState(money=money))
    return Write(op_id or uuid4(), ALICE, line, 1_000_001, version, bytes(32), "quest", state)


def segment(first: int, *commits: list) -> bytes:
    numbered = enumerate(commits, first)
    return segment_head(first) + b"".join(commit_bytes(number, records) for number, records in numbered)


def read(*files: bytes) -> list[Commit]:
    named = [(f"{number}.journal", data) for number, data in enumerate(files)]
    return [commit for each in recover(named) for commit in each.commits]


def test_records_come_back_as_they_were() -> None:
    records = [write(), Moved(write(5)), Done(LINE, 5), Probe()]
    (commit,) = read(segment(9, records))
    assert (commit.sequence, commit.records) == (9, records)


def test_a_write_is_the_save_that_it_was_made_of() -> None:
    save = Save(LINE, 3, 4, bytes(range(32)), uuid4(), "level", CharacterState(money=5))
    assert unfinished_of(write_of(Unfinished(ALICE, save))) == Unfinished(ALICE, save)


@pytest.mark.parametrize("state", [b"{", b'{"schema":2}', b'{ "schema": 1 }', b'{"money":-1}'])
def test_a_document_of_another_schema_is_refused(state: bytes) -> None:
    strange = Write(uuid4(), ALICE, LINE, 1, 1, bytes(32), "quest", state)
    with pytest.raises(InvalidState):
        unfinished_of(strange)


COMMITS = ([write(4)], [write(5), write(9, line=UUID(int=3))], [write(6), Done(LINE, 5)])
WHOLE = segment(1, *COMMITS)
LAST = len(segment(1, *COMMITS[:-1]))


def test_cut_at_every_byte() -> None:
    """Of a file that ends anywhere there is a prefix: all commits that are whole, and none that is not."""
    ends = [SEGMENT_HEAD.size, *(commit.end for commit in read(WHOLE))]
    for length in range(len(WHOLE) + 1):
        found = read(WHOLE[:length])
        assert len(found) == sum(end <= length for end in ends[1:])
        assert [commit.records for commit in found] == list(COMMITS[: len(found)])


def test_every_byte_of_the_last_commit_flipped() -> None:
    for offset in range(LAST, len(WHOLE)):
        for bit in (0x01, 0x80):
            damaged = bytearray(WHOLE)
            damaged[offset] ^= bit
            assert [commit.records for commit in read(bytes(damaged))] == list(COMMITS[:-1])


def test_every_byte_before_the_last_commit_flipped() -> None:
    """What was promised and cannot be read is refused, with the place."""
    for offset in range(LAST):
        damaged = bytearray(WHOLE)
        damaged[offset] ^= 0x40
        with pytest.raises(JournalDamaged, match=r"0\.journal, byte \d+"):
            read(bytes(damaged))


def test_the_end_of_an_older_segment_must_be_whole() -> None:
    older, newer = segment(1, *COMMITS), segment(4, [write(7)])
    assert len(read(older, newer)) == 4
    for length in range(SEGMENT_HEAD.size, len(older)):
        with pytest.raises(JournalDamaged, match="are missing before it"):
            read(older[:length], newer)


def test_a_missing_segment_is_noticed() -> None:
    with pytest.raises(JournalDamaged, match="commits 2 to 8 are missing"):
        read(segment(1, [write()]), segment(9, [write()]))


def test_older_segments_may_be_gone() -> None:
    assert [commit.sequence for commit in read(segment(7, [write()]), segment(8, [write()]))] == [7, 8]


def test_a_commit_whose_sync_failed_counts_where_it_was_written_again() -> None:
    """Nobody was told that commit 2 is durable before it was in the second segment."""
    first, again = write(5), write(5)
    commits = read(segment(1, [write(4)], [first]), segment(2, [again]))
    assert [commit.sequence for commit in commits] == [1, 2]
    assert commits[-1].records == [again]


def test_a_segment_that_was_only_being_begun_is_nothing() -> None:
    begun = segment_head(4)
    for length in range(len(begun)):
        assert len(read(segment(1, *COMMITS), begun[:length])) == 3


@pytest.mark.parametrize(
    "data", [b"", b"WSJC" * 40, bytes(200), segment(1)[:-1] + b"?" + commit_bytes(1, [])[:-1]]
)
def test_strange_bytes_are_no_commit(data: bytes) -> None:
    assert read_commit(data, 0) is None


def test_a_commit_of_another_program_is_refused() -> None:
    strange = commit_bytes(1, [{"type": "unheard of"}])  # type: ignore[list-item]
    with pytest.raises(JournalDamaged):
        read(segment_head(1) + strange + commit_bytes(2, [write()]))


# ---------------------------------------------------------------- what is not finished


def ops(pending: Pending) -> list[UUID]:
    return [each.op_id for each in pending]


def test_a_newer_waiting_state_takes_the_place_of_the_older() -> None:
    asked, older, newer = write(4), write(5), write(5)
    pending = Pending()
    pending.take([asked, older, newer])
    assert ops(pending) == [asked.op_id, newer.op_id]


def test_a_state_that_moves_up_takes_the_place_of_all_behind_it() -> None:
    refused, waiting, again = write(4), write(5), write(4)
    pending = Pending()
    pending.take([refused, waiting, again])
    assert ops(pending) == [again.op_id]


def test_a_finished_write_finishes_the_older_ones() -> None:
    first, second, other = write(4), write(5), write(4, line=UUID(int=9))
    pending = Pending()
    pending.take([first, second, other, Done(LINE, 6), Done(uuid4(), 9)])
    assert ops(pending) == [other.op_id] and len(pending) == 1
    assert first.op_id not in pending and other.op_id in pending


def test_a_write_that_the_journal_could_not_keep_finishes_those_it_has() -> None:
    """The newer state of version 5 went to the master while the disk was full: the older was never sent."""
    asked, older = write(4), write(5)
    pending = Pending()
    pending.take([asked, older, Done(LINE, 5)])
    assert ops(pending) == [older.op_id]
    pending.take([Done(LINE, 6)])
    assert ops(pending) == []


def test_what_was_moved_keeps_its_place() -> None:
    asked, waiting = write(4), write(5)
    pending = Pending()
    pending.take([asked, waiting, Moved(asked)])
    assert ops(pending) == [asked.op_id, waiting.op_id]
    alone = Pending()
    alone.take([waiting, Moved(asked)])
    assert ops(alone) == [asked.op_id, waiting.op_id]
