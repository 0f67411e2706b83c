"""What a journal's segments say after whatever has happened to them. Pure: bytes in, commits out.

The last commit may have been torn by a crash: nobody was told that it is durable, so it is left out. Anything
else that cannot be read is damage to what was promised: refused, with the place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from worlds.daemon.journal.records import (
    SEGMENT_HEAD,
    Commit,
    first_of_segment,
    has_commit_behind,
    read_commits,
)


class JournalDamaged(ValueError):
    """The journal cannot be read where it must be readable; the message says where, and what to do."""


@dataclass(frozen=True)
class Segment:
    """One file as read: its name, and its commits that count."""

    name: str
    first: int
    commits: list[Commit]
    torn_bytes: int  # behind the last whole commit


def recover(files: Sequence[tuple[str, bytes]]) -> list[Segment]:
    """Return the segments, oldest first; one that was only being begun is left out.

    Args: files: name and bytes of each, in the order of their names.
    Raises: JournalDamaged.
    """
    segments: list[Segment] = []
    for name, data in files:
        is_last = name == files[-1][0]
        first = first_of_segment(data)
        if first is None:
            if not is_last or has_commit_behind(data, 0):
                raise _damaged(name, 0, "its head cannot be read")
            continue
        commits = list(read_commits(data))
        end = commits[-1].end if commits else SEGMENT_HEAD.size
        if has_commit_behind(data, end):
            raise _damaged(name, end, "a commit in its middle cannot be read")
        _check_order(name, first, commits)
        if segments:
            segments[-1] = _joined(segments[-1], name, first)
        segments.append(Segment(name, first, commits, len(data) - end))
    return segments


def _check_order(name: str, first: int, commits: Sequence[Commit]) -> None:
    for expected, commit in enumerate(commits, first):
        if commit.sequence != expected:
            raise _damaged(name, commit.end, f"commit {commit.sequence} stands where {expected} should")


def _joined(before: Segment, name: str, first: int) -> Segment:
    """Return the segment before, without what the next one has again: its sync had failed."""
    commits = [commit for commit in before.commits if commit.sequence < first]
    if before.first + len(commits) != first:
        missing = f"commits {before.first + len(commits)} to {first - 1} are missing before it"
        raise _damaged(name, 0, f"{missing}: the end of {before.name} cannot be read, or a file is gone")
    return Segment(before.name, before.first, commits, before.torn_bytes)


def _damaged(name: str, offset: int, what: str) -> JournalDamaged:
    return JournalDamaged(
        f"The world's journal is damaged: {name}, byte {offset}: {what}. It is not used. If there is "
        "no better copy, move the folder away and start again: what the master has not got is then lost."
    )
