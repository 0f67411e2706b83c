"""Millions of characters and versions for the benchmark of saves, by binary COPY from arrays.

Accounts of two characters, each character with its main line, each line with as many versions as the others,
written in the order of time: all lines' first versions, then their second ones. Chains are random bytes: the
repository never reads further back than a line's head. Half of the lines were written by one world, the
others by 63 more; each line twice within a quarter of an hour every ten days, so that retention and a
rollback have work. Indexes and constraints are dropped meanwhile and made again at the end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import psycopg
from psycopg import sql

from tests.benchmark.documents import document
from tests.benchmark.machine import CannotMeasure
from zonecluster.protocol.canonical import check_state
from zonecluster.protocol.character import state_hash

TABLES = ("accounts_account", "characters_character", "characters_line", "characters_version")
ROWS_AT_ONCE = 20_000
HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # Source: PostgreSQL's documentation, COPY, "Binary Format"
TAIL = b"\xff\xff"
EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
WORLDS = 64
SESSION_DAYS = 10  # between two sessions of a line, of two versions each
PAUSE = 900 * 10**6  # microseconds between these two
DAY = 86_400 * 10**6
EPOCH = 1_000_001  # of every line: the first grant of the first incarnation
# Bytes that a row takes with its indexes, beside its state: seen on PostgreSQL 18.
VERSION_BYTES = 520
CHARACTER_BYTES = 1_200  # with its line and half an account, beside the line's state
STATE_BYTES = (320, 2048)  # the smallest document, and a character's that has played for some weeks
SMALL_STATE_BYTES = 400  # if those do not fit
COMPRESSED = 0.65  # of a document of 2,048 bytes, as PostgreSQL keeps it; it leaves those below 2,000 alone
# With a name like those that the worker looks for.
MAKE_WORLDS = """
INSERT INTO worlds_world
    (slug, name, name_key, tier, tagline, description, motd, language, region, ruleset, edition, max_players,
     gateway_url, is_listed, created_at, report, max_queue, spawn_budget, game_rate, game_epoch, placement,
     maintenance_text, host_status, tags, house_rules, appeals)
SELECT 'world-' || number, 'World ' || number, '', 'official', '', '', '', 'en', 'local', 'co-op', 'free',
       1000, 'ws://127.0.0.1:1/', true, now(), '{}', 500, 100, 24, now(), 'automatic', '', '{}', '{}', '', ''
FROM generate_series(0, %s - 1) AS number
RETURNING id
"""


@dataclass(frozen=True)
class Size:
    """How much there is. `state_bytes`: of each document."""

    characters: int
    versions: int
    state_bytes: int

    @property
    def versions_each(self) -> int:
        """Versions of each line."""
        return self.versions // self.characters

    @property
    def bytes(self) -> int:
        """About how much disk this takes."""
        kept = self.state_bytes * COMPRESSED if self.state_bytes == STATE_BYTES[1] else self.state_bytes
        states = (self.versions + self.characters) * kept
        return int(self.versions * VERSION_BYTES + self.characters * CHARACTER_BYTES + states)


def fitting(characters: int, versions: int, free_bytes: int) -> Size:
    """Return the largest size of states with which all fits in half of the free disk.

    Raises: CannotMeasure: it does not fit with the smallest; or the numbers make no sense.
    """
    if not 2 <= characters <= versions:
        raise CannotMeasure("There must be at least two characters, and a version of each.")
    least, most = STATE_BYTES
    versions -= versions % characters
    bare = Size(characters, versions, 0).bytes
    room = (free_bytes // 2 - bare) // (versions + characters)
    if room < least:
        needed = Size(characters, versions, least).bytes
        raise CannotMeasure(
            f"{characters:,} characters with {versions:,} versions take {needed / 1e9:.1f} GB, but half of "
            f"the free disk is {free_bytes / 2e9:.1f} GB: choose fewer."
        )
    return Size(characters, versions, most if room >= most * COMPRESSED else min(room, SMALL_STATE_BYTES))


class Rows:
    """Rows of one table in PostgreSQL's binary form: an array whose columns are set by name.

    Args: formats: numpy's format of each column, big endian; "S" and "V" of a length are bytes.
    """

    def __init__(self, formats: dict[str, str], count: int) -> None:
        self.columns = tuple(formats)
        layout = [("fields", ">i2")]
        for name, form in formats.items():
            layout += [(f"{name} bytes", ">i4"), (name, form)]
        self.array = np.zeros(count, layout)
        self.array["fields"] = len(formats)
        for name in formats:
            self.array[f"{name} bytes"] = self.array.dtype[name].itemsize

    def __setitem__(self, name: str, values: object) -> None:
        self.array[name] = values

    def data(self, count: int) -> bytes:
        """Return the first rows as COPY takes them."""
        return self.array[:count].tobytes()


def numbered(text: str, numbers: np.ndarray) -> np.ndarray:
    """Return ASCII texts (n,) with each number in place of the run of "#" in `text`."""
    digits, at = text.count("#"), text.index("#")
    rows = np.frombuffer(text.encode() * len(numbers), np.uint8).reshape(len(numbers), len(text)).copy()
    for place in range(digits):
        rows[:, at + digits - 1 - place] = numbers // 10**place % 10 + ord("0")
    return rows.view(f"V{len(text)}")[:, 0]


def microseconds(at: datetime) -> int:
    """Return an instant as PostgreSQL counts it."""
    return round((at - EPOCH_2000).total_seconds() * 1e6)


class Filling:
    """Fills an empty database. Args: tell: is told how many versions there are so far."""

    def __init__(self, connection: psycopg.Connection, size: Size, tell: Callable[[int], None]) -> None:
        self._connection = connection
        self._size = size
        self._tell = tell
        self._rng = np.random.default_rng(1)
        now = microseconds(datetime.now(UTC))
        self._at = now - (size.versions_each // 2 + 1) * SESSION_DAYS * DAY
        self._last_sessions = now - self._rng.integers(PAUSE, SESSION_DAYS * DAY, size.characters)
        self._state = document(size.state_bytes, 0)
        self._hash, self._ids = state_hash(self._state), check_state(self._state).ids
        # 16 bytes each: identities of characters and of their lines.
        self._characters = self._random(size.characters, 16)
        self._lines = self._random(size.characters, 16)
        self._chains = self._random(size.characters, 32)

    def run(self) -> None:
        """Write everything; the indexes are there again afterwards."""
        count, each = self._size.characters, self._size.versions_each
        # Emptied and filled in one transaction, rows can be written as frozen, and need no log.
        with without_indexes(self._connection, TABLES), self._connection.transaction():
            self._connection.execute(f"TRUNCATE {', '.join(TABLES)}")
            worlds = self._connection.execute(MAKE_WORLDS, [WORLDS]).fetchall()
            self._worlds = np.array(worlds)[:, 0]
            self._copy("accounts_account", -(-count // 2), self._accounts)
            self._copy("characters_character", count, self._of_characters)
            for number in range(each):
                self._copy("characters_version", count, self._versions(number, number == each - 1))
                self._tell((number + 1) * count)
            self._copy("characters_line", count, self._of_lines)
        self._connection.execute(
            "SELECT setval(pg_get_serial_sequence('characters_version', 'id'), %s)", [self._size.versions]
        )
        self._connection.execute(
            "SELECT setval(pg_get_serial_sequence('accounts_account', 'id'), %s)", [self._size.characters]
        )
        self._connection.execute("ANALYZE")

    def _copy(self, table: str, count: int, rows_of: Callable[[np.ndarray], Rows]) -> None:
        """Write `count` rows, whose numbers from 0 on rows_of is told."""
        columns = rows_of(np.arange(1)).columns
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY, FREEZE)").format(
            sql.Identifier(table), names
        )
        with self._connection.cursor().copy(command) as copy:
            copy.write(HEAD)
            for start in range(0, count, ROWS_AT_ONCE):
                numbers = np.arange(start, min(start + ROWS_AT_ONCE, count))
                copy.write(rows_of(numbers).data(len(numbers)))
            copy.write(TAIL)

    def _random(self, count: int, length: int) -> np.ndarray:
        return np.frombuffer(self._rng.bytes(count * length), f"V{length}")

    def _accounts(self, numbers: np.ndarray) -> Rows:
        email = "player-########@example.org"
        formats = {
            **{"id": ">i8", "password": "V1", "is_superuser": "u1", "uid": "V16", "email": f"V{len(email)}"},
            **{"is_active": "u1", "is_staff": "u1", "date_joined": ">i8"},
            "session_epoch": ">i4",
        }
        rows = Rows(formats, len(numbers))
        rows["id"], rows["password"], rows["is_active"] = numbers + 1, np.void(b"!"), 1
        rows["uid"], rows["email"] = self._random(len(numbers), 16), numbered(email, numbers)
        rows["date_joined"] = self._at
        return rows

    def _of_characters(self, numbers: np.ndarray) -> Rows:
        name = "Hero ########"
        size = f"V{len(name)}"
        formats = {"id": "V16", "account_id": ">i8", "name": size, "name_key": size, "created_at": ">i8"}
        rows = Rows(formats, len(numbers))
        rows["id"], rows["account_id"] = self._characters[numbers], numbers // 2 + 1
        rows["name"] = rows["name_key"] = numbered(name, numbers)
        rows["created_at"] = self._at
        return rows

    def _of_lines(self, numbers: np.ndarray) -> Rows:
        formats = {
            **{"id": "V16", "character_id": "V16", "grants": ">i4", "epoch": ">i8", "acquire_order": ">i8"},
            **{"version": ">i8", "chain": "V32", "state_hash": "V32", "state": f"V{len(self._state)}"},
            **{"valuables": f"V{len(self._ids)}", "updated_at": ">i8"},
        }
        rows = Rows(formats, len(numbers))
        rows["id"], rows["character_id"] = self._lines[numbers], self._characters[numbers]
        rows["grants"], rows["epoch"], rows["version"] = 1, EPOCH, self._size.versions_each
        rows["chain"], rows["state_hash"] = self._chains[numbers], np.void(self._hash)
        rows["state"], rows["valuables"] = np.void(self._state), np.void(self._ids)
        rows["updated_at"] = self._last_sessions[numbers]
        return rows

    def _times(self, number: int, numbers: np.ndarray) -> np.ndarray:
        """Return when lines were written for the number-th time."""
        left = self._size.versions_each - 1 - number
        return self._last_sessions[numbers] - left // 2 * SESSION_DAYS * DAY - left % 2 * PAUSE

    def _versions(self, number: int, is_last: bool) -> Callable[[np.ndarray], Rows]:
        """Return what makes rows of version number + 1 of each line."""
        formats = {
            **{"id": ">i8", "line_id": "V16", "version": ">i8", "op_id": "V16", "epoch": ">i8", "at": ">i8"},
            **{"world_id": ">i8", "kind": "V8", "prev_chain": "V32", "chain": "V32", "state_hash": "V32"},
            **{"state": f"V{len(self._state)}"},
        }

        def rows_of(numbers: np.ndarray) -> Rows:
            rows, count = Rows(formats, len(numbers)), len(numbers)
            rows["id"] = number * self._size.characters + numbers + 1
            rows["line_id"], rows["version"], rows["epoch"] = self._lines[numbers], number + 1, EPOCH
            rows["op_id"], rows["at"] = self._random(count, 16), self._times(number, numbers)
            rows["world_id"] = self._worlds[np.where(numbers % 2, 1 + numbers // 2 % (WORLDS - 1), 0)]
            rows["kind"], rows["prev_chain"] = np.void(b"periodic"), self._random(count, 32)
            rows["chain"] = self._chains[numbers] if is_last else self._random(count, 32)
            rows["state_hash"], rows["state"] = np.void(self._hash), np.void(self._state)
            return rows

        return rows_of


@contextmanager
def without_indexes(connection: psycopg.Connection, tables: tuple[str, ...]) -> Iterator[None]:
    """Drop the constraints and indexes of these tables, and make them again.

    Foreign keys hold for new rows only: those that are here were made together.
    """
    constraints = connection.execute(
        """SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid), contype
        FROM pg_constraint
        WHERE contype IN ('f', 'u', 'p') AND (conrelid = ANY(%(tables)s::regclass[]) OR
              contype = 'f' AND confrelid = ANY(%(tables)s::regclass[]))
        ORDER BY contype = 'f' DESC, contype = 'p'""",
        {"tables": list(tables)},
    ).fetchall()
    for table, name, _, _ in constraints:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = connection.execute(
        "SELECT quote_ident(indexname), indexdef FROM pg_indexes WHERE tablename = ANY(%s)", [list(tables)]
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for table, name, definition, kind in reversed(constraints):
        if kind != "f":
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        connection.execute(definition)
    for table, name, definition, kind in constraints:
        if kind == "f":
            checked_later = "" if "NOT VALID" in definition else " NOT VALID"
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{checked_later}")
