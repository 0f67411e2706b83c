"""Who is calling the REST API: the session token in a header. Why a session and no JWT: docs/adr/0005.

`X-Session-Token: <token>` is the documented way; `Authorization: Bearer <token>` is the same, for tools that
know only that.
"""

from allauth.headless.contrib.rest_framework.authentication import XSessionTokenAuthentication
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Account

CHALLENGE = 'Bearer realm="waystone"'


def account_of(request: HttpRequest | Request) -> Account:
    """Return who is logged in; for views that nobody else gets into.

    Raises: TypeError: nobody is, so the view lacks its permission.
    """
    if not isinstance(request.user, Account):
        raise TypeError("this view needs IsAuthenticated or login_required")
    return request.user


class SessionTokenAuthentication(XSessionTokenAuthentication):
    """A token that is sent but not valid is refused aloud: a client must learn that its session is over."""

    def authenticate(self, request: Request) -> tuple[Account, SessionBase] | None:
        token = self.get_session_token(request)
        if token is None:
            return None
        found = super().authenticate(request)
        if found is None:
            raise AuthenticationFailed(
                "This session is over. Log in again at POST /api/v1/sessions/ for a new token.",
                code="session_over",
            )
        return found

    def get_session_token(self, request: Request) -> str | None:
        """Return the token, or None if none was sent."""
        token = request.headers.get("X-Session-Token")
        if token is not None:
            return token
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        return credentials.strip() if scheme.lower() == "bearer" else None

    def authenticate_header(self, request: Request) -> str:
        """Make the answer to a caller without a token a 401."""
        return CHALLENGE
