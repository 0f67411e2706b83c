"""A full password gate becomes a page that says so. The REST API answers for itself."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.passwords import PasswordCheckBusy


class PasswordCheckBusyMiddleware:
    """Django's middleware of the old form: only that has a hook for exceptions of views."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer PasswordCheckBusy; leave every other error to the others."""
        if not isinstance(error, PasswordCheckBusy):
            return None
        response = render(request, "503.html", {"detail": error.detail}, status=503)
        response.headers["Retry-After"] = str(error.wait)
        return response
