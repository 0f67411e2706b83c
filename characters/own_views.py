"""Deeds on one character of one's own: another name, and deletion."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.authentication import account_of
from characters import naming, services
from characters.forms import DeleteCharacterForm, RenameCharacterForm
from characters.models import Character
from characters.name_rules import BadName


def _own(request: HttpRequest, character_id: UUID) -> Character:
    """Return a character of the caller's. Raises: Http404: there is none, or it is another's."""
    found = Character.objects.filter(account=account_of(request), id=character_id, deleted_at=None).first()
    if found is None:
        raise Http404("no such character of this account")
    return found


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rename(request: HttpRequest, character_id: UUID) -> HttpResponse:
    """Give a character another name."""
    character = _own(request, character_id)
    form = RenameCharacterForm(request.POST or None, initial={"name": character.name})
    if request.method == "POST" and form.is_valid():
        try:
            renamed = naming.rename_character(
                account=account_of(request),
                character_id=character_id,
                name=form.cleaned_data["name"],
                now=timezone.now(),
            )
            messages.success(request, f"From now on it is {renamed.name}.")
            return redirect("my_characters")
        except (BadName, services.NameTaken, services.CharacterInPlay, naming.RenamedLately) as refusal:
            form.add_error("name", str(refusal))
    context = {"character": character, "form": form, "section": "characters"}
    return render(request, "characters/rename.html", context, status=400 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, character_id: UUID) -> HttpResponse:
    """Delete a character, after its name was typed."""
    character = _own(request, character_id)
    form = DeleteCharacterForm(request.POST or None, character_name=character.name)
    if request.method == "POST" and form.is_valid():
        account = account_of(request)
        try:
            services.delete_character(
                account=account, character_id=character_id, by=account, now=timezone.now()
            )
            messages.success(request, f"{character.name} is gone.")
            return redirect("my_characters")
        except services.CharacterInPlay as refusal:
            form.add_error("name", str(refusal))
    context = {"character": character, "form": form, "section": "characters"}
    return render(request, "characters/delete.html", context, status=400 if form.errors else 200)
