"""Pages that belong to no single app: home, the worlds, how to play, and the supervisor's health check."""

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.rules import LIMITS, Edition
from waystone.ping import ping_origin, policy_with
from waystone.world_search import WorldSearchForm
from worlds.selectors import (
    WorldFilters,
    choices_of_list,
    clusters_of,
    listed_worlds,
    platform_population,
    world_page,
    world_rows,
)
from worlds.status.history import history_of
from worlds.status.incidents import open_incidents

BUSIEST = 4  # worlds on the home page
PER_PAGE = 24  # fills rows of two and of three
CHOICES_FRESH_FOR = 30  # seconds; a new world's language may come late into the search form
FRESH_FOR = 3  # seconds; however many people watch the home page, the database is asked once in so long

live = LocMemCache("waystone.site", {})  # each process's own


def live_population() -> dict[str, object]:
    """Return how many play at this moment, and where most of them are."""
    found = live.get("population")
    if found is None:
        now = timezone.now()
        busiest = listed_worlds(now, WorldFilters(is_online=True))[:BUSIEST]
        found = {"population": platform_population(now), "busiest": world_rows(busiest, now)}
        live.set("population", found, FRESH_FOR)
    return found


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what Waystone is, and how many people play at this moment."""
    return render(request, "site/home.html", live_population())


@require_safe
def population(request: HttpRequest) -> HttpResponse:
    """Show only the live part of the home page; htmx asks for it every few seconds."""
    return render(request, "site/population.html", live_population())


def known_choices() -> dict[str, list[str]]:
    """Return what the list can be narrowed by; asked anew every CHOICES_FRESH_FOR seconds."""
    found = live.get("choices")
    if found is None:
        found = choices_of_list()
        live.set("choices", found, CHOICES_FRESH_FOR)
    return found


@require_safe
def world_list(request: HttpRequest) -> HttpResponse:
    """List the worlds that match a search; for htmx, which asks every few seconds, only the results."""
    form = WorldSearchForm(request.GET, known_choices())
    now = timezone.now()
    page = Paginator(listed_worlds(now, form.filters()), PER_PAGE).get_page(request.GET.get("page"))
    rows = page.object_list
    assert isinstance(rows, QuerySet)  # noqa: S101  (for mypy: a slice of what the paginator was given)
    worlds = [(row, ping_origin(row.gateway_url)) for row in world_rows(rows, now)]
    context = {
        "form": form,
        "page": page,
        "worlds": worlds,
        "is_search": form.is_search(),
        "section": "worlds",
    }
    is_fragment = request.headers.get("HX-Target") == "results"
    response = render(request, "site/world_results.html" if is_fragment else "site/worlds.html", context)
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie"
    response.headers["Content-Security-Policy"] = policy_with(origin for _, origin in worlds)
    return response


@require_safe
def world_page_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one world: what it is, how it is, where it leads, and how to get in."""
    now = timezone.now()
    page = world_page(slug, now)
    if page is None:
        raise Http404
    ping = ping_origin(page.row.gateway_url)
    context = {
        "page": page,
        "world": page.row,
        "ping": ping,
        "history": history_of(page.id, now),
        "incidents": open_incidents(world=slug),
        "clusters": clusters_of(slug, now),
        "free_level_cap": LIMITS[Edition.FREE].level_cap,
        "site_url": settings.PUBLIC_URL,
        "section": "worlds",
    }
    response = render(request, "site/world.html", context)
    response.headers["Content-Security-Policy"] = policy_with([ping])
    return response


@require_safe
def world_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Show only the live part of a world's page; htmx asks for it every few seconds."""
    page = world_page(slug, timezone.now())
    if page is None:
        raise Http404
    context = {"world": page.row, "ping": ping_origin(page.row.gateway_url)}
    return render(request, "site/world_now.html", context)


@require_safe
def how_to_play(request: HttpRequest) -> HttpResponse:
    """Explain the way from here into a world."""
    free = LIMITS[Edition.FREE]
    return render(
        request, "site/how_to_play.html", {"section": "how", "free": free, "site_url": settings.PUBLIC_URL}
    )


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say whether this process can serve: it answers, and the database does.

    An unreachable database is Django's own error and becomes a 500, which is what the supervisor looks for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")
