"""Pages of accounts: sign-up and the account page. Log-in and lost password are allauth's (urls)."""

from typing import Any

import structlog
from allauth.account.models import EmailAddress
from allauth.account.views import EmailView, LoginView
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import selectors, services
from accounts.authentication import account_of
from accounts.forms import RegistrationForm
from accounts.leaving import leaving_of
from accounts.rules import LIMITS

log = structlog.get_logger(__name__)

SIGNED_UP = "signed_up_as"  # of the session, until log-in: which address to fill in


class LogIn(LoginView):
    """allauth's log-in with our form, the address filled in for those who come from signing up."""

    def get_initial(self) -> dict[str, str]:
        return {"login": self.request.session.get(SIGNED_UP, "")}


class Address(EmailView):
    """allauth's page of the e-mail address: the one there is, and the one that waits to take its place."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add one, send its letter again, or forget it. Only the letter makes one the account's."""
        if "action_primary" in request.POST:
            return redirect("account_email")
        return super().post(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        addresses = list(EmailAddress.objects.filter(user=account_of(self.request)).order_by("pk"))
        return {
            **super().get_context_data(**kwargs),
            "current_emailaddress": next((one for one in addresses if one.primary), None),
            "new_emailaddress": next((one for one in addresses if not one.primary), None),
        }


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Register a person, then send them to log in: the same way whether or not the address was free."""
    if request.user.is_authenticated:
        return redirect("my_characters")
    form = RegistrationForm(request.POST or None)
    if request.method == "POST":
        if not ratelimit.consume(request, action="signup"):
            log.warning("rate_limited", action="signup")
            answer = render(request, "429.html", status=429)
            answer.headers["Retry-After"] = "60"  # the window of the limit, seconds
            return answer
        if form.is_valid() and _is_registered(form):
            messages.success(
                request,
                "All set: log in with the password you just chose. We have written you a letter, too. "
                "(Had this address an account before? Then nothing changed; the letter says how to get in.)",
            )
            request.session[SIGNED_UP] = form.cleaned_data["email"]  # not in the address: logs keep those
            return redirect("account_login")
    return render(request, "account/signup.html", {"form": form}, status=400 if form.errors else 200)


def _is_registered(form: RegistrationForm) -> bool:
    """Register what a valid form says; put what is wrong with it on the form."""
    try:
        services.register_account(**form.cleaned_data, now=timezone.now())
    except services.RegistrationRefused as refusal:
        for field, texts in refusal.errors.items():
            form.add_error(field, texts)
        return False
    return True


@login_required
@require_safe
def account_page(request: HttpRequest) -> HttpResponse:
    """Show the account: address, edition and what it allows."""
    account = account_of(request)
    edition = selectors.edition_of(account, timezone.now())
    context = {
        "edition": edition.value,
        "limits": LIMITS[edition],
        "is_email_confirmed": selectors.is_email_confirmed(account),
        "is_confirmation_needed": settings.EMAIL_CONFIRMATION_NEEDED,
        "leaving": leaving_of(account),
        "section": "account",
    }
    return render(request, "account/page.html", context)
