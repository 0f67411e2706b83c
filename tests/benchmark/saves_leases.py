"""Leases in the benchmark of saves: acquire and release, a pair each, by hand and by the services."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from django.db import connection as django_connection

from characters.leases import acquire_lease, release_lease
from tests.benchmark import saves_raw
from tests.benchmark.saves_cast import Cast, Head
from tests.benchmark.saves_rounds import CpuTimes, Failed, Writer, run
from worlds.models import Ticket, World
from worlds.uplink import messages


def lease(cast: Cast, way: str, count: int, connections: int, url: str, cpu_s: CpuTimes) -> dict[str, Any]:
    """Acquire and release `count` characters that nobody holds, each in two transactions."""
    heads = cast.free(count)
    world, now = cast.worlds[0], datetime.now(UTC)
    if way == "raw":
        timing = run(_by_hand(heads, world, url), count, connections, cpu_s)
    else:
        admissions = _admit(heads, world, now)
        timing = run(_by_services(heads, world, admissions), count, connections, cpu_s)
    with django_connection.cursor() as cursor:
        lines = [head.line for head in heads]
        cursor.execute("SELECT id, epoch, holder_id FROM characters_line WHERE id = ANY(%s)", [lines])
        found = {line: (epoch, holder) for line, epoch, holder in cursor.fetchall()}
    if any(found[head.line] != (head.epoch + 1, None) for head in heads):
        raise Failed("a line was not granted once and given back")
    for head in heads:
        head.epoch += 1
    return {"saves": count, **msgspec.to_builtins(timing)}


def _admit(heads: Sequence[Head], world: World, now: datetime) -> dict[int, UUID]:
    """Return an open admission of each account."""
    accounts = {head.account for head in heads}
    tickets = [
        Ticket(account_id=account, world=world, issued_at=now, expires_at=now, redeemed_at=now)
        for account in accounts
    ]
    Ticket.objects.bulk_create(tickets, batch_size=1000)
    return {ticket.account_id: ticket.jti for ticket in tickets}


def _by_hand(heads: Sequence[Head], world: World, url: str) -> Writer:
    @contextmanager
    def writer() -> Iterator[Callable[[int], None]]:
        with psycopg.connect(url, autocommit=True) as connection:

            def one(number: int) -> None:
                now = datetime.now(UTC)
                asked = {"line": heads[number].line, "world": world.pk, "now": now, "order": number}
                asked |= {"until": now + timedelta(seconds=120), "op_id": uuid4()}
                row = connection.execute(saves_raw.ACQUIRE, asked, prepare=True).fetchone()
                if row is None:
                    raise Failed("a free line was not granted")
                released = {"line": heads[number].line, "epoch": row[0], "world": world.pk}
                connection.execute(saves_raw.RELEASE, released, prepare=True)

            yield one

    return writer


def _by_services(heads: Sequence[Head], world: World, admissions: dict[int, UUID]) -> Writer:
    @contextmanager
    def writer() -> Iterator[Callable[[int], None]]:
        django_connection.ensure_connection()

        def one(number: int) -> None:
            head = heads[number]
            asked = messages.Acquire(admissions[head.account], head.character, uuid4(), number)
            lease = acquire_lease(world=world, request=asked, now=datetime.now(UTC))
            messages.encoder.encode(lease)
            release_lease(
                world=world,
                request=messages.Release(lease.line, lease.epoch),
                now=datetime.now(UTC),
            )

        yield one
        django_connection.close()

    return writer
