"""The audit record as a hash chain: how a row is hashed, and what is wrong with a chain. Pure.

What it proves, and what not, is written down in docs/audit.md. Rows are read and sealed by accounts.sealing.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FIRST = bytes(32)  # what the first row is chained to
_FORMAT = b"waystone audit 1\n"  # of the bytes that are hashed; another way of writing them gets another


@dataclass(frozen=True)
class Deed:
    """All that a row says: who did what to what, when, and what it was before and after."""

    id: int
    at: datetime
    account_id: int | None
    world_slug: str
    action: str
    target: str
    detail: Any  # JSON, as the database gives it back
    before: Any
    after: Any


@dataclass(frozen=True)
class Sealed:
    """A row with its place in the chain: positions are 1, 2, 3, … without a gap."""

    position: int
    chain: bytes
    deed: Deed


@dataclass(frozen=True)
class Head:
    """The newest place of a chain. Kept elsewhere, it tells later whether anything before was changed."""

    position: int = 0
    chain: bytes = FIRST

    def __str__(self) -> str:
        return f"{self.position}:{self.chain.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read what `str` wrote. Raises: ValueError: not `position:64 hex digits`."""
        number, _, digits = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and len(number) <= 18 and len(digits) == 64):
            raise ValueError("a head is written position:hash, the hash in 64 hex digits")
        return cls(int(number), bytes.fromhex(digits))


def chained(head: Head, deed: Deed) -> Head:
    """Return the head after one more row: SHA-256 over the hash before it, its position and all it says."""
    position = head.position + 1
    at = deed.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = [position, deed.id, at, deed.account_id, deed.world_slug, deed.action, deed.target]
    written = json.dumps([*said, deed.detail, deed.before, deed.after], sort_keys=True, separators=(",", ":"))
    return Head(position, hashlib.sha256(_FORMAT + head.chain + written.encode()).digest())


def faults(rows: Iterable[Sealed], expected: Head | None = None) -> Iterator[str]:
    """Walk a chain from its beginning and say what is wrong with it.

    After a fault the walk goes on from what the row says of itself, so that one change is one sentence.

    Args: rows: in the order of their positions. expected: a head that was kept elsewhere.
    """
    head, is_met = Head(), expected is None or expected == Head()
    for row in rows:
        if row.position != head.position + 1:
            yield _gap(head.position, row.position)
            head = Head(row.position - 1, head.chain)
        wanted = chained(head, row.deed)
        if wanted.chain != row.chain:
            yield (
                f"Position {row.position} (row {row.deed.id}, {row.deed.at:%Y-%m-%d %H:%M:%S} "
                f"{row.deed.action}): this row, or one before it, is not what was sealed."
            )
        head = Head(row.position, row.chain)
        is_met = is_met or head == expected
    if expected is not None and not is_met:
        yield (
            f"The head {expected} that was kept elsewhere is not in the chain, which ends at {head}: "
            "it was cut off, or written anew."
        )


def _gap(before: int, after: int) -> str:
    first, last = before + 1, after - 1
    return f"Position {first} is gone." if first == last else f"Positions {first} to {last} are gone."
