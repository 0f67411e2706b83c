"""The status pages: the platform and its worlds, one world, and the badge that other sites may show."""

from collections.abc import Sequence

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from worlds.public_answers import answer, kept
from worlds.selectors import (
    WorldFilters,
    WorldRow,
    listed_worlds,
    listing_rows,
    platform_population,
    world_page,
)
from worlds.status.badge import badge, badge_words
from worlds.status.history import days_of, history_of, measured_at, platform_parts
from worlds.status.incidents import IncidentRow, open_incidents, recent_incidents
from worlds.status.rules import FRESH_FOR, Bar, together

PER_PAGE = 20
BADGE_FRESH_FOR = 30  # seconds
# Impact of an open incident → tone and picture of the headline.
TONES = {"major": ("bad", "circle-cross"), "minor": ("warn", "warning"), "planned": ("warn", "clock")}


def now_context(incidents: list[IncidentRow]) -> dict[str, object]:
    """Return what the headline says: the worst that is open, or that everything works."""
    now = timezone.now()
    counted_at = measured_at(now)
    worst = next((one for impact in TONES for one in incidents if one.impact == impact), None)
    is_fresh = counted_at is not None and now - counted_at <= FRESH_FOR
    if worst is not None:
        headline, (tone, picture) = worst.title, TONES[worst.impact]
    elif counted_at is not None and not is_fresh:
        headline, tone, picture = "Nobody has counted for a while", "warn", "warning"
    else:
        headline, tone, picture = "Everything works", "good", "circle-check"
    return {
        "headline": headline,
        "tone": tone,
        "picture": picture,
        "counted_at": counted_at,
        "is_fresh": is_fresh,
        "population": platform_population(now),
    }


@require_safe
def status_now(request: HttpRequest) -> HttpResponse:
    """Show only the headline of the status page; htmx asks for it every few seconds."""
    return render(request, "site/status_now.html", now_context(open_incidents()))


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show how the platform and its worlds are and have been."""
    now = timezone.now()
    listed = listed_worlds(now, WorldFilters(order="name"))
    page = Paginator(listed, PER_PAGE).get_page(request.GET.get("page"))
    found = page.object_list
    assert isinstance(found, QuerySet)  # noqa: S101  (for mypy: a slice of what the paginator was given)
    rows = listing_rows(found, now)
    days = days_of([world for world, _ in rows], now)
    incidents = recent_incidents(now)
    is_open = [one for one in incidents if one.ended_at is None]
    context = {
        **now_context(is_open),
        "open": is_open,
        "past": [one for one in incidents if one.ended_at is not None],
        "parts": platform_parts(now),
        "page": page,
        "worlds": [(row, days[world], share_of(days[world])) for world, row in rows],
        "section": "status",
    }
    return render(request, "site/status.html", context)


def share_of(days: Sequence[Bar]) -> float | None:
    """Return the share of several days."""
    return together(bar.minutes for bar in days).share


@require_safe
def world_status(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how one world has been: minutes, players, incidents; and its badge."""
    now = timezone.now()
    page = world_page(slug, now)
    if page is None:
        raise Http404
    image = settings.PUBLIC_URL + reverse("world_badge", args=[slug])
    link = settings.PUBLIC_URL + reverse("world_page", args=[slug])
    name = page.row.name
    context = {
        "world": page.row,
        "history": history_of(page.id, now),
        "incidents": recent_incidents(now, world=slug),
        "badge_words": words_of(page.row)[1],
        "html_code": f'<a href="{link}"><img src="{image}" alt="{attribute(name)}" height="24"></a>',
        "markdown_code": f"[![{bracketless(name)}]({image})]({link})",
        "section": "status",
    }
    return render(request, "site/world_status.html", context)


@require_safe
def world_badge(request: HttpRequest, slug: str) -> HttpResponse:
    """Draw a world's badge, for any page of any site."""
    entry = kept(("badge", slug), lambda: badge_body(slug), BADGE_FRESH_FOR)
    return answer(request, entry, "image/svg+xml", BADGE_FRESH_FOR)


def badge_body(slug: str) -> bytes:
    """Return the badge. Raises: Http404: no such world."""
    page = world_page(slug, timezone.now())
    if page is None:
        raise Http404
    return badge(page.row.name, *words_of(page.row)).encode()


def words_of(row: WorldRow) -> tuple[str, str]:
    """Return the state and the words of a world's badge."""
    return badge_words(
        is_online=row.is_online,
        is_suspended=row.is_suspended,
        maintenance=row.maintenance is not None,
        players=row.players,
    )


def attribute(text: str) -> str:
    """Return a text as it stands in an attribute of HTML that somebody copies."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def bracketless(text: str) -> str:
    """Return a text as it stands in the brackets of Markdown that somebody copies."""
    return "".join(f"\\{sign}" if sign in "[]\\*_`<>" else sign for sign in text)
