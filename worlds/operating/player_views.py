"""Pages of operators: who plays in the world, and what is done about somebody."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import account_of
from worlds.operating import players
from worlds.operating.keepers import KeptWorld, world_for
from worlds.operating.keeping_forms import DeedForm, FindForm
from worlds.operating.keeping_views import SENT, context_of
from worlds.operating.orders import OrderRefused, give_order
from worlds.operating.rules import Deed
from worlds.operating.sanctions import SanctionRefused, end_sanction, sanction
from worlds.uplink.orders import Kick


@never_cache
@login_required
@require_safe
def players_page(request: HttpRequest, slug: str) -> HttpResponse:
    """List who plays, and the bans and mutes in force."""
    kept = world_for(account_of(request), slug, Deed.MODERATE)
    return _players(request, kept, FindForm())


@login_required
@require_POST
def find(request: HttpRequest, slug: str) -> HttpResponse:
    """Go to a character by name, in play or not."""
    kept = world_for(account_of(request), slug, Deed.MODERATE)
    form = FindForm(request.POST)
    if form.is_valid():
        character = players.character_named(kept.world, form.cleaned_data["name"])
        if character is not None:
            return redirect("kept_player", slug, character)
        form.add_error("name", "Nobody of this name has played here. Check the spelling.")
    return _players(request, kept, form)


def _players(request: HttpRequest, kept: KeptWorld, form: FindForm) -> HttpResponse:
    now, search = timezone.now(), request.GET.get("q", "").strip()
    context = context_of(
        kept,
        "kept_players",
        page=players.players_in_play(kept.world, now, search=search, number=request.GET.get("page", "1")),
        search=search,
        sanctions=players.standing_sanctions(kept.world, now, request.GET.get("bans", "1")),
        form=form,
    )
    return render(request, "operate/players.html", context, status=400 if form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def player_page(request: HttpRequest, slug: str, character: UUID) -> HttpResponse:
    """Kick, mute or ban one player."""
    kept = world_for(account_of(request), slug, Deed.MODERATE)
    player = players.find_player(kept.world, character, timezone.now())
    if player is None:
        raise Http404("Nobody of this kind has played here.")
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _is_done(request, kept, player, form):
        return redirect("kept_players", slug)
    context = context_of(
        kept, "kept_players", player=player, form=form, in_force=players.kinds_in_force(player)
    )
    return render(request, "operate/player.html", context, status=400 if form.errors else 200)


def _is_done(request: HttpRequest, kept: KeptWorld, player: players.Player, form: DeedForm) -> bool:
    """Do what a valid form asks for; put what is wrong with it on the form."""
    by, now = account_of(request), timezone.now()
    deed, reason = form.cleaned_data["deed"], form.cleaned_data["reason"]
    try:
        if deed == "kick":
            kick = Kick(player.character, reason)
            give_order(world=kept.world, deed=kick, about=player.name, by=by, now=now)
            messages.success(request, SENT)
        else:
            sanction(
                world=kept.world,
                account=player.account,
                character_name=player.name,
                kind=deed,
                reason=reason,
                until=form.until(now),
                by=by,
                now=now,
            )
            done = "muted" if deed == "mute" else "banned"
            messages.success(request, f"{player.name} is {done}. In the world it holds within some seconds.")
    except SanctionRefused as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return False
    except OrderRefused as error:
        form.add_error(None, str(error))
        return False
    return True


@login_required
@require_POST
def lift(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Take a ban or mute back."""
    account = account_of(request)
    kept = world_for(account, slug, Deed.MODERATE)
    row = end_sanction(world=kept.world, sanction=number, by=account, now=timezone.now())
    if row is None:
        raise Http404("It is not in force.")
    messages.success(request, f"The {row.kind} of {row.character_name} is over.")
    return redirect("kept_players", slug)
