"""Does it pay to partition the table of versions? Copies of it, one by one, under the same inserts and reads.

A partitioned table cannot keep an op_id unique that is not in its partition key: here each copy has a plain
index in its place, which favours partitions. In truth they would need a second table of op_ids.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID

import psycopg

from tests.benchmark.documents import document
from tests.benchmark.saves_database import Database

STATE_BYTES = 8192
BATCH = 50
BATCHES = 64  # of inserts, in a round
READS = 300  # histories, in a round
PAGE = 50  # versions of one line that a page of history shows
LINES = 20_000  # that are written and read

COLUMNS = "line_id, version, op_id, epoch, at, kind, prev_chain, chain, state_hash, state"
TYPES = ["uuid", "int8", "uuid", "int8", "timestamptz", "varchar", "bytea", "bytea", "bytea", "bytea"]
COPY = f"COPY copy (id, {COLUMNS}) FROM STDIN (FORMAT BINARY)"
HISTORY = f"""
SELECT version, at, kind, epoch, world_id, chain FROM copy
WHERE line_id = %b ORDER BY version DESC LIMIT {PAGE}
"""


@dataclass(frozen=True)
class Kind:
    """A way to partition. `by_time`: into so many spans; `more`: what a unique index must have too."""

    name: str
    clause: str = ""
    by_line: int = 0
    by_time: int = 0
    more: str = ""


KINDS = (
    Kind("one table"),
    Kind("16 by line", "PARTITION BY HASH (line_id)", by_line=16),
    Kind("16 by time", "PARTITION BY RANGE (at)", by_time=16, more=", at"),
)


def compare_partitions(
    database: Database, rounds: int, tell: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield, for each way to partition, inserts a second and milliseconds to read a history."""
    base: dict[str, float] = {}
    with database.connect() as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        lines = [row[0] for row in connection.execute("SELECT id FROM characters_line")]
        lines = Random(1).sample(lines, min(LINES, len(lines)))
        for kind in KINDS:
            tell(f"versions, {kind.name}: copying")
            began = perf_counter()
            make_copy(connection, kind)
            copied_s = perf_counter() - began
            rates, reads = [], []
            for number in range(rounds):
                tell(f"versions, {kind.name}: round {number + 1} of {rounds}")
                rates.append(_inserts_per_s(connection, lines, number))
                reads.append(_history_ms(connection, Random(number).sample(lines, min(READS, len(lines)))))
            found = {"inserts": median(rates), "history": median(reads)}
            base = base or found
            yield {
                "test": "partitions",
                "name": f"waystone-versions {kind.name}",
                "inserts_per_s": round(found["inserts"]),
                "history_ms": round(found["history"], 3),
                "ratio": round(found["inserts"] / base["inserts"], 3),
                "history_ratio": round(found["history"] / base["history"], 3),
                "copied_s": round(copied_s, 1),
            }
            connection.execute("DROP TABLE copy")


def make_copy(connection: psycopg.Connection, kind: Kind) -> None:
    """Make the table `copy` with all versions and indexes like those of the versions."""
    connection.execute("DROP TABLE IF EXISTS copy")
    connection.execute(f"CREATE TABLE copy (LIKE characters_version) {kind.clause}")
    for number, bounds in enumerate(_bounds(connection, kind)):
        connection.execute(f"CREATE TABLE copy_{number} PARTITION OF copy FOR VALUES {bounds}")
    connection.execute("INSERT INTO copy SELECT * FROM characters_version")
    connection.execute(f"CREATE UNIQUE INDEX ON copy (line_id, version{kind.more})")
    for columns in ("op_id", "world_id, at, id", "id", "line_id", "world_id"):
        connection.execute(f"CREATE INDEX ON copy ({columns})")
    connection.execute("ANALYZE copy")
    connection.execute("CHECKPOINT")


def _bounds(connection: psycopg.Connection, kind: Kind) -> list[str]:
    if kind.by_line:
        return [f"WITH (MODULUS {kind.by_line}, REMAINDER {number})" for number in range(kind.by_line)]
    if not kind.by_time:
        return []
    row = connection.execute("SELECT min(at), max(at) FROM characters_version").fetchone()
    assert row is not None
    first, last = row
    cuts = [(first + (last - first) * number / kind.by_time).isoformat() for number in range(1, kind.by_time)]
    ends = ["MINVALUE", *(f"'{cut}'" for cut in cuts), "MAXVALUE"]
    return [f"FROM ({start}) TO ({end})" for start, end in zip(ends, ends[1:], strict=False)]


def _inserts_per_s(connection: psycopg.Connection, lines: Sequence[UUID], number: int) -> float:
    """Insert batches of versions by COPY, a transaction each, of lines in turns."""
    rng = Random(number)
    state, now = document(STATE_BYTES, number), datetime.now(UTC)
    written = number * BATCH * BATCHES
    batches = []
    for _ in range(BATCHES):
        rows = []
        for _ in range(BATCH):
            line, version = lines[written % len(lines)], 10**6 + written // len(lines)
            op_id, chains = UUID(int=rng.getrandbits(128)), [rng.randbytes(32) for _ in range(3)]
            rows.append((10**9 + written, line, version, op_id, 1, now, "periodic", *chains, state))
            written += 1
        batches.append(rows)
    began = perf_counter()
    for rows in batches:
        with connection.transaction(), connection.cursor().copy(COPY) as copy:
            copy.set_types(["int8", *TYPES])
            for row in rows:
                copy.write_row(row)
    return BATCH * BATCHES / (perf_counter() - began)


def _history_ms(connection: psycopg.Connection, lines: Sequence[UUID]) -> float:
    """Return the median time to read the newest versions of a line."""
    times = []
    for line in lines:
        began = perf_counter()
        connection.execute(HISTORY, [line], prepare=True).fetchall()
        times.append(perf_counter() - began)
    return median(times) * 1000
