"""What a database holds, counted in one snapshot: of a backup, and of what was restored from it."""

from typing import Any

import psycopg
from psycopg import sql

from waystone.backups.manifest import Census

_TABLES = """
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY relname
"""
# A sum does not depend on the order in which rows are read; every head's chain stands for its whole history.
_HEADS = """
    SELECT coalesce(
        sum(hashtextextended(id::text || ' ' || version || ' ' || encode(chain, 'hex'), 0)::numeric), 0
    )
    FROM characters_line
"""


def take_census(opened: psycopg.Connection[tuple[Any, ...]]) -> Census:
    """Count every table, and digest the heads of all lines, in the transaction that is open."""
    tables = [name for (name,) in opened.execute(_TABLES).fetchall()]
    rows = {name: _count(opened, name) for name in tables}
    heads = str(opened.execute(_HEADS).fetchall()[0][0]) if "characters_line" in rows else ""
    return Census(rows, heads)


def differences(wanted: Census, found: Census) -> list[str]:
    """Return what of a restored database is not as it was, a sentence each."""
    names = sorted({*wanted.rows, *found.rows})
    told = [
        f"{name}: {found.rows.get(name, 'no table')} rows, {wanted.rows.get(name, 'no table')} were backed up"
        for name in names
        if found.rows.get(name) != wanted.rows.get(name)
    ]
    if wanted.heads != found.heads:
        told.append("characters_line: the heads are not those that were backed up")
    return told


def _count(opened: psycopg.Connection[tuple[Any, ...]], table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    return int(opened.execute(query).fetchall()[0][0])
