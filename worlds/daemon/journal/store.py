"""The journal's files: append, fdatasync, rotate, remove. Not here: what the bytes mean (records, recovery).

Used by one thread at a time. Every append is one commit and one fdatasync. Segments are removed, oldest
first, when nothing in them is unfinished; what keeps an old one is written again when room gets short.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec
import structlog

from worlds.daemon.journal.pending import Pending
from worlds.daemon.journal.records import (
    SEGMENT_HEAD,
    Done,
    Moved,
    Probe,
    Record,
    Write,
    commit_bytes,
    segment_head,
)
from worlds.daemon.journal.recovery import recover

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
FREE_BYTES = 1024 * 1024  # above the bound, for news that writes are finished: they make room
OVERHEAD_BYTES = 256  # of a write, beside its document
SUFFIX = ".journal"


class JournalUnavailable(OSError):
    """Nothing can be written: the disk is full or broken, or the journal has reached its bound."""


class JournalInUse(RuntimeError):
    """Another process has this journal open."""


@dataclass
class _Segment:
    path: Path
    size: int
    op_ids: set[UUID] = field(default_factory=set)  # of the writes in it


class Journal:
    """An open journal. `unfinished` is what it held when it was opened, and what has come since."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Open, and read all of it.

        Raises: JournalDamaged; JournalInUse; OSError: the folder cannot be used.
        """
        self._directory, self._max_bytes, self._segment_bytes = directory, max_bytes, segment_bytes
        self._sync = sync
        self._pending = Pending()
        self._segments: list[_Segment] = []
        self._file: int | None = None
        self._next = 1
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._read()
        except BaseException:
            os.close(self._lock)
            raise

    def _take_lock(self) -> int:
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise JournalInUse(f"Another process has the journal {self._directory} open.") from None
        return lock

    def _read(self) -> None:
        paths = sorted(self._directory.glob(f"*{SUFFIX}"))
        files = {path.name: path.read_bytes() for path in paths}
        for segment in recover(list(files.items())):
            size = len(files[segment.name])
            if segment.torn_bytes:
                log.warning("journal_end_torn", file=segment.name, bytes=segment.torn_bytes)
            records = [record for commit in segment.commits for record in commit.records]
            self._segments.append(_Segment(self._directory / segment.name, size, _op_ids(records)))
            self._pending.take(records)
            self._next = segment.first + len(segment.commits)

    @property
    def unfinished(self) -> list[Write]:
        """The writes that are not finished; those of one line in the order in which they are to be sent."""
        return list(self._pending)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    def close(self) -> None:
        """Let go of the files."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    # ---------------------------------------------------------------- writing

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable, all or none.

        Raises: JournalUnavailable: none is, and what is to be written may be offered again.
        """
        moved = self._to_move()
        data = commit_bytes(self._next, [*records, *moved])
        is_new = any(isinstance(record, Write | Probe) for record in records)
        bound = self._max_bytes if is_new else self._max_bytes + FREE_BYTES
        freed = self._segments[0].size if moved else 0
        if self.size - freed + len(data) > bound:
            raise JournalUnavailable(
                f"the journal {self._directory} is full: {self.size} bytes of {self._max_bytes} "
                f"(WAYSTONE_JOURNAL_MAX_BYTES), {len(self._pending)} writes wait for the master"
            )
        try:
            self._write(data)
        except OSError as error:
            self._abandon()
            raise JournalUnavailable(f"the journal {self._directory} cannot be written: {error}") from error
        self._next += 1
        self._pending.take(records)
        if moved:
            self._segments[0].op_ids.clear()
        self._segments[-1].op_ids |= _op_ids([*records, *moved])
        self._remove_finished()

    def _to_move(self) -> list[Moved]:
        """Return what keeps the oldest segment, once half of the room is used, most of it for nothing."""
        if self.size * 2 < self._max_bytes or len(self._segments) < 2:
            return []
        if sum(len(write.state) + OVERHEAD_BYTES for write in self._pending) * 2 > self.size:
            return []
        oldest = self._segments[0].op_ids
        return [Moved(write) for write in self._pending if write.op_id in oldest]

    def _write(self, data: bytes) -> None:
        if self._file is None or self._segments[-1].size + len(data) > self._segment_bytes:
            self._begin_segment()
        assert self._file is not None
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._sync(self._file)
        self._segments[-1].size += len(data)

    def _begin_segment(self) -> None:
        path = self._directory / f"{self._next:020}{SUFFIX}"
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._segments = [each for each in self._segments if each.path != path]  # one that was only begun
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = file
        self._segments.append(_Segment(path, SEGMENT_HEAD.size))
        os.write(file, segment_head(self._next))
        self._sync(file)
        _sync_folder(self._directory)

    def _abandon(self) -> None:
        """Write no more to this segment: after a failed sync nobody knows what of it is on the disk."""
        if self._file is None:
            return
        segment = self._segments[-1]
        with contextlib.suppress(OSError):  # what stays behind is not read: the next segment has its number
            os.ftruncate(self._file, segment.size)
        os.close(self._file)
        self._file = None

    def _remove_finished(self) -> None:
        while len(self._segments) > 1 and not any(
            op_id in self._pending for op_id in self._segments[0].op_ids
        ):
            try:
                self._segments[0].path.unlink()
            except OSError as error:
                log.warning("journal_segment_not_removed", cause=str(error))
                return
            del self._segments[0]

    # ---------------------------------------------------------------- refused writes

    def set_aside(self, write: Write, reason: str) -> None:
        """Keep a write that the master will never take where people can read it, and finish it.

        Raises: JournalUnavailable: it could not be kept; it stays unfinished.
        """
        try:
            folder = self._directory / "aside"
            folder.mkdir(mode=0o700, exist_ok=True)
            path = folder / f"{write.op_id}.json"
            fields = {**msgspec.structs.asdict(write), "state": msgspec.Raw(write.state), "reason": reason}
            with path.open("wb") as file:
                file.write(msgspec.json.encode(fields))
                file.flush()
                self._sync(file.fileno())
            _sync_folder(folder)
        except OSError as error:
            raise JournalUnavailable(f"{write.op_id} cannot be set aside: {error}") from error
        self.append([Done(write.line, write.version + 1)])


def _op_ids(records: Sequence[Record]) -> set[UUID]:
    found = set()
    for record in records:
        match record:
            case Write(op_id):
                found.add(op_id)
            case Moved(write):
                found.add(write.op_id)
    return found


def _sync_folder(directory: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
