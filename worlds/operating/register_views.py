"""Pages of operators, first half: one's worlds, registering one, its set-up page, its keys."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import account_of
from worlds.models import World, WorldKey
from worlds.operating import registering, setup
from worlds.operating.keepers import KeptWorld, invitations_for, kept_worlds, world_for
from worlds.operating.navigation import home_of, tabs_of
from worlds.operating.register_forms import RegisterWorldForm
from worlds.operating.rules import ROLE_WORDS, Deed
from worlds.operating.setup_rules import is_done
from worlds.rules import is_online
from worlds.services import WorldRefused, revoke_world_key


@login_required
@require_safe
def my_worlds(request: HttpRequest) -> HttpResponse:
    """List the worlds that one keeps, and those that one is asked to keep."""
    account, now = account_of(request), timezone.now()
    rows = [
        (kept, home_of(kept), is_online(kept.world.last_report_at, now), _stage(kept.world))
        for kept in kept_worlds(account)
    ]
    context = {
        "rows": rows,
        "invitations": invitations_for(account, now),
        "role_words": ROLE_WORDS,
        "section": "operate",
    }
    return render(request, "operate/worlds.html", context)


def _stage(world: World) -> str:
    """Return what a world that is not online is about: it was never up, or it is away."""
    return "never" if world.last_report_at is None else "away"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Register a world; then on to its set-up page."""
    form = RegisterWorldForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (world := _registered(request, form)) is not None:
        return redirect("world_setup", world.slug)
    context = {"form": form, "section": "operate", "site_url": settings.PUBLIC_URL}
    return render(request, "operate/register.html", context, status=400 if form.errors else 200)


def _registered(request: HttpRequest, form: RegisterWorldForm) -> World | None:
    """Register what a valid form asks for; put what is wrong with it on the form."""
    try:
        return registering.register_own_world(
            account=account_of(request), **form.cleaned_data, now=timezone.now()
        )
    except WorldRefused as refusal:
        for field, texts in refusal.errors.items():
            form.add_error(field if field in form.fields else None, texts)
        return None


@never_cache
@login_required
@require_safe
def setup_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the command for the operator's machine, and how far the set-up is; live by asking again."""
    kept = world_for(account_of(request), slug, Deed.SET_UP)
    is_fragment = request.headers.get("HX-Target") == "setup"
    template = "operate/setup_state.html" if is_fragment else "operate/setup.html"
    response = render(request, template, _setup_context(kept))
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie"
    return response


def _setup_context(kept: KeptWorld) -> dict[str, Any]:
    now = timezone.now()
    row = registering.setup_of(kept.world)
    steps = setup.steps_of(kept.world, row, now)
    code = registering.code_of(row, now)
    may_see_code = kept.may(Deed.KEYS)
    return {
        "kept": kept,
        "world": kept.world,
        "setup": row,
        "steps": steps,
        "is_done": is_done(steps),
        "command": registering.command_of(kept.world, row, now) if code and may_see_code else "",
        "again": f"python3 manage.py up --world {kept.world.slug}",
        "has_code": bool(code),
        "may_keys": may_see_code,
        "is_online": is_online(kept.world.last_report_at, now),
        "now": now,
        "tabs": tabs_of(kept, "world_setup"),
        "section": "operate",
        "site_url": settings.PUBLIC_URL,
    }


@login_required
@require_POST
def check_again(request: HttpRequest, slug: str) -> HttpResponse:
    """Have gateway and UDP looked at again."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.SET_UP)
    setup.look_again(world=kept.world, by=account, now=timezone.now())
    messages.success(request, "We look again as soon as your world reports, within some seconds.")
    return redirect("world_setup", slug)


@login_required
@require_POST
def new_code(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a new code: for a machine that has not joined yet, or for a new key."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.KEYS)
    registering.make_code(world=kept.world, by=account, now=timezone.now())
    return redirect("world_keys" if request.POST.get("for") == "keys" else "world_setup", slug)


@never_cache
@login_required
@require_safe
def keys_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a world's keys, and how to change them."""
    kept = world_for(account_of(request), slug, Deed.KEYS)
    now = timezone.now()
    row = registering.setup_of(kept.world)
    keys = list(WorldKey.objects.filter(world=kept.world))
    has_code = bool(registering.code_of(row, now))
    context = {
        "kept": kept,
        "world": kept.world,
        "setup": row,
        "keys": keys,
        "valid": [key for key in keys if key.revoked_at is None],
        "command": registering.command_of(kept.world, row, now, is_rotation=True) if has_code else "",
        "tabs": tabs_of(kept, "world_keys"),
        "section": "operate",
    }
    return render(request, "operate/keys.html", context)


@login_required
@require_POST
def revoke_key(request: HttpRequest, slug: str, kid: str) -> HttpResponse:
    """Refuse a key from now on."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.KEYS)
    key = WorldKey.objects.select_related("world").filter(world=kept.world, kid=kid).first()
    if key is None:
        raise Http404("This world has no such key.")
    if revoke_world_key(key=key, by=account, now=timezone.now()):
        messages.success(request, "That key is refused from now on, for good.")
    return redirect("world_keys", slug)
