"""Who plays in the benchmark of saves: worlds with their keys, and the lines that they hold."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from characters.models import WorldBudget
from tests.benchmark.saves_rounds import Failed
from worlds.models import World, WorldKey
from worlds.uplink.keys import KeyPair, key_pair

LEASE_FOR = timedelta(hours=12)  # longer than the benchmark
NO_LIMIT = 2**62  # of a verified world's budget: everything is counted, nothing is over


@dataclass
class Head:
    """A line as the worker knows it."""

    line: UUID
    character: UUID
    account: int
    epoch: int
    version: int
    chain: bytes


class Cast:
    """Worlds and playing characters."""

    def __init__(self, worlds: int, playing: int) -> None:
        self.keys: list[KeyPair] = []
        self.worlds = [self._world(number) for number in range(worlds)]
        self.heads = _choose(playing)
        self.of_world: list[deque[Head]] = []  # of each world that takes part, next ones first

    def _world(self, number: int) -> World:
        world, _ = World.objects.get_or_create(
            slug=f"world-{number}",
            defaults={"name": f"World {number}", "tier": "official", "gateway_url": "ws://127.0.0.1:1/"},
        )
        key = key_pair(Ed25519PrivateKey.generate())
        WorldKey.objects.create(world=world, kid=key.kid, public_key=key.public_bytes)
        self.keys.append(key)
        limits = {field.name: NO_LIMIT for field in WorldBudget._meta.fields if "_" in field.name}
        WorldBudget.objects.update_or_create(world=world, defaults=limits)
        return world

    def assign(self, count: int, tier: str) -> None:
        """Let the first `count` worlds, of this tier, hold the playing characters, in turns."""
        for world in self.worlds:
            world.tier = tier
        World.objects.bulk_update(self.worlds, ["tier"])
        self.of_world = [deque(self.heads[number::count]) for number in range(count)]
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE characters_line AS line SET holder_id = given.world, lease_until = %s
                FROM unnest(%s::uuid[], %s::bigint[]) AS given(line, world) WHERE line.id = given.line""",
                [
                    datetime.now(UTC) + LEASE_FOR,
                    [head.line for head in self.heads],
                    [self.worlds[number % count].pk for number in range(len(self.heads))],
                ],
            )
            # Or the planner takes the index of holders, as if each had no line yet.
            cursor.execute("ANALYZE characters_line")

    def free(self, count: int) -> list[Head]:
        """Return playing characters whose leases are given back: the front of the queue."""
        heads = self.heads[:count]
        self.heads = self.heads[count:] + heads
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE characters_line SET holder_id = NULL, lease_until = NULL WHERE id = ANY(%s)",
                [[head.line for head in heads]],
            )
        return heads


def _choose(playing: int) -> list[Head]:
    """Return lines from all over the table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM characters_line")
        (count,) = cursor.fetchone()
        if count < playing:
            raise Failed(f"{playing} characters are to play, but there are {count}")
        cursor.execute(
            """SELECT line.id, line.character_id, hero.account_id, line.epoch, line.version, line.chain
            FROM (SELECT *, row_number() OVER () AS number FROM characters_line) AS line
            JOIN characters_character AS hero ON hero.id = line.character_id
            WHERE line.world_id IS NULL AND line.number %% %s = 0 LIMIT %s""",
            [max(count // playing, 1), playing],
        )
        return [
            Head(line, character, account, epoch, version, bytes(chain))
            for line, character, account, epoch, version, chain in cursor.fetchall()
        ]
