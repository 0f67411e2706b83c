"""The admin's second lock: who works there has proved a second factor in this session.

Django's admin asks who may; this asks how they came in. Staff without a second factor are led to set one up,
staff whose session has only a password are asked for theirs, and again after FRESH_S.
STAFF_MFA_REQUIRED (settings) switches it.
"""

import time
from collections.abc import Callable
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import Account

FRESH_S = 12 * 3600  # a working day: then the second factor is proved anew, in the same session
OPEN = frozenset({"login", "logout", "jsi18n"})  # of the admin; they show nothing


class StaffSecondFactor:
    """Middleware: lets nobody but staff with a second factor in this session see a page of the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Lead away whoever has to prove a second factor first."""
        match, account = request.resolver_match, request.user
        if not settings.STAFF_MFA_REQUIRED or match is None or match.namespaces[:1] != ["admin"]:
            return None
        if match.url_name in OPEN or not isinstance(account, Account) or not account.is_staff:
            return None  # the admin itself sends them to log in
        if has_second_factor(request):
            return None
        return _lead(request, _way(request, account))


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether a second factor was proved in this session, less than FRESH_S ago."""
    since = time.time() - FRESH_S
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == "mfa" and record.get("at", 0) > since for record in records)


def _way(request: HttpRequest, account: Account) -> str:
    """Return where a second factor is proved, or set up."""
    if is_mfa_enabled(account):
        name = "mfa_reauthenticate"
    else:
        name = "mfa_activate_totp"
        messages.warning(
            request,
            "Whoever works in the admin needs a second factor. Set one up here; then open the admin again.",
        )
    came_for = request.get_full_path() if request.method == "GET" else reverse("admin:index")
    return f"{reverse(name)}?{urlencode({'next': came_for})}"


def _lead(request: HttpRequest, address: str) -> HttpResponse:
    """Answer a page by leading on, and a part of a page (htmx) by having the whole page led on."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(headers={"HX-Redirect": address.partition("?")[0]})
    return HttpResponseRedirect(address)
