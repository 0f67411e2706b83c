"""Answers to somebody in particular are kept by no cache, of a browser or between: `Cache-Control: no-store`.

For every view that says nothing of it itself, so that a new page cannot forget it. A middleware (settings).
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]
CREDENTIALS = ("Authorization", "X-Session-Token")


def names_somebody(request: HttpRequest) -> bool:
    """Return whether a request came with what may say who is asking."""
    return settings.SESSION_COOKIE_NAME in request.COOKIES or any(
        name in request.headers for name in CREDENTIALS
    )


def never_kept(get_response: GetResponse) -> GetResponse:
    """Make the middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "Cache-Control" not in response.headers and names_somebody(request):
            response.headers["Cache-Control"] = "no-store"
        return response

    return middleware
