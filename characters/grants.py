"""The rows of an acquire: locked, read and changed in four statements. What is decided is in rules.py.

By hand and not by the ORM: a dozen of its queries took 7 to 10 ms of CPU. Called by leases.py, in its
transaction, in the order in which the functions stand here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from characters.models import Line, Version
from characters.rules import Head
from worlds.models import World
from worlds.rules import ADMISSION_FOR
from worlds.tickets import ADMITTED_ACCOUNT

# Acquires, forks and deletion of one character come one after the other.
_LOCK_CHARACTER = """
SELECT hero.id, hero.name, hero.account_id, account.is_active, account.banned_until
FROM characters_character AS hero JOIN accounts_account AS account ON account.id = hero.account_id
WHERE hero.id = %s AND hero.deleted_at IS NULL
FOR NO KEY UPDATE OF hero
"""

# After the lock, so that what another acquire has done is seen.
_FACTS = f"""
SELECT
    coalesce((SELECT max(number) FROM characters_incarnation), 1),
    ({ADMITTED_ACCOUNT}),
    ARRAY(SELECT id FROM characters_character
          WHERE account_id = %(account)s AND deleted_at IS NULL ORDER BY created_at, id),
    ARRAY(SELECT id FROM characters_character
          WHERE account_id = %(account)s AND deleted_at IS NULL AND kept_open_at IS NOT NULL),
    EXISTS (SELECT FROM characters_line
            WHERE character_id = %(character)s AND world_id IS NULL AND holder_id = %(world)s),
    EXISTS (SELECT FROM characters_line
            WHERE character_id = %(character)s AND world_id = %(world)s AND holder_id = %(world)s),
    EXISTS (SELECT FROM characters_line
            WHERE character_id = %(character)s AND world_id = %(world)s AND undecided_since IS NOT NULL),
    EXISTS (SELECT FROM worlds_worldsanction
            WHERE account_id = %(account)s AND world_id = %(world)s AND kind = 'ban' AND ended_at IS NULL
            AND (until IS NULL OR until > %(now)s))
"""

_LOCK_LINE = """
SELECT * FROM characters_line WHERE character_id = %s AND world_id IS NOT DISTINCT FROM %s FOR NO KEY UPDATE
"""

# Of the newest version all but its state.
_GRANT = """
UPDATE characters_line AS line
SET grants = %(grants)s, epoch = %(epoch)s, holder_id = %(holder)s, acquire_op_id = %(op_id)s,
    acquire_order = %(order)s, lease_until = %(until)s
FROM characters_version AS newest
WHERE line.id = %(line)s AND newest.line_id = line.id AND newest.version = line.version
RETURNING newest.id, newest.line_id, newest.version, newest.op_id, newest.epoch, newest.world_id, newest.at,
          newest.kind, newest.chain, newest.state_hash, newest.exchange, newest.letter
"""
_NEWEST = (
    *("id", "line_id", "version", "op_id", "epoch", "world_id", "at"),
    *("kind", "chain", "state_hash", "exchange", "letter"),
)


@dataclass(frozen=True)
class Hero:
    """A character, and its account's standing."""

    id: UUID
    name: str
    account: int
    is_active: bool
    banned_until: datetime | None


@dataclass(frozen=True)
class Facts:
    """What else an acquire is decided by."""

    incarnation: int
    admitted: int | None  # the account whose admission to the world is open
    characters: list[UUID]  # of the account, oldest first
    kept_open: list[UUID]  # of these, those that the player wants open
    holds_main: bool  # the world that asks
    holds_fork: bool
    is_undecided: bool
    is_banned_here: bool = False  # by the world's keepers


def lock_character(character: UUID) -> Hero | None:
    """Return a character, locked; None: there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_CHARACTER, [character])
        row = cursor.fetchone()
    return Hero(*row) if row is not None else None


def facts_of(*, hero: Hero, world: World, admission: UUID, now: datetime) -> Facts:
    """Return what is known about an acquire. Args: admission: the ticket by which the world asks."""
    asked: dict[str, Any] = {
        **{"account": hero.account, "character": hero.id, "world": world.pk},
        **{"admission": admission, "admitted_since": now - ADMISSION_FOR, "now": now},
    }
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, asked)
        return Facts(*cursor.fetchone())


def lock_line(*, hero: Hero, fork_of: World | None) -> Line | None:
    """Return a character's line, locked; None: the world has no fork of it yet. Args: fork_of: None: main."""
    found = list(Line.objects.raw(_LOCK_LINE, [hero.id, fork_of.pk if fork_of is not None else None]))
    return found[0] if found else None


def write_grant(line: Line, head: Head) -> Version:
    """Write the head of a locked line after a grant; return the line's newest version, without its state."""
    given: dict[str, Any] = {
        **{"line": line.pk, "grants": head.grants, "epoch": head.epoch, "holder": head.holder},
        **{"op_id": head.acquire_op_id, "order": head.acquire_order, "until": head.lease_until},
    }
    with connection.cursor() as cursor:
        cursor.execute(_GRANT, given)
        return Version.from_db("default", _NEWEST, cursor.fetchone())
