"""Who is calling, by an API token: `Authorization: Bearer wst_…`. Before the session tokens (settings)."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.api_tokens import PREFIX, token_of
from accounts.authentication import CHALLENGE
from accounts.models import Account, ApiToken
from accounts.scopes import Scope


class ApiTokenAuthentication(BaseAuthentication):
    """A token opens only what the view names a scope for; every other view refuses it."""

    def authenticate(self, request: Request) -> tuple[Account, ApiToken] | None:
        """Return the account and its token; None: no API token was sent.

        Raises: AuthenticationFailed: it is not in force. PermissionDenied: it may not do this.
        """
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key.startswith(PREFIX):
            return None
        token = token_of(key, timezone.now())
        if token is None or not token.account.is_active:
            raise AuthenticationFailed(
                "This API token is not in force: revoked, run out, or mistyped. "
                "Make one on your account's page.",
                code="token_over",
            )
        _check_scope(request, token)
        return token.account, token

    def authenticate_header(self, request: Request) -> str:
        """Make the answer to a caller without a token a 401."""
        return CHALLENGE


def _check_scope(request: Request, token: ApiToken) -> None:
    view = request.parser_context["view"]
    method = "GET" if request.method == "HEAD" else str(request.method)
    if method not in view.allowed_methods:
        return  # a 405 follows
    needed: Scope | None = getattr(view, "scopes", {}).get(method)
    if needed is None:
        raise PermissionDenied(
            "API tokens cannot be used for this. Log in, and send the session token.",
            code="session_needed",
        )
    if needed not in token.scopes:
        raise PermissionDenied(f"This token lacks the scope {needed}.", code="scope_missing")
