"""Pages of operators, second half: a world's overview, its page's texts, its restarts, its history."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from accounts.authentication import account_of
from worlds.models import WorldBanner
from worlds.operating import overview, texts
from worlds.operating.history import history_of
from worlds.operating.keepers import KeptWorld, world_for
from worlds.operating.keeping_forms import (
    AnnounceForm,
    BannerForm,
    MaintenanceForm,
    PageForm,
    PlanForm,
    PolicyForm,
    PostponeForm,
)
from worlds.operating.navigation import tabs_of
from worlds.operating.orders import OrderRefused, give_order, newest_orders, policy_reported
from worlds.operating.rules import Deed
from worlds.restarts import MAX_AHEAD
from worlds.uplink.orders import Announce, Cancel, PlanRestart, Postpone
from worlds.world_life import LifeRefused, begin_maintenance, end_maintenance

SENT = "Sent. The world does it as soon as it reports, within some seconds."
BANNER_FOR_S = 365 * 24 * 3600  # its address holds its digest: another banner has another address


def context_of(kept: KeptWorld, here: str, **more: Any) -> dict[str, Any]:
    """Return what every page of a kept world needs. Args: here: the name of its address."""
    return {
        "kept": kept,
        "world": kept.world,
        "tabs": tabs_of(kept, here),
        "now": timezone.now(),
        "section": "operate",
        **more,
    }


def _kept(request: HttpRequest, slug: str, deed: Deed) -> KeptWorld:
    return world_for(account_of(request), slug, deed)


# ---------------------------------------------------------------- overview


@never_cache
@login_required
@require_safe
def overview_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how the world is; live by asking again for a part of it."""
    kept = _kept(request, slug, Deed.LOOK)
    is_fragment = request.headers.get("HX-Target") == "state"
    template = "operate/overview_state.html" if is_fragment else "operate/overview.html"
    response = render(request, template, _overview(kept))
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie"
    return response


def _overview(kept: KeptWorld, **bound: Any) -> dict[str, Any]:
    now = timezone.now()
    forms_ = {"announce": AnnounceForm(), "maintenance": MaintenanceForm(), **bound}
    return context_of(
        kept,
        "kept_world",
        state=overview.state_of(kept.world, now),
        orders=newest_orders(kept.world, 8),
        **forms_,
    )


@login_required
@require_POST
def announce(request: HttpRequest, slug: str) -> HttpResponse:
    """Have something said to everybody in play."""
    kept = _kept(request, slug, Deed.ANNOUNCE)
    form = AnnounceForm(request.POST)
    if form.is_valid():
        text = form.cleaned_data["text"]
        try:
            give_order(
                world=kept.world,
                deed=Announce(text),
                about=text,
                by=account_of(request),
                now=timezone.now(),
            )
        except OrderRefused as error:
            form.add_error("text", str(error))
        else:
            messages.success(request, SENT)
            return redirect("kept_world", slug)
    return render(request, "operate/overview.html", _overview(kept, announce=form), status=400)


@login_required
@require_POST
def maintenance(request: HttpRequest, slug: str) -> HttpResponse:
    """Let nobody in, or everybody again."""
    kept = _kept(request, slug, Deed.MAINTENANCE)
    by, now = account_of(request), timezone.now()
    if "end" in request.POST:
        end_maintenance(world=kept.world, reason="by its keepers", by=by, now=now)
        messages.success(request, "Players are let in again.")
        return redirect("kept_world", slug)
    form = MaintenanceForm(request.POST)
    if form.is_valid():
        try:
            begin_maintenance(
                world=kept.world, text=form.cleaned_data["text"], reason="by its keepers", by=by, now=now
            )
        except LifeRefused as error:
            form.add_error("text", str(error))
        else:
            messages.success(request, "Nobody is let in but those who keep the world. Who is in may stay.")
            return redirect("kept_world", slug)
    return render(request, "operate/overview.html", _overview(kept, maintenance=form), status=400)


# ---------------------------------------------------------------- what its page says


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit what the page of the world says."""
    kept = _kept(request, slug, Deed.EDIT_PAGE)
    initial = {name: getattr(kept.world, name) for name in texts.FIELDS}
    form = PageForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        texts.change_page(
            world=kept.world, values=form.cleaned_data, by=account_of(request), now=timezone.now()
        )
        messages.success(request, "Saved. Players see it from now on.")
        return redirect("kept_page", slug)
    return _page(request, kept, form, BannerForm())


@login_required
@require_POST
def banner(request: HttpRequest, slug: str) -> HttpResponse:
    """Set or take away the picture over the page."""
    kept = _kept(request, slug, Deed.EDIT_PAGE)
    by, now = account_of(request), timezone.now()
    if "remove" in request.POST:
        texts.remove_banner(world=kept.world, by=by, now=now)
        messages.success(request, "The picture is gone; the drawn hills are back.")
        return redirect("kept_page", slug)
    form = BannerForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            texts.set_banner(world=kept.world, upload=form.cleaned_data["banner"], by=by, now=now)
        except texts.BannerRefused as error:
            form.add_error("banner", str(error))
        else:
            messages.success(request, "The new picture is over the page.")
            return redirect("kept_page", slug)
    initial = {name: getattr(kept.world, name) for name in texts.FIELDS}
    return _page(request, kept, PageForm(initial=initial), form)


def _page(request: HttpRequest, kept: KeptWorld, form: forms.Form, picture: forms.Form) -> HttpResponse:
    digest = WorldBanner.objects.filter(world=kept.world).values_list("digest", flat=True).first()
    context = context_of(kept, "kept_page", form=form, picture=picture, banner=digest)
    return render(request, "operate/page.html", context, status=400 if form.errors or picture.errors else 200)


@require_GET
def world_banner(request: HttpRequest, slug: str, digest: str) -> HttpResponse:
    """Send a world's banner. For everybody; its address changes with it."""
    row = WorldBanner.objects.filter(world__slug=slug, digest=digest).only("image").first()
    if row is None:
        raise Http404("There is no such picture.")
    response = HttpResponse(bytes(row.image), content_type="image/webp")
    response.headers["Cache-Control"] = f"public, max-age={BANNER_FOR_S}, immutable"
    return response


# ---------------------------------------------------------------- restarts


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def restarts(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the next restart and by what policy it comes; a POST orders one of them otherwise."""
    kept = _kept(request, slug, Deed.RESTARTS)
    bound: dict[str, forms.Form] = {}
    if request.method == "POST":
        what = request.POST.get("what", "")
        if what not in _DEEDS:
            raise Http404("no such order")
        form = _DEEDS[what](request.POST)
        if form.is_valid() and _is_ordered(request, kept, what, form):
            messages.success(request, SENT)
            return redirect("kept_restarts", slug)
        bound[what] = form
    reported = policy_reported(kept.world)
    now = timezone.now()
    values: dict[str, Any] = {
        "policy": PolicyForm(initial=PolicyForm.initial_of(reported)),
        "plan": PlanForm(),
        "postpone": PostponeForm(),
        **bound,
        "reported": reported,
        "state": overview.state_of(kept.world, now),
        "orders": newest_orders(kept.world, 8),
    }
    context = context_of(kept, "kept_restarts", **values)
    is_bad = any(form.errors for form in bound.values())
    return render(request, "operate/restarts.html", context, status=400 if is_bad else 200)


class CancelForm(PostponeForm):
    """Which restart is called off."""

    minutes = None  # type: ignore[assignment]


_DEEDS: dict[str, type[forms.Form]] = {
    "policy": PolicyForm,
    "plan": PlanForm,
    "postpone": PostponeForm,
    "cancel": CancelForm,
}


def _is_ordered(request: HttpRequest, kept: KeptWorld, what: str, form: forms.Form) -> bool:
    """Give the order that a valid form asks for; put what is wrong with it on the form."""
    now = timezone.now()
    try:
        deed, about = _deed_of(what, form, now)
        give_order(world=kept.world, deed=deed, about=about, by=account_of(request), now=now)
    except OrderRefused as error:
        form.add_error("due_at" if what == "plan" else None, str(error))
        return False
    return True


def _deed_of(what: str, form: Any, now: datetime) -> tuple[Any, str]:
    values = form.cleaned_data
    match what:
        case "policy":
            policy = form.policy(now)
            return policy, dict(form.fields["when"].choices)[policy.when]
        case "plan":
            due_at = values["due_at"]
            if not now < due_at <= now + MAX_AHEAD:
                raise OrderRefused(f"Choose a time between now and {MAX_AHEAD.days} days ahead.")
            return PlanRestart(values["kind"], due_at, values["reason"]), f"{due_at:%Y-%m-%d %H:%M} UTC"
        case "postpone":
            due_at = values["was_due_at"] + timedelta(minutes=values["minutes"])
            return Postpone(values["was_due_at"], due_at), f"to {due_at:%Y-%m-%d %H:%M} UTC"
        case _:
            return Cancel(values["was_due_at"]), f"of {values['was_due_at']:%Y-%m-%d %H:%M} UTC"


# ---------------------------------------------------------------- who did what


@never_cache
@login_required
@require_safe
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who did what to this world."""
    kept = _kept(request, slug, Deed.HISTORY)
    rows = history_of(kept.world)
    shown = Paginator(rows.records, 50).get_page(request.GET.get("page", "1"))
    context = context_of(
        kept, "kept_history", page=shown, rows=rows.words(list(shown.object_list), account_of(request), kept)
    )
    return render(request, "operate/history.html", context)
