"""A query with U+0000 in it is 400: no text of ours has it, and PostgreSQL takes none, so that a search for
it would be a fault of the server. Paths, forms and bodies refuse it field by field. A middleware (settings).
"""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


def no_nul(get_response: GetResponse) -> GetResponse:
    """Make the middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or "\0" in query:
            raise BadRequest("The address has a character in it (U+0000) that no text has.")
        return get_response(request)

    return middleware
