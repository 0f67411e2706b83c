"""The admin's page for rolling one world back: first what would change, then a confirmation with a reason."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import staff_of
from characters.restoring import (
    LineRollback,
    lines_written_by,
    note_rollback,
    plan_rollback,
    roll_back_line,
)
from worlds.models import World

PERMISSION = "characters.change_line"
MOST_LINES = 200  # at once in a browser; a larger rollback is for the command, which shows how far it is


class WhichForm(forms.Form):
    """Which world, and since when."""

    world = forms.ModelChoiceField(World.objects.order_by("name"), widget=UnfoldAdminSelectWidget)
    since = forms.DateTimeField(
        widget=UnfoldAdminTextInputWidget,
        help_text="UTC, like 2026-11-23 10:00. What the world wrote from then on goes.",
    )


class ConfirmForm(WhichForm):
    """The same, with the reason."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept in the audit record."
    )


@dataclass(frozen=True)
class Plan:
    """What would change. `has_more`: there are lines beyond those that are shown."""

    lines: list[LineRollback]
    has_more: bool

    @property
    def can_run(self) -> bool:
        return not self.has_more and any(line.verdict == "to do" for line in self.lines)


def rollback_page(request: HttpRequest) -> HttpResponse:
    """Show the form, the dry run, or do it. Permission: staff who may change lines."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    if request.method == "POST":
        return _confirmed(request)
    is_asked = "since" in request.GET  # a world's page names the world alone
    which = WhichForm(request.GET) if is_asked else WhichForm(initial=request.GET.dict())
    context: dict[str, Any] = {"which": which}
    if is_asked and which.is_valid():
        asked = which.cleaned_data
        context["plan"] = _plan(asked)
        context["confirm"] = ConfirmForm(initial=asked)
        context["world"], context["since"] = asked["world"], asked["since"]
    return _render(request, context)


def _plan(asked: dict[str, Any]) -> Plan:
    lines = plan_rollback(world=asked["world"], since=asked["since"], now=timezone.now())
    found = list(islice(lines, MOST_LINES + 1))
    return Plan(found[:MOST_LINES], has_more=len(found) > MOST_LINES)


def _confirmed(request: HttpRequest) -> HttpResponse:
    form = ConfirmForm(request.POST)
    if not form.is_valid():
        which = WhichForm(request.POST)
        return _render(request, {"which": which, "confirm": form, "plan": None}, status=400)
    asked = form.cleaned_data
    again = {"world": asked["world"].pk, "since": f"{asked['since']:%Y-%m-%d %H:%M:%S}"}
    address = f"{request.path}?{urlencode(again)}"
    lines = lines_written_by(asked["world"], asked["since"])
    if len(lines) > MOST_LINES:
        messages.error(
            request, f"{len(lines)} lines are too many for a browser: use manage.py rollbackworld."
        )
        return redirect(address)
    counts: Counter[str] = Counter()
    for line_id in lines:
        done = roll_back_line(line_id=line_id, by=staff_of(request), now=timezone.now(), **asked)
        if done is not None:
            counts[done.verdict] += 1
    if counts["done"]:
        note_rollback(counts=dict(counts), by=staff_of(request), now=timezone.now(), **asked)
    left = sum(counts.values()) - counts["done"]
    messages.success(request, f"{counts['done']} lines went back; {left} were left as they are.")
    return redirect(address)


def _render(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    site = admin.site.each_context(request)
    return render(
        request,
        "admin/characters/rollback.html",
        {**site, "title": "Roll a world back", **context},
        status=status,
    )
