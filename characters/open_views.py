"""The page on which a player chooses which characters stay open."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.authentication import account_of
from characters.opening import BadChoice, ChosenLately, choose_open, may_choose_at
from characters.selectors import characters_of
from characters.services import CharacterInPlay, NoSuchCharacter

REFUSALS = (BadChoice, ChosenLately, CharacterInPlay, NoSuchCharacter)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def open_characters(request: HttpRequest) -> HttpResponse:
    """Show which characters are open; a POST chooses others."""
    account, now, error = account_of(request), timezone.now(), ""
    ticked = set(request.POST.getlist("open"))
    if request.method == "POST":
        try:
            choose_open(account=account, characters=_ids(ticked), by=account, now=now)
        except REFUSALS as refusal:
            error = str(refusal)
        else:
            messages.success(request, "Your choice is kept. The others wait for you as they are.")
            return redirect("my_characters")
    found = characters_of(account, now)
    next_at = may_choose_at(found.chosen_at)
    context = {
        "list": found,
        "characters": [
            (row, str(row.id) in ticked if error else not row.is_locked) for row in found.characters
        ],
        "error": error,
        "next_at": next_at if next_at is not None and now < next_at else None,
        "section": "characters",
    }
    return render(request, "characters/open.html", context, status=400 if error else 200)


def _ids(texts: set[str]) -> set[UUID]:
    """Return the ids that were ticked. Raises: NoSuchCharacter: one is no id."""
    try:
        return {UUID(text) for text in texts}
    except ValueError as error:
        raise NoSuchCharacter("You have no such character.") from error
