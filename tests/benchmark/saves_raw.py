"""What PostgreSQL can do at most: the same compare-and-swap updates and journal rows as best SQL by hand.

Four ways, of which a case takes the fastest: one statement for a batch of arrays, bound in binary; a
statement for each save, pipelined; COPY to a temporary table and one statement from there; versions from
arrays, then heads from the versions, whose documents are compressed already. Same tables, same indexes, same
bytes, one transaction for a batch, as in characters/saves.py. Left out is all that makes it a repository:
reading the request, checking and canonising the document, hashes, the world's standing, reasons of refusals,
receipts, logs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psycopg

# Columns of what is asked for, in their order here and in all statements.
ASKED = "line, epoch, version, prev_chain, op_id, chain, state_hash, state"
TYPES = ("uuid", "int8", "int8", "bytea", "uuid", "bytea", "bytea", "bytea")

_MOVE_AND_KEEP = """
head AS (
    UPDATE characters_line AS line
    SET version = line.version + 1, chain = asked.chain, state_hash = asked.state_hash, state = asked.state,
        updated_at = %(now)b
    FROM asked
    WHERE line.id = asked.line AND line.holder_id = %(world)b AND line.epoch = asked.epoch
      AND line.version = asked.version AND line.chain = asked.prev_chain
    RETURNING line.id, line.version
)
INSERT INTO characters_version
    (line_id, version, op_id, epoch, world_id, at, kind, prev_chain, chain, state_hash, state)
SELECT head.id, head.version, asked.op_id, asked.epoch, %(world)b, %(now)b, 'periodic',
       asked.prev_chain, asked.chain, asked.state_hash, asked.state
FROM head JOIN asked ON asked.line = head.id
"""
_ARRAYS = ", ".join(f"%(c{number})b::{kind}[]" for number, kind in enumerate(TYPES))
BY_ARRAYS = f"WITH asked AS (SELECT * FROM unnest({_ARRAYS}) AS given({ASKED})), {_MOVE_AND_KEEP}"
_VALUES = ", ".join(f"%(c{number})b::{kind}" for number, kind in enumerate(TYPES))
ONE_BY_ONE = f"WITH asked AS (SELECT * FROM (VALUES ({_VALUES})) AS given({ASKED})), {_MOVE_AND_KEEP}"
_PAIRS = ", ".join(f"{name} {kind}" for name, kind in zip(ASKED.split(", "), TYPES, strict=True))
# Once for each connection.
MAKE_TEMPORARY = f"CREATE TEMPORARY TABLE asked ({_PAIRS}) ON COMMIT DELETE ROWS"
TO_TEMPORARY = f"COPY asked ({ASKED}) FROM STDIN (FORMAT BINARY)"
FROM_TEMPORARY = f"WITH {_MOVE_AND_KEEP.lstrip()}"

# As BY_ARRAYS, but the heads are locked and looked at first, and moved by a second statement.
VERSIONS_FIRST = f"""
WITH asked AS (SELECT * FROM unnest({_ARRAYS}) AS given({ASKED}))
INSERT INTO characters_version
    (line_id, version, op_id, epoch, world_id, at, kind, prev_chain, chain, state_hash, state)
SELECT line.id, line.version + 1, asked.op_id, asked.epoch, %(world)b, %(now)b, 'periodic',
       asked.prev_chain, asked.chain, asked.state_hash, asked.state
FROM asked JOIN characters_line AS line ON line.id = asked.line
WHERE line.holder_id = %(world)b AND line.epoch = asked.epoch
  AND line.version = asked.version AND line.chain = asked.prev_chain
FOR NO KEY UPDATE OF line
"""
HEADS_FROM_VERSIONS = """
UPDATE characters_line AS line
SET version = new.version, chain = new.chain, state_hash = new.state_hash, state = new.state,
    updated_at = %(now)b
FROM characters_version AS new
WHERE new.op_id = ANY(%(op_ids)b) AND line.id = new.line_id AND line.version + 1 = new.version
"""

ACQUIRE = """
UPDATE characters_line
SET grants = grants + 1, epoch = epoch + 1, holder_id = %(world)b, lease_until = %(until)b,
    acquire_op_id = %(op_id)b, acquire_order = %(order)b
WHERE id = %(line)b AND (holder_id IS NULL OR lease_until < %(now)b)
RETURNING epoch, version, chain, state
"""
RELEASE = """
UPDATE characters_line SET holder_id = NULL, lease_until = NULL
WHERE id = %(line)b AND epoch = %(epoch)b AND holder_id = %(world)b
"""


@dataclass(frozen=True)
class RawBatch:
    """Writes of one world. `rows`: tuples as ASKED names them."""

    world: int
    rows: Sequence[tuple[UUID, int, int, bytes, UUID, bytes, bytes, bytes]]

    def named(self) -> dict[str, object]:
        """Return the parameters of BY_ARRAYS."""
        columns = {f"c{number}": list(column) for number, column in enumerate(zip(*self.rows, strict=True))}
        return {**columns, "world": self.world, "now": datetime.now(UTC)}

    def each(self) -> list[dict[str, object]]:
        """Return the parameters of ONE_BY_ONE."""
        common = {"world": self.world, "now": datetime.now(UTC)}
        return [{**{f"c{n}": value for n, value in enumerate(row)}, **common} for row in self.rows]


def by_arrays(connection: psycopg.Connection, batch: RawBatch) -> int:
    """Write a batch in one statement; return how many heads moved."""
    with connection.transaction():
        return connection.execute(BY_ARRAYS, batch.named(), prepare=True).rowcount


def pipelined(connection: psycopg.Connection, batch: RawBatch) -> int:
    """Write a batch by a statement for each save, sent without waiting; return how many heads moved."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(ONE_BY_ONE, batch.each())
        return cursor.rowcount


def by_copy(connection: psycopg.Connection, batch: RawBatch) -> int:
    """Write a batch by way of a temporary table; return how many heads moved."""
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(TO_TEMPORARY) as copy:
            copy.set_types(TYPES)
            for row in batch.rows:
                copy.write_row(row)
        common = {"world": batch.world, "now": datetime.now(UTC)}
        return cursor.execute(FROM_TEMPORARY, common, prepare=True).rowcount


def versions_first(connection: psycopg.Connection, batch: RawBatch) -> int:
    """Write a batch as versions, then move the heads to them; return how many heads moved."""
    with connection.transaction():
        named = batch.named()
        connection.execute(VERSIONS_FIRST, named, prepare=True)
        moved = {"now": named["now"], "op_ids": named["c4"]}
        return connection.execute(HEADS_FROM_VERSIONS, moved, prepare=True).rowcount


WAYS: dict[str, Callable[[psycopg.Connection, RawBatch], int]] = {
    "arrays": by_arrays,
    "pipelined": pipelined,
    "copy": by_copy,
    "versions first": versions_first,
}
