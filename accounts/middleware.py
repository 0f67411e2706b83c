"""A full password gate becomes a page that says so. The REST API answers for itself."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.passwords import PasswordCheckBusy


def password_check_busy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Make the middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, PasswordCheckBusy):
            return None
        response = render(request, "503.html", {"detail": error.detail}, status=503)
        response.headers["Retry-After"] = str(error.wait)
        return response

    middleware.process_exception = process_exception  # Django looks for the hook on the callable
    return middleware
