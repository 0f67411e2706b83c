"""`/admin/find/`: the page of the search over everything (waystone.finding)."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts.admin_parts import link_to
from waystone.finding import LONGEST, PATIENCE_MS, Found, find


@require_safe
def find_page(request: HttpRequest) -> HttpResponse:
    """Show what was found, kind by kind. Permission: staff; of each kind, who may view it."""
    text = request.GET.get("q", "")
    sections = [_section(each, text) for each in find(text, request.user.has_perm)]
    context = {
        "title": "Find",
        "text": text[:LONGEST],
        "sections": sections,
        "patience": PATIENCE_MS // 1000,
    }
    return render(request, "admin/find.html", {**admin.site.each_context(request), **context})


def _section(found: Found, text: str) -> dict[str, Any]:
    meta = found.kind.model._meta
    is_listed = admin.site.is_registered(found.kind.model)
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist") if is_listed else ""
    return {
        "title": found.kind.title,
        "rows": [link_to(row) if is_listed else str(row) for row in found.rows],
        "is_slow": found.is_slow,
        "more": f"{address}?{urlencode({'q': text})}" if found.has_more and is_listed else "",
    }


def with_find(get_urls: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
    """Return the admin's addresses with the page's before them: so it is behind all of the admin's locks."""

    def urls() -> list[Any]:
        return [path("find/", admin.site.admin_view(find_page), name="find"), *get_urls()]

    return urls
