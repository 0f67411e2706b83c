"""The web process of a world by itself (WAYSTONE_ROLE=world): the admin and its log-in, and nothing else.

Accounts, characters, the site and REST are the master's; here they would answer from empty tables. The
addresses stay known, since pages link to them by name; whoever asks for one is told that it is not here.
"""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

OPEN = frozenset(
    {
        *("account_login", "account_logout", "account_inactive", "account_change_password", "healthz"),
        # Its staff may have second factors, as everywhere.
        *("account_reauthenticate", "mfa_index", "mfa_authenticate", "mfa_reauthenticate"),
        *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_list_webauthn", "mfa_add_webauthn"),
        *("mfa_login_webauthn", "mfa_reauthenticate_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn"),
        *("mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes"),
    }
)


class WorldOnly:
    """Middleware: answers 404 to all but the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Mark the request, so that pages show no links to what is not here."""
        request.is_world_only = True  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Let the admin through, and lead the front page to it. Raises: Http404: anything else."""
        match = request.resolver_match
        if match is not None and (match.namespaces[:1] == ["admin"] or match.url_name in OPEN):
            return None
        if match is not None and match.url_name == "home":
            return HttpResponseRedirect(reverse("admin:index"))
        raise Http404("This is a world's own machine: it has the admin only. The site is the master's.")
