"""A query with U+0000 in it that a page searches for is a bad request, not a fault of the server.

PostgreSQL takes no such text, and none of ours has it. Paths, forms and REST's parameters refuse it by name;
this is for what is looked up as it came. A middleware (settings).
"""

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse

from waystone.problems import bad_request

GetResponse = Callable[[HttpRequest], HttpResponse]


class NulIsABadRequest:
    """Answers 400 where a view came to grief over U+0000."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer to what a view raised; None: it is nothing of this."""
        if isinstance(exception, DataError) and "%00" in request.META.get("QUERY_STRING", ""):
            return bad_request(request, exception)
        return None
