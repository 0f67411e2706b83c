"""Run the invariants on a database: one snapshot for all, nothing is written.

Called by `manage.py checkinvariants`, by restore drills on their scratch database, and by tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import DatabaseError
from psycopg import Error

from characters.invariants.parts import Invariant

SHOWN = 10  # rows of what breaks an invariant; the others are counted


class Cursor(Protocol):
    """What is needed of a cursor: psycopg's and Django's have it."""

    @property
    def description(self) -> Any: ...
    def execute(self, query: Any, params: Any = None, /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


@dataclass(frozen=True)
class Finding:
    """An invariant that does not hold. `broken`: by how much; `rows`: some of that, for people."""

    invariant: Invariant
    broken: int
    rows: tuple[str, ...]


def begin_snapshot(cursor: Cursor) -> None:
    """Make the transaction that was just begun one snapshot in which nothing can be written."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def check_invariants(
    cursor: Cursor,
    invariants: Sequence[Invariant],
    *,
    on_checked: Callable[[Invariant], None] = lambda invariant: None,
) -> list[Finding]:
    """Check them one after the other, inside the caller's transaction.

    Args: on_checked: told of each once it was looked at.
    Returns: those that do not hold, or could not be looked at: a document that is none, for instance.
    """
    findings = []
    for invariant in invariants:
        if (finding := _check(cursor, invariant)) is not None:
            findings.append(finding)
        on_checked(invariant)
    return findings


def _check(cursor: Cursor, invariant: Invariant) -> Finding | None:
    cursor.execute("SAVEPOINT invariant")
    try:
        cursor.execute(
            f"SELECT count(*) OVER () AS broken, found.* FROM ({invariant.query}) AS found LIMIT {SHOWN}"
        )
        rows = cursor.fetchall()
    except (Error, DatabaseError) as error:
        cursor.execute("ROLLBACK TO SAVEPOINT invariant")
        return Finding(invariant, 1, (f"cannot be looked at: {error}",))
    names = [column[0] for column in cursor.description]
    cursor.execute("RELEASE SAVEPOINT invariant")
    if not rows:
        return None
    told = tuple(
        ", ".join(f"{name} {_told(value)}" for name, value in zip(names[1:], row[1:], strict=True))
        for row in rows
    )
    return Finding(invariant, int(rows[0][0]), told)


def _told(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return "none" if value is None else str(value)
