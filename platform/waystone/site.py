"""Pages that belong to no single app: home, the worlds, how to play, and the supervisor's health check."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what Waystone is, and how many people play at this moment."""
    return render(request, "site/home.html", {})


@require_safe
def population(request: HttpRequest) -> HttpResponse:
    """Show only the live part of the home page; htmx asks for it every few seconds."""
    return render(request, "site/population.html", {})


@require_safe
def world_list(request: HttpRequest) -> HttpResponse:
    """List the worlds."""
    return render(request, "site/worlds.html", {})


@require_safe
def world_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one world."""
    return render(request, "site/world.html", {})


@require_safe
def how_to_play(request: HttpRequest) -> HttpResponse:
    """Explain the way from here into a world."""
    return render(request, "site/how_to_play.html")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say whether this process can serve: it answers, and the database does.

    An unreachable database is Django's own error and becomes a 500, which is what the supervisor looks for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")
