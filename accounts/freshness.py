"""REST deeds that hurt ask for a session whose person has just proved who they are, as the pages do.

A session token that was found somewhere must not turn into a key that outlives it.
"""

import time

from allauth.account import app_settings
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request


def proved_at(session: SessionBase) -> float:
    """Return when the session's person last proved who they are, Unix seconds; 0: nobody knows."""
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY, [])
    return max((float(record.get("at", 0)) for record in records), default=0.0)


def require_fresh_proof(request: Request) -> None:
    """Let only sessions on whose log-in, or password typed again, is not long ago.

    Raises: PermissionDenied: `log_in_again`.
    """
    session = request.auth if isinstance(request.auth, SessionBase) else request._request.session
    lasts = app_settings.REAUTHENTICATION_TIMEOUT
    if time.time() - proved_at(session) >= lasts:
        raise PermissionDenied(
            f"Log in again at POST /api/v1/sessions/, and ask within {lasts // 60} minutes with the new "
            "session: for this you have to prove anew who you are.",
            code="log_in_again",
        )
