"""Pages of operators: who keeps the world; invitations, roles, leaving, handing it over."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.authentication import account_of
from worlds.operating import keepers
from worlds.operating.keepers import KeeperRefused, world_for
from worlds.operating.keeping_forms import InviteForm
from worlds.operating.keeping_views import context_of
from worlds.operating.rules import GIVEN_ROLES, ROLE_WORDS, Deed


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def keepers_page(request: HttpRequest, slug: str) -> HttpResponse:
    """List the keepers; a POST invites one."""
    account, now = account_of(request), timezone.now()
    kept = world_for(account, slug, Deed.KEEPERS)
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            keepers.invite_keeper(world=kept.world, **form.cleaned_data, by=account, now=now)
        except KeeperRefused as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, "The invitation is on its way, good for seven days.")
            return redirect("kept_keepers", slug)
    context = context_of(
        kept,
        "kept_keepers",
        keepers=keepers.keeper_rows(kept.world, account),
        invitations=keepers.open_invitations(kept.world, now),
        roles=[(role.value, ROLE_WORDS[role]) for role in GIVEN_ROLES],
        form=form,
    )
    return render(request, "operate/keepers.html", context, status=400 if form.errors else 200)


@login_required
@require_POST
def change_keeper(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Give a keeper another role, remove them, or make them the owner."""
    account, now, what = account_of(request), timezone.now(), request.POST.get("what", "")
    deed = Deed.HAND_OVER if what == "hand_over" else Deed.KEEPERS
    world = world_for(account, slug, deed).world
    try:
        match what:
            case "role":
                role = request.POST.get("role", "")
                is_known = keepers.change_role(world=world, keeper=number, role=role, by=account, now=now)
            case "remove":
                is_known = keepers.remove_keeper(world=world, keeper=number, by=account, now=now)
            case "hand_over":
                is_known = keepers.hand_over(world=world, keeper=number, by=account, now=now)
            case _:
                raise Http404("no such change")
    except KeeperRefused as error:
        messages.error(request, str(error))
        return redirect("kept_keepers", slug)
    if not is_known:
        raise Http404("They keep this world no more.")
    messages.success(request, "Done.")
    return redirect("kept_world" if what == "hand_over" else "kept_keepers", slug)


@login_required
@require_POST
def withdraw(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Take an invitation back."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.KEEPERS)
    if not keepers.withdraw_invitation(world=kept.world, invitation=number, by=account, now=timezone.now()):
        raise Http404("There is no such invitation any more.")
    messages.success(request, "The invitation is withdrawn.")
    return redirect("kept_keepers", slug)


@login_required
@require_POST
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop keeping a world."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.LOOK)
    try:
        keepers.leave_world(world=kept.world, account=account, now=timezone.now())
    except KeeperRefused as error:
        messages.error(request, str(error))
        return redirect("kept_world", slug)
    messages.success(request, f"You keep {kept.world.name} no more.")
    return redirect("operate")


@login_required
@require_POST
def answer(request: HttpRequest, number: int) -> HttpResponse:
    """Take an invitation up, or turn it down. Only who has confirmed its address can."""
    account = account_of(request)
    accept = request.POST.get("answer") == "accept"
    try:
        world = keepers.answer_invitation(
            account=account, invitation=number, accept=accept, now=timezone.now()
        )
    except KeeperRefused as error:
        messages.error(request, str(error))
        return redirect("operate")
    if world is None:
        raise Http404("There is no such invitation for you.")
    if not accept:
        messages.success(request, "The invitation is turned down.")
        return redirect("operate")
    messages.success(request, f"You help to keep {world.name} now.")
    return redirect("kept_world", world.slug)
