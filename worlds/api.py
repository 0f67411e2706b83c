"""REST: the public list of worlds, and one world. Plain rows, bytes kept for seconds, answers with an ETag.

DRF's serializers take 4 ms a page (STACK): here they only describe the answers for the schema.
"""

from collections.abc import Mapping
from dataclasses import asdict

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.allowances import PublicThrottle
from accounts.openapi import problems
from accounts.pagination import PAGE_PARAMETERS, PageRequest, page_of, read_page
from accounts.rules import Edition
from worlds.models import World
from worlds.public_answers import FRESH_FOR, answer, answers, kept
from worlds.selectors import DEFAULT_ORDER, ORDERS, WorldFilters, listed_worlds, world_page, world_rows

MAX_SEARCH = 80
TIERS = tuple(World.Tier.values)
EDITIONS = tuple(edition.value for edition in Edition)

__all__ = ["FRESH_FOR", "answers"]


class NextRestartSerializer(serializers.Serializer):
    """The next restart of a world, as the world tells it; or the one under way."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(
        choices=("rolling", "full"), help_text="rolling: nobody is put out. full: back within two minutes."
    )
    minutes = serializers.IntegerField(
        allow_null=True, help_text="Until then, within the last hour; 0: it is under way."
    )


class WorldSerializer(serializers.Serializer):
    """A world in the list."""

    slug = serializers.CharField()
    name = serializers.CharField()
    tagline = serializers.CharField(allow_blank=True)
    tier = serializers.ChoiceField(choices=TIERS, help_text="How far the platform trusts the world.")
    language = serializers.CharField()
    region = serializers.CharField()
    ruleset = serializers.CharField()
    edition = serializers.ChoiceField(choices=EDITIONS, help_text="The edition that is needed to enter.")
    players = serializers.IntegerField(
        help_text="In play now, counted by the leases that the master granted."
    )
    max_players = serializers.IntegerField()
    is_online = serializers.BooleanField(help_text="The world reported within the last 15 s.")
    is_suspended = serializers.BooleanField(help_text="Staff suspended it: nobody can enter.")
    created_at = serializers.DateTimeField()
    restart = NextRestartSerializer(allow_null=True, help_text="null: none is planned.")
    maintenance = serializers.CharField(
        allow_null=True, help_text="Set: only its operators are let in; why. null: everybody is."
    )
    tags = serializers.ListField(child=serializers.CharField())
    gateway_url = serializers.CharField(
        allow_blank=True,
        help_text="Of its world link; clients measure how far it is. Entering needs a ticket.",
    )
    banner = serializers.CharField(
        allow_blank=True, help_text="Digest of its banner, /worlds/<slug>/banner/<digest>.webp; empty: none."
    )


class WorldsSerializer(serializers.Serializer):
    """One page of the list."""

    count = serializers.IntegerField(help_text="Worlds on all pages.")
    page = serializers.IntegerField()
    page_size = serializers.IntegerField()
    next = serializers.CharField(allow_null=True, help_text="Address of the next page on this host.")
    previous = serializers.CharField(allow_null=True)
    results = WorldSerializer(many=True)


class ZoneSerializer(serializers.Serializer):
    """A zone of a world."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    size = serializers.FloatField(help_text="Metres on a side.")
    is_entry = serializers.BooleanField(help_text="New characters begin here.")


class WorldPageSerializer(WorldSerializer):
    """A world with all that is told of it."""

    description = serializers.CharField(allow_blank=True)
    motd = serializers.CharField(allow_blank=True, help_text="Message of the day.")
    house_rules = serializers.CharField(allow_blank=True, help_text="How people behave here.")
    zones = ZoneSerializer(many=True)


CONDITIONAL = [
    OpenApiParameter(
        "If-None-Match",
        str,
        OpenApiParameter.HEADER,
        description="The ETag of an answer you have: 304 if it is still so.",
    ),
    OpenApiParameter(
        "If-Modified-Since",
        str,
        OpenApiParameter.HEADER,
        description="The Last-Modified of an answer you have; If-None-Match goes before it.",
    ),
]
NOT_MODIFIED = OpenApiResponse(description="What you have is still right.")
FILTERS = [
    OpenApiParameter(
        "search", str, description=f"In name, slug, tagline, description; at most {MAX_SEARCH} characters."
    ),
    OpenApiParameter("language", str, description="Exactly, such as en."),
    OpenApiParameter("region", str, description="Exactly."),
    OpenApiParameter("ruleset", str, description="Exactly."),
    OpenApiParameter("tier", str, enum=TIERS),
    OpenApiParameter("edition", str, enum=EDITIONS, description="Needed to enter."),
    OpenApiParameter("online", bool, description="Only worlds that are online (true) or are not (false)."),
    OpenApiParameter(
        "order", str, enum=list(ORDERS), description=f"{DEFAULT_ORDER} if left out; age: youngest first."
    ),
]
KNOWN = {parameter.name for parameter in (*FILTERS, *PAGE_PARAMETERS)}


def read_filters(parameters: Mapping[str, str]) -> WorldFilters:
    """Read the list's filters from a query.

    Raises: ValidationError: an unknown name, or a value that cannot be.
    """
    errors: dict[str, list[str]] = {}
    for name in parameters.keys() - KNOWN:
        errors[name[:40]] = [f"Unknown parameter; known are {', '.join(sorted(KNOWN))}."]
    for name, allowed in (
        ("tier", TIERS),
        ("edition", EDITIONS),
        ("online", ("true", "false")),
        ("order", ORDERS),
    ):
        if parameters.get(name, "") not in ("", *allowed):
            errors[name] = [f"Use one of {', '.join(allowed)}."]
    texts = {name: parameters.get(name, "").strip() for name in ("search", "language", "region", "ruleset")}
    for name, text in texts.items():
        if len(text) > MAX_SEARCH or not text.isprintable():
            errors[name] = [f"Use at most {MAX_SEARCH} printable characters."]
    if errors:
        raise ValidationError(errors)
    online = parameters.get("online", "")
    return WorldFilters(
        **texts,
        tier=parameters.get("tier", ""),
        edition=parameters.get("edition", ""),
        is_online=online == "true" if online else None,
        order=parameters.get("order", "") or DEFAULT_ORDER,
    )


def list_body(filters: WorldFilters, page: PageRequest, path: str, parameters: Mapping[str, str]) -> bytes:
    """Return the list as JSON. Raises: NotFound: past the last page."""
    now = timezone.now()
    worlds = listed_worlds(now, filters)
    count = worlds.count()
    results = world_rows(worlds[page.rows], now) if count else []
    return msgspec.json.encode(page_of(page, count, results, path, parameters))


def world_body(slug: str) -> bytes:
    """Return one world as JSON. Raises: NotFound."""
    page = world_page(slug, timezone.now())
    if page is None:
        raise NotFound(f"There is no world {slug!r}. GET /api/v1/worlds/ lists them.")
    return msgspec.json.encode(
        {
            **asdict(page.row),
            "description": page.description,
            "motd": page.motd,
            "house_rules": page.house_rules,
            "zones": page.zones,
        }
    )


class PublicView(APIView):
    """Anybody may read; who asks does not matter, so nothing of a session is looked at."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]
    throttle_classes = [PublicThrottle]


class WorldsView(PublicView):
    """The list of worlds."""

    @extend_schema(
        operation_id="worlds_list",
        tags=["worlds"],
        auth=[],
        parameters=[*FILTERS, *PAGE_PARAMETERS, *CONDITIONAL],
        responses={
            200: WorldsSerializer,
            304: NOT_MODIFIED,
            **problems(400, 429, _404="There is no such page."),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """List the worlds that are open to the public. An answer is fresh for 3 s."""
        parameters = request.query_params.dict()
        filters, page = read_filters(parameters), read_page(parameters)
        key = (filters, page, request.path)
        return answer(request._request, kept(key, lambda: list_body(filters, page, request.path, parameters)))


class WorldView(PublicView):
    """One world."""

    @extend_schema(
        operation_id="worlds_retrieve",
        tags=["worlds"],
        auth=[],
        parameters=CONDITIONAL,
        responses={200: WorldPageSerializer, 304: NOT_MODIFIED, **problems(404, 429)},
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Tell all about one world, listed or not."""
        return answer(request._request, kept(("world", slug), lambda: world_body(slug)))
