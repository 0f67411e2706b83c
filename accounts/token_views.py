"""The page of one's API tokens."""

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.api_tokens import MadeToken, TokenRefused, make_token, revoke_token, tokens_of
from accounts.authentication import account_of
from accounts.scopes import LIFETIMES, MAX_TOKENS, SCOPE_WORDS, read_scopes


class TokenForm(forms.Form):
    """A new token."""

    name = forms.CharField(
        label="What is it for?",
        max_length=60,
        help_text="The program that will use it, so that you know it again.",
    )
    scopes = forms.MultipleChoiceField(
        label="What may it do?",
        choices=[(scope.value, words) for scope, words in SCOPE_WORDS.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one thing that it may do."},
    )
    days = forms.TypedChoiceField(
        label="For how long?", choices=list(LIFETIMES.items()), coerce=int, initial=90
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """Show the tokens, and make one. Its key is in the answer to the form, and nowhere else."""
    if request.method == "POST":
        return _make(request)
    return _page(request, TokenForm())


@reauthentication_required  # a session that was left open must not turn into a key; what was typed is kept
def _make(request: HttpRequest) -> HttpResponse:
    form, made = TokenForm(request.POST), None
    if form.is_valid():
        account = account_of(request)
        try:
            made = make_token(account=account, by=account, now=timezone.now(), **form.cleaned_data)
        except TokenRefused as error:
            for field, texts in error.errors.items():
                form.add_error(field or None, texts)
    if made is None:
        return _page(request, form, status=400)
    return _page(request, TokenForm(), made, status=201)


def _page(
    request: HttpRequest, form: TokenForm, made: MadeToken | None = None, status: int = 200
) -> HttpResponse:
    account, now = account_of(request), timezone.now()
    tokens = [
        (token, [SCOPE_WORDS[scope] for scope in read_scopes(token.scopes)])
        for token in tokens_of(account, now)
    ]
    context = {"form": form, "made": made, "tokens": tokens, "most": MAX_TOKENS, "section": "account"}
    return render(request, "account/tokens.html", context, status=status)


@login_required
@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke one of one's tokens."""
    account = account_of(request)
    if token_id > 2**63 - 1 or not revoke_token(
        account=account, token=token_id, by=account, now=timezone.now()
    ):
        raise Http404("You have no such token in force.")
    messages.success(request, "Revoked. A program that still uses this token is now refused.")
    return redirect("api_tokens_page")
