"""The one statement that saves: a batch of writes to PostgreSQL and back in one round trip.

The SQL is the function `characters_save` (migration 0008). It holds all that rules.decide_save asks for of a
write that it calls `accepted`; what is to fall matches nothing there, nor what changes the valuables of a
line (claiming.py), nor a stale one. Lines are locked in the order of their ids (see leases._RENEW), and a
world can lock only lines that it holds. An op_id that was used before meets the unique constraint.

Versions are written first, then the heads from them: PostgreSQL compresses a document once, and copies it
as it is the second time. In one statement the second could not see the first; hence a function, whose plans
also stay prepared, whatever pool the connection comes from.
"""

from collections.abc import Sequence
from datetime import datetime
from struct import Struct
from uuid import UUID

import psycopg
from django.db import connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

from characters.rules import Write, Writer
from worlds.models import World

_CALL = """
SELECT characters_save(
    %(world)b, %(may_main)b, %(tier)t, %(now)b,
    %(lines)b, %(epochs)b, %(versions)b, %(prev_chains)b, %(op_ids)b, %(kinds)b,
    %(chains)b, %(hashes)b, %(states)b, %(valuables)b
)
"""


def write_batch(
    *, world: World, writer: Writer, writes: Sequence[Write], chains: Sequence[bytes], now: datetime
) -> set[UUID]:
    """Write what may be written of a batch. Outside of a transaction, it is one.

    Args: writes: of different lines and op_ids; chains: of their versions, 32 bytes each.
    Returns: the op_ids that were not written.
    Raises: django.db.IntegrityError: an op_id was used before; nothing is written.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        for kind, dumper in _DUMPERS.items():
            cursor.adapters.register_dumper(kind, dumper)
        cursor.execute(
            _CALL,
            {
                "world": world.pk,
                "may_main": writer.is_official or writer.is_budgeted,
                "tier": world.tier,
                "now": now,
                "lines": _uuids([write.line for write in writes]),
                "epochs": _numbers([write.epoch for write in writes]),
                "versions": _numbers([write.version for write in writes]),
                "prev_chains": _of_bytes([write.prev_chain for write in writes]),
                "op_ids": _uuids([write.op_id for write in writes]),
                "kinds": _texts([write.kind for write in writes]),
                "chains": _of_bytes(chains),
                "hashes": _of_bytes([write.state_hash for write in writes]),
                "states": _of_bytes([write.state for write in writes]),
                "valuables": _of_bytes([write.valuables for write in writes]),
            },
        )
        row = cursor.fetchone()
        assert row is not None  # of a function without a set
        return set(row[0])


# ---------------------------------------------------------------- arrays as PostgreSQL reads them
# Written in one piece: psycopg adapts each element by itself, which takes longer than all the rest.
# Source: PostgreSQL 18, src/backend/utils/adt/arrayfuncs.c, array_recv.

_HEAD = Struct(">iiIii")  # dimensions, has nulls, type of the elements; of the dimension: size, lower bound
_LENGTH, _NUMBER = Struct(">i").pack, Struct(">q").pack
_UUID, _INT8, _BYTEA, _TEXT = 2950, 20, 17, 25  # object ids of types; those of their arrays are below


class _Array:
    """An array in binary form."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Uuids(_Array):
    pass


class _Numbers(_Array):
    pass


class _OfBytes(_Array):
    pass


class _Texts(_Array):
    pass


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Array) -> bytes:
        return obj.data


def _dumper_of(array_oid: int) -> type[Dumper]:
    return type("_Dumper", (_ArrayDumper,), {"oid": array_oid})


_DUMPERS: dict[type[_Array], type[Dumper]] = {
    _Uuids: _dumper_of(2951),
    _Numbers: _dumper_of(1016),
    _OfBytes: _dumper_of(1001),
    _Texts: _dumper_of(1009),
}


def _array(element: int, parts: Sequence[bytes]) -> bytes:
    """Return an array of elements, each with its length before it."""
    lengths = map(_LENGTH, map(len, parts))
    pieces = [piece for pair in zip(lengths, parts, strict=True) for piece in pair]
    return b"".join([_HEAD.pack(1, 0, element, len(parts), 1), *pieces])


def _array_of_equals(element: int, length: int, parts: Sequence[bytes]) -> bytes:
    """Return the same of elements of one length; quicker."""
    before = _LENGTH(length)
    return _HEAD.pack(1, 0, element, len(parts), 1) + b"".join([before + part for part in parts])


def _uuids(values: Sequence[UUID]) -> _Array:
    return _Uuids(_array_of_equals(_UUID, 16, [value.bytes for value in values]))


def _numbers(values: Sequence[int]) -> _Array:
    return _Numbers(_array_of_equals(_INT8, 8, list(map(_NUMBER, values))))


def _of_bytes(values: Sequence[bytes]) -> _Array:
    return _OfBytes(_array(_BYTEA, values))


def _texts(values: Sequence[str]) -> _Array:
    return _Texts(_array(_TEXT, [value.encode() for value in values]))
