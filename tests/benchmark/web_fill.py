"""A platform with many worlds, accounts and characters for the benchmark of web, in a database of its own.

One row of each kind is made by the product's own services; the others are copies of it in SQL with other
names. So new columns need nothing here. Run as a process of its own: `python -m tests.benchmark.web_fill
<worlds> <characters> <people>`; tells as JSON who may log in.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import django

PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in the benchmark)
CHARACTERS_EACH = 2
IN_PLAY = 50  # one character in so many is in play
BUSY_WORLDS = 1000  # where they are


def copied(table: str, columns: dict[str, str], count: str) -> str:
    """Return SQL that copies a table's first row `count` times. Args: columns: name → expression of `n`."""
    from django.db import connection  # noqa: PLC0415  (after django.setup)

    with connection.cursor() as cursor:
        names = [column.name for column in connection.introspection.get_table_description(cursor, table)]
        identity = connection.introspection.get_sequences(cursor, table)
    serial = {each["column"] for each in identity}
    kept = [name for name in names if name in columns or name not in serial]
    values = ", ".join(columns.get(name, f'first."{name}"') for name in kept)
    into = ", ".join(f'"{name}"' for name in kept)
    return (
        f"INSERT INTO {table} ({into}) SELECT {values} "  # noqa: S608  (names of our own tables)
        f"FROM (SELECT * FROM {table} LIMIT 1) AS first, generate_series(1, {count}) AS n"
    )


def fill(worlds: int, characters: int, people: int) -> dict[str, object]:
    """Make them. Returns: addresses and the password of those who may log in, and a world's slug."""
    from django.db import connection  # noqa: PLC0415  (after django.setup)
    from django.utils import timezone  # noqa: PLC0415

    from accounts.services import register_account  # noqa: PLC0415
    from characters.services import create_character  # noqa: PLC0415
    from worlds.models import World  # noqa: PLC0415
    from worlds.services import register_world  # noqa: PLC0415

    now = timezone.now()
    owner = register_account(email="owner@example.org", password=PASSWORD, now=now)
    assert owner is not None
    create_character(account=owner, name="Tilda Fen", by=owner, now=now)
    register_world(
        slug="lanternrest",
        name="Lanternrest",
        gateway_url="wss://play.example.org/world-link/",
        owner=owner,
        by=owner,
        now=now,
    )
    # Far in the future: whatever the benchmark takes, they are online.
    World.objects.update(last_report_at=now + timedelta(days=1), tagline="Ropes, lamps and old stones.")
    accounts = max(people, characters // CHARACTERS_EACH)
    with connection.cursor() as cursor:
        cursor.execute(
            copied(
                "worlds_world",
                {"slug": "'world-' || n", "name": "'World ' || n", "name_key": "'world' || n"},
                str(worlds - 1),
            )
        )
        cursor.execute(
            copied(
                "accounts_account",
                {"uid": "gen_random_uuid()", "email": "'person-' || n || '@example.org'"},
                str(accounts),
            )
        )
        cursor.execute(
            copied(
                "account_emailaddress",
                {
                    "email": "'person-' || n || '@example.org'",
                    "user_id": "first.user_id + n",
                    "verified": "true",
                },
                str(accounts),
            )
        )
        cursor.execute(
            copied(
                "characters_character",
                {
                    "id": "gen_random_uuid()",
                    "name": "'Name' || n",
                    "name_key": "'name' || n",
                    "account_id": f"first.account_id + 1 + (n - 1) % {accounts}",
                },
                str(characters - 1),
            )
        )
        cursor.execute(
            _LINES.format(names=_line_columns(cursor), busy=min(worlds, BUSY_WORLDS), in_play=IN_PLAY)
        )
        cursor.execute("ANALYZE")
    return {
        "password": PASSWORD,
        "emails": [f"person-{number}@example.org" for number in range(1, people + 1)],
        "slug": "lanternrest",
    }


_LINES = """
INSERT INTO characters_line (id, character_id, holder_id, lease_until, {names})
SELECT gen_random_uuid(), who.id,
       CASE WHEN who.n % {in_play} = 0 THEN (SELECT min(id) FROM worlds_world) + who.n % {busy} END,
       CASE WHEN who.n % {in_play} = 0 THEN now() + interval '1 day' END, {names}
FROM (SELECT * FROM characters_line LIMIT 1) AS first,
     (SELECT id, row_number() OVER () AS n FROM characters_character
      WHERE id NOT IN (SELECT character_id FROM characters_line)) AS who
"""


def _line_columns(cursor: Any) -> str:
    from django.db import connection  # noqa: PLC0415  (after django.setup)

    description = connection.introspection.get_table_description(cursor, "characters_line")
    own = {"id", "character_id", "holder_id", "lease_until"}
    return ", ".join(f'"{column.name}"' for column in description if column.name not in own)


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(fill(*map(int, sys.argv[1:4]))) + "\n")
