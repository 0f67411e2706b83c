"""What the master's database has: everybody's goods, letters, and whether all invariants hold."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from characters.invariants import INVARIANTS, check_invariants
from characters.invariants.checking import begin_snapshot
from tests.killing.ledger import COINS, LETTERS, Goods

_HEADS = """
    SELECT c.name, l.state FROM characters_line AS l JOIN characters_character AS c ON c.id = l.character_id
    WHERE l.world_id IS NULL AND c.name = ANY(%s)
"""
_LETTERS = """
    SELECT t.items, t.money
    FROM characters_letter AS t JOIN characters_character AS c ON c.id = t.recipient_id
    WHERE t.taken_at IS NULL AND c.name = ANY(%s)
"""


def goods_of(money: int, stacks: Iterable[Mapping[str, Any]]) -> Goods:
    """Count coins, items by kind, and each valuable by itself."""
    goods: Goods = Counter({COINS: money} if money else {})
    for stack in stacks:
        identity = stack.get("id")
        goods[f"{stack['kind']} #{identity}" if identity else stack["kind"]] += stack.get("count", 1)
    return goods


def goods_in_the_database(url: str, names: list[str]) -> dict[str, Goods]:
    """Return what everybody's main line has, and what lies in letters to them."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        heads = connection.execute(_HEADS, [names]).fetchall()
        letters = connection.execute(_LETTERS, [names]).fetchall()
    found = {}
    for name, state in heads:
        document = json.loads(bytes(state))
        stacks = [stack for bag in document["bags"].values() for stack in bag]
        found[name] = goods_of(document["money"], stacks)
    in_letters: Goods = Counter()
    for items, money in letters:
        in_letters.update(goods_of(money, items))
    return {**found, LETTERS: in_letters}


def broken_invariants(url: str) -> list[str]:
    """Return what does not hold, a line for each invariant."""
    with psycopg.connect(url, connect_timeout=5) as connection, connection.cursor() as cursor:
        begin_snapshot(cursor)
        findings = check_invariants(cursor, INVARIANTS)
    return [f"{finding.invariant.name} ({finding.broken}): {'; '.join(finding.rows)}" for finding in findings]


def versions_in_the_database(url: str) -> int:
    """Return how many versions there are."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("SELECT count(*) FROM characters_version").fetchone()
    return int(row[0]) if row else 0
