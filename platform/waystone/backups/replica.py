"""Receipts and states to another host, all the time: append-only files, seconds behind the world's database.

A world's database is the second home of what its players did (rule 11). Where it is lost with its machine,
these files bring its receipts back, and the world offers them to the master.

The target's own list says how far it is: there is no note of it here that could be lost, or restored to an
older one. A database that was restored is another one (its oid or its timeline is), and is written anew.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Annotated
from uuid import UUID

import msgspec
import psycopg
import structlog
from django.db import connection, transaction
from django.db.utils import OperationalError
from msgspec import Meta, Struct
from pyrage.x25519 import Identity

from waystone.backups.errors import BackupError, NotWhole
from waystone.backups.sealing import seal, unseal
from waystone.backups.targets import Target, verify_copy
from worlds.models import StoredReceipt, World
from worlds.services import KEEP_RECEIPTS
from worlds.uplink.jws import BadToken
from worlds.uplink.messages import SaveKind
from worlds.uplink.receipt import MAX_RECEIPT_CHARS, read_receipt
from zonecluster.protocol.character import MAX_STATE_BYTES, state_hash
from zonecluster.protocol.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

_FILE = re.compile(r"\d{16}-(?P<last>\d{16})-(?P<digest>[0-9a-f]{16})\.rows(\.age)?")
FOLDER = "receipts"
ROWS_A_FILE = 500
FILES_AT_ONCE = 40  # in one task, so that a worker can be restarted in between
MAX_FILE_BYTES = ROWS_A_FILE * (MAX_STATE_BYTES + 2 * MAX_RECEIPT_CHARS)
LOCK_MS = 500  # the world's receipts may wait so long for us, once in 20 s at most
ROWS_AT_ONCE = 1000


class Row(Struct, frozen=True, array_like=True):
    """One receipt as it lies in a file. `state`: canonical bytes."""

    op_id: UUID
    line: UUID
    version: Annotated[int, Meta(ge=0, le=2**62)]
    receipt: Annotated[str, Meta(max_length=MAX_RECEIPT_CHARS)]
    kind: SaveKind
    state: Annotated[bytes, Meta(max_length=MAX_STATE_BYTES)]
    at: Annotated[datetime, Meta(tz=True)]


@dataclass(frozen=True)
class Shipped:
    """What one call has written. `behind`: rows that are still to be written."""

    rows: int
    behind: int


@dataclass(frozen=True)
class Loaded:
    """What was found at the target. `refused`: rows that are not what they say, unreadable files."""

    rows: int
    new: int
    refused: int


def ship(world: World, target: Target, identity: Identity | None, now: datetime) -> Shipped:
    """Write what the target does not have yet, oldest first.

    Raises: TargetGone, NoRoom, NotWhole, OSError. BackupError: the table could not be looked at just now.
    """
    folder = f"{FOLDER}/{world.slug}/{_database_id()}"
    after = newest_shipped(target, folder)
    last = _newest_committed()
    shipped = 0
    for _ in range(FILES_AT_ONCE):
        rows = list(
            StoredReceipt.objects.filter(world=world, id__gt=after, id__lte=last).order_by("id")[:ROWS_A_FILE]
        )
        if not rows:
            break
        _write(target, f"{folder}/{now.astimezone(UTC):%Y-%m-%d}", rows, identity)
        after, shipped = rows[-1].pk, shipped + len(rows)
    behind = StoredReceipt.objects.filter(world=world, id__gt=after, id__lte=last).count()
    return Shipped(shipped, behind)


def standing(world: World, target: Target) -> tuple[int, int]:
    """Return the id of the newest row that the target has, and how many it does not have yet."""
    newest = newest_shipped(target, f"{FOLDER}/{world.slug}/{_database_id()}")
    return newest, StoredReceipt.objects.filter(world=world, id__gt=newest).count()


def newest_shipped(target: Target, folder: str) -> int:
    """Return the id of the last row that the target has of this database; 0: none."""
    for day in reversed(target.names(folder)):
        ids = [last for name in target.names(day) if (last := _last_id(name)) is not None]
        if ids:
            return max(ids)
    return 0


def forget_old_days(world: World, target: Target, now: datetime) -> int:
    """Delete the files of days past the worlds' 14. Returns: how many."""
    first = (now - KEEP_RECEIPTS - timedelta(days=1)).astimezone(UTC).date()
    deleted = 0
    for database in target.names(f"{FOLDER}/{world.slug}"):
        for day in target.names(database):
            written = _day(day)
            if written is None or written >= first:
                continue
            for name in target.names(day):
                target.delete(name)
                deleted += 1
    return deleted


def load(world: World, target: Target, identity: Identity | None, now: datetime) -> Loaded:
    """Bring back receipts that the world's database does not have. What it has stays as it is.

    What lies at the target may be anybody's: a row counts only if its receipt names it and its state.
    (Whether a receipt is the master's own, the master judges when it is offered.)
    """
    found = new = refused = 0
    for name in _files(target, world.slug):
        try:
            rows = read_rows(target, name, identity)
        except (BackupError, *UNREADABLE) as error:
            log.error("replica_unreadable", file=name, cause=str(error))
            refused += 1
            continue
        good = [row for row in rows if _is_true(row, world.slug) and row.at >= now - KEEP_RECEIPTS]
        refused += sum(not _is_true(row, world.slug) for row in rows)
        found += len(good)
        new += _insert(world, good)
    return Loaded(found, new, refused)


def read_rows(target: Target, name: str, identity: Identity | None) -> list[Row]:
    """Return the rows of a file.

    Raises: NotWhole: it was changed, or needs a key. msgspec.DecodeError. BackupError.
    """
    content = b"".join(_bounded(target.read(name)))
    match = _FILE.fullmatch(name.rpartition("/")[2])
    if match is None or hashlib.sha256(content).hexdigest()[:16] != match["digest"]:
        raise NotWhole(f"{name} is not what was written.")
    if name.endswith(".age"):
        if identity is None:
            raise NotWhole(f"{name} is encrypted. Set WAYSTONE_BACKUP_KEY_FILE to the key that opens it.")
        opened = BytesIO()
        unseal(BytesIO(content), opened, identity)
        content = opened.getvalue()
    unpacker = zlib.decompressobj()
    try:
        packed = unpacker.decompress(content, MAX_FILE_BYTES)
    except zlib.error as error:
        raise NotWhole(f"{name} cannot be unpacked: {error}.") from error
    return msgspec.msgpack.decode(packed, type=list[Row])


def _write(target: Target, day: str, receipts: list[StoredReceipt], identity: Identity | None) -> None:
    rows = [
        Row(
            each.op_id,
            each.line,
            each.version,
            each.receipt,
            msgspec.convert(each.kind, SaveKind),
            bytes(each.state),
            each.at,
        )
        for each in receipts
    ]
    content = zlib.compress(msgspec.msgpack.encode(rows))
    suffix = ".rows"
    if identity is not None:
        sealed = BytesIO()
        seal(BytesIO(content), sealed, identity)
        content, suffix = sealed.getvalue(), ".rows.age"
    digest = hashlib.sha256(content).hexdigest()
    name = f"{day}/{receipts[0].pk:016d}-{receipts[-1].pk:016d}-{digest[:16]}{suffix}"
    target.put_bytes(content, name)
    verify_copy(target, name, size=len(content), sha256=digest)


def _newest_committed() -> int:
    """Return an id up to which no row can come any more: nobody with a lower one is still writing.

    Raises: BackupError: somebody holds the table for longer; the next time will do.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
            cursor.execute("LOCK TABLE worlds_storedreceipt IN SHARE MODE")
            cursor.execute("SELECT coalesce(max(id), 0) FROM worlds_storedreceipt")
            return int(cursor.fetchall()[0][0])
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise BackupError("The receipts are being written to without a pause; tried again.") from error
        raise


def _database_id() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT system_identifier FROM pg_control_system()), oid, "
            "(SELECT timeline_id FROM pg_control_checkpoint()) "
            "FROM pg_database WHERE datname = current_database()"
        )
        return "-".join(str(part) for part in cursor.fetchall()[0])


def _files(target: Target, slug: str) -> Iterator[str]:
    for database in target.names(f"{FOLDER}/{slug}"):
        for day in target.names(database):
            yield from (name for name in target.names(day) if _last_id(name) is not None)


def _last_id(name: str) -> int | None:
    match = _FILE.fullmatch(name.rpartition("/")[2])
    return int(match["last"]) if match else None


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.rpartition("/")[2])
    except ValueError:
        return None


def _is_true(row: Row, slug: str) -> bool:
    try:
        claims = read_receipt(row.receipt)
    except BadToken:
        return False
    wanted = (slug, row.line, row.version, row.op_id, state_hash(row.state))
    return (claims.world, claims.line, claims.version, claims.op_id, claims.state_hash) == wanted


def _insert(world: World, rows: list[Row]) -> int:
    known = set(
        StoredReceipt.objects.filter(op_id__in=[row.op_id for row in rows]).values_list("op_id", flat=True)
    )
    missing = [row for row in rows if row.op_id not in known]
    StoredReceipt.objects.bulk_create(
        [
            StoredReceipt(world=world, **{name: getattr(row, name) for name in Row.__struct_fields__})
            for row in missing
        ],
        ignore_conflicts=True,
        batch_size=ROWS_AT_ONCE,
    )
    return len(missing)


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    read = 0
    for chunk in chunks:
        read += len(chunk)
        if read > MAX_FILE_BYTES:
            raise NotWhole(f"A file has more than {MAX_FILE_BYTES} bytes.")
        yield chunk
