"""Counts minutes: which worlds can be entered, how many play there, and whether the site answers.

One statement however many worlds there are. Called by Celery on the master, once a minute; a minute that two
tasks count, or one task twice, is counted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from django.db import connection

from worlds.models import Availability, World
from worlds.selectors import WorldRow, listing_rows, with_players

log = structlog.get_logger(__name__)

SITE, BACKGROUND = "site", "background"  # parts of the platform
KEEP_HOURS = timedelta(days=8)
KEEP_DAYS = timedelta(days=400)
PATIENCE_S = 5.0  # with the site, which somebody waits for

_COUNT = """
INSERT INTO worlds_availability AS kept
    (world_id, part, span, at, last_at, was_up, samples, up, planned, players, most)
SELECT given.world, given.part, spans.span, spans.at, %(minute)s, given.up > 0, 1, given.up, given.planned,
       given.players, given.players
FROM unnest(%(worlds)s::bigint[], %(parts)s::text[], %(up)s::int[], %(planned)s::int[], %(players)s::int[])
     AS given(world, part, up, planned, players)
CROSS JOIN (VALUES ('hour', %(hour)s::timestamptz), ('day', %(day)s::timestamptz)) AS spans(span, at)
WHERE given.world IS NULL OR EXISTS (SELECT 1 FROM worlds_world WHERE id = given.world)
ON CONFLICT (world_id, part, span, at) DO UPDATE SET
    last_at = excluded.last_at,
    was_up = excluded.was_up,
    samples = kept.samples + 1,
    up = kept.up + excluded.up,
    planned = kept.planned + excluded.planned,
    players = kept.players + excluded.players,
    most = greatest(kept.most, excluded.most)
WHERE kept.last_at < excluded.last_at
"""


@dataclass(frozen=True)
class Sample:
    """One minute of a world, or of a part of the platform (`world` is None)."""

    world: int | None
    part: str
    is_up: bool
    is_planned: bool
    players: int


def count_minute(now: datetime, *, is_site_up: bool) -> int:
    """Count this minute for every world that ever reported and for the platform. Returns: how many worlds."""
    reported = with_players(World.objects.filter(last_report_at__isnull=False), now)
    samples = [sample_of(world, row) for world, row in listing_rows(reported, now)]
    players = sum(sample.players for sample in samples)
    platform = [
        Sample(None, SITE, is_site_up, False, players),
        Sample(None, BACKGROUND, True, False, players),
    ]
    keep([*samples, *platform], now)
    return len(samples)


def sample_of(world: int, row: WorldRow) -> Sample:
    """Return a world's minute: it is up if players are let in; planned if it said before why they are not."""
    is_up = row.is_online and row.maintenance is None
    is_restarting = row.restart is not None and row.restart.minutes == 0
    is_planned = not is_up and not row.is_suspended and (row.maintenance is not None or is_restarting)
    return Sample(world, "", is_up, is_planned, row.players)


def keep(samples: Sequence[Sample], now: datetime) -> None:
    """Add a minute to its hour and its day. Args: now: UTC."""
    minute = now.replace(second=0, microsecond=0)
    values: dict[str, Any] = {
        "minute": minute,
        "hour": minute.replace(minute=0),
        "day": minute.replace(hour=0, minute=0),
        "worlds": [sample.world for sample in samples],
        "parts": [sample.part for sample in samples],
        "up": [int(sample.is_up) for sample in samples],
        "planned": [int(sample.is_planned) for sample in samples],
        "players": [sample.players for sample in samples],
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)


def forget_old(now: datetime) -> int:
    """Delete hours past 8 days and days past 400. Returns: how many rows."""
    hours = Availability.objects.filter(span=Availability.Span.HOUR, at__lt=now - KEEP_HOURS)
    days = Availability.objects.filter(span=Availability.Span.DAY, at__lt=now - KEEP_DAYS)
    return hours.delete()[0] + days.delete()[0]


def site_answers(public_url: str) -> bool:
    """Return whether the site answers at the address that everybody uses."""
    try:
        answer = httpx.get(f"{public_url}/healthz", timeout=PATIENCE_S, trust_env=False)
    except httpx.HTTPError as error:
        log.warning("site_does_not_answer", address=public_url, cause=str(error) or type(error).__name__)
        return False
    return answer.status_code == 200
