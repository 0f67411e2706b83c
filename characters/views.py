"""The pages of a player's characters: all of them, and the history of one."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.authentication import account_of
from characters import services
from characters.forms import NewCharacterForm
from characters.name_rules import BadName
from characters.provenance import history_page
from characters.selectors import CharacterList, CharacterRow, LineRow, characters_of, own_lines, why_this_line
from worlds.selectors import place_names


@dataclass(frozen=True)
class Place:
    """Where a character stands in one world, in words."""

    world: str  # slug
    world_name: str
    zone_name: str
    level: int
    is_fork: bool  # only this world's copy of the character stands there


MAX_DIGITS = 18  # of a version number: under 2**63


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def my_characters(request: HttpRequest) -> HttpResponse:
    """List the player's characters; a POST makes a new one."""
    form = NewCharacterForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _is_created(request, form):
        return redirect("my_characters")
    found = characters_of(account_of(request), timezone.now())
    names = _names(found)
    context = {
        "characters": [(row, places_of(row, names)) for row in found.characters],
        "list": found,
        "free_slots": range(found.free_slots),
        "form": form,
        "section": "characters",
    }
    return render(request, "characters/my_characters.html", context, status=400 if form.errors else 200)


def _is_created(request: HttpRequest, form: NewCharacterForm) -> bool:
    """Make the character that a valid form asks for; put what is wrong with it on the form."""
    account = account_of(request)
    try:
        character = services.create_character(
            account=account, name=form.cleaned_data["name"], by=account, now=timezone.now()
        )
    except (BadName, services.NameTaken, services.NoFreeSlot) as refusal:
        form.add_error("name", str(refusal))
        return False
    messages.success(request, f"{character.name} is ready to set out.")
    return True


def places_of(row: CharacterRow, names: dict[tuple[str, str], tuple[str, str]]) -> list[Place]:
    """Return where a character stands, the line it plays now first.

    Args: names: (world slug, zone slug) → (world name, zone name); what has no name is shown by its slug.
    """
    found = [
        Place(world, *names.get((world, zone), (world, zone)), level=line.level, is_fork=line is not row.main)
        for line in (row.main, *row.forks)
        for world, zone in line.places.items()
        if line is row.main or world == line.world
    ]
    forked = {place.world for place in found if place.is_fork}
    shown = [place for place in found if place.is_fork or place.world not in forked]
    return sorted(shown, key=lambda place: (place.world != row.playing_in, place.world_name))


def _names(found: CharacterList) -> dict[tuple[str, str], tuple[str, str]]:
    lines: list[LineRow] = [line for row in found.characters for line in (row.main, *row.forks)]
    return place_names({place for line in lines for place in line.places.items()})


@login_required
@require_safe
def character_history(request: HttpRequest, character_id: UUID) -> HttpResponse:
    """Show what happened to one of the player's characters, newest first, one line at a time."""
    lines = own_lines(account_of(request), character_id)
    wanted = request.GET.get("line", "")
    line = next((one for one in lines if (one.world.slug if one.world else "") == wanted), None)
    if line is None:
        raise Http404("no such line of a character of this account")
    before = _version_number(request.GET.get("before", ""))
    context = {
        "character": line.character,
        "line": line,
        "wanted": wanted,
        "lines": [(one.world.slug, one.world.name) if one.world else ("", "Main") for one in lines],
        "why": why_this_line(line),
        "page": history_page(line, before=before),
        "is_newest": before is None,
        "section": "characters",
    }
    return render(request, "characters/history.html", context)


def _version_number(text: str) -> int | None:
    """Return the version number of a query; None without one. Raises: Http404: it is none."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Http404("before is no version number")
    return int(text)
