"""REST of the status pages: the platform, and one world. Anybody may read; answers are the same for all."""

from collections.abc import Sequence

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from accounts.openapi import problems
from worlds.api import CONDITIONAL, NOT_MODIFIED, PublicView
from worlds.public_answers import answer, kept
from worlds.selectors import platform_population, world_page
from worlds.status.history import History, history_of, measured_at, platform_parts
from worlds.status.incidents import IncidentRow, recent_incidents
from worlds.status.rules import Bar, Verdict

FRESH_FOR = 15  # seconds; minutes are counted every 60


class UptimeSerializer(serializers.Serializer):
    """Shares of the counted minutes in which it could be used, 0 to 1; announced ones do not count."""

    day = serializers.FloatField(allow_null=True, help_text="Of the last 24 hours; null: none was counted.")
    week = serializers.FloatField(allow_null=True)
    quarter = serializers.FloatField(allow_null=True, help_text="Of the last 90 days.")


class PartSerializer(serializers.Serializer):
    """A part of the platform."""

    part = serializers.CharField()
    name = serializers.CharField()
    is_up = serializers.BooleanField(allow_null=True, help_text="null: not counted lately.")
    uptime = UptimeSerializer()


class IncidentUpdateSerializer(serializers.Serializer):
    """What staff wrote of an incident."""

    at = serializers.DateTimeField()
    state = serializers.CharField(help_text="For people.")
    text = serializers.CharField()


class IncidentSerializer(serializers.Serializer):
    """An incident: open, or over for less than two weeks."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    impact = serializers.ChoiceField(choices=("notice", "minor", "major", "planned"))
    state = serializers.ChoiceField(choices=("looking", "known", "watching", "over"))
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    worlds = serializers.ListField(
        child=serializers.CharField(), help_text="Slugs of those it concerns; empty: all."
    )
    updates = IncidentUpdateSerializer(many=True, help_text="Newest first.")


class StatusSerializer(serializers.Serializer):
    """The platform at this moment."""

    counted_at = serializers.DateTimeField(allow_null=True, help_text="The minute that was counted last.")
    players = serializers.IntegerField()
    worlds = serializers.IntegerField(help_text="Listed.")
    worlds_online = serializers.IntegerField()
    parts = PartSerializer(many=True)
    incidents = IncidentSerializer(many=True)


class SpanSerializer(serializers.Serializer):
    """One day or hour (UTC) of a world."""

    at = serializers.CharField(help_text="Begin: a date, or an instant.")
    verdict = serializers.ChoiceField(
        choices=[each.value for each in Verdict], help_text="none: nothing was counted; planned: announced."
    )
    uptime = serializers.FloatField(allow_null=True)
    players = serializers.FloatField(help_text="Mean.")
    most_players = serializers.IntegerField()


class WorldStatusSerializer(serializers.Serializer):
    """How a world is and has been."""

    slug = serializers.CharField()
    name = serializers.CharField()
    is_online = serializers.BooleanField()
    is_suspended = serializers.BooleanField()
    maintenance = serializers.CharField(allow_null=True)
    players = serializers.IntegerField()
    uptime = UptimeSerializer()
    days = SpanSerializer(many=True, help_text="The last 90, oldest first.")
    hours = SpanSerializer(many=True, help_text="The last 48, oldest first.")
    incidents = IncidentSerializer(many=True)


def status_body() -> bytes:
    """Return the platform's status as JSON."""
    now = timezone.now()
    population = platform_population(now)
    parts = [
        {"part": part.key, "name": part.name, "is_up": part.is_up, "uptime": uptime_of(part.history)}
        for part in platform_parts(now)
    ]
    said = {
        "counted_at": measured_at(now),
        "players": population.players,
        "worlds": population.worlds,
        "worlds_online": population.worlds_online,
        "parts": parts,
        "incidents": [incident_of(row) for row in recent_incidents(now)],
    }
    return msgspec.json.encode(said)


def world_status_body(slug: str) -> bytes:
    """Return a world's status as JSON. Raises: NotFound."""
    now = timezone.now()
    page = world_page(slug, now)
    if page is None:
        raise NotFound(f"There is no world {slug!r}. GET /api/v1/worlds/ lists them.")
    history = history_of(page.id, now)
    row = page.row
    said = {
        "slug": row.slug,
        "name": row.name,
        "is_online": row.is_online,
        "is_suspended": row.is_suspended,
        "maintenance": row.maintenance,
        "players": row.players,
        "uptime": uptime_of(history),
        "days": spans_of(history.days),
        "hours": spans_of(history.hours),
        "incidents": [incident_of(one) for one in recent_incidents(now, world=slug)],
    }
    return msgspec.json.encode(said)


def uptime_of(history: History) -> dict[str, float | None]:
    """Return a history's shares."""
    shares = {"day": history.day, "week": history.week, "quarter": history.quarter}
    return {name: None if share is None else round(share, 5) for name, share in shares.items()}


def spans_of(bars: Sequence[Bar]) -> list[dict[str, object]]:
    """Return days or hours as JSON has them."""
    return [
        {
            "at": bar.at.isoformat(),
            "verdict": bar.verdict.value,
            "uptime": None if bar.minutes.share is None else round(bar.minutes.share, 5),
            "players": round(bar.minutes.mean, 2),
            "most_players": bar.minutes.most,
        }
        for bar in bars
    ]


def incident_of(row: IncidentRow) -> dict[str, object]:
    """Return an incident as JSON has it."""
    return {
        "id": row.id,
        "title": row.title,
        "impact": row.impact,
        "state": row.state,
        "began_at": row.began_at,
        "ended_at": row.ended_at,
        "worlds": [slug for slug, _ in row.worlds],
        "updates": [{"at": each.at, "state": each.state, "text": each.text} for each in row.updates],
    }


class StatusView(PublicView):
    """The platform's status."""

    @extend_schema(
        operation_id="status_retrieve",
        tags=["status"],
        auth=[],
        parameters=CONDITIONAL,
        responses={200: StatusSerializer, 304: NOT_MODIFIED, **problems(429)},
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell how the platform is, and what has happened in two weeks. An answer is fresh for 15 s."""
        return answer(request._request, kept("status", status_body, FRESH_FOR), fresh_for=FRESH_FOR)


class WorldStatusView(PublicView):
    """One world's status."""

    @extend_schema(
        operation_id="worlds_status_retrieve",
        tags=["status"],
        auth=[],
        parameters=CONDITIONAL,
        responses={200: WorldStatusSerializer, 304: NOT_MODIFIED, **problems(404, 429)},
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Tell how one world is and has been, day by day and hour by hour. An answer is fresh for 15 s."""
        entry = kept(("status", slug), lambda: world_status_body(slug), FRESH_FOR)
        return answer(request._request, entry, fresh_for=FRESH_FOR)
