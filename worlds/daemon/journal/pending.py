"""Which of the journal's writes are not finished. Pure; the same for a running journal and for its replay.

Of one line there are at most a few: the one that the master was asked for, and the newest that waits behind
it. A write takes the place of those that would have had its version or a later one: they were never sent.
"""

from collections.abc import Iterable, Iterator
from uuid import UUID

from worlds.daemon.journal.records import Done, Moved, Record, Write

MOST = 2**63  # above every version


class Pending:
    """The unfinished writes of each line, by version."""

    def __init__(self) -> None:
        self._of_line: dict[UUID, list[Write]] = {}
        self._line_of: dict[UUID, UUID] = {}

    def __contains__(self, op_id: UUID) -> bool:
        return op_id in self._line_of

    def __iter__(self) -> Iterator[Write]:
        """Yield all; those of one line in the order in which they are to be sent."""
        for writes in self._of_line.values():
            yield from writes

    def __len__(self) -> int:
        return len(self._line_of)

    def take(self, records: Iterable[Record]) -> None:
        """Note what a commit says."""
        for record in records:
            match record:
                case Write():
                    self._replace(record)
                case Moved(write) if write.op_id not in self:
                    self._insert(write)
                case Done(line, version):
                    self._keep(line, at_least=version)

    def _replace(self, write: Write) -> None:
        self._keep(write.line, below=write.version)
        self._insert(write)

    def _insert(self, write: Write) -> None:
        writes = self._of_line.setdefault(write.line, [])
        writes.append(write)
        writes.sort(key=lambda each: each.version)
        self._line_of[write.op_id] = write.line

    def _keep(self, line: UUID, at_least: int = 0, below: int = MOST) -> None:
        """Forget the writes of a line whose versions are not in that range."""
        writes = self._of_line.get(line, [])
        kept = [write for write in writes if at_least <= write.version < below]
        for write in writes:
            if write not in kept:
                del self._line_of[write.op_id]
        if kept:
            self._of_line[line] = kept
        elif writes:
            del self._of_line[line]
