"""Requests of the web process: counted, timed, and named so that a line of the log can be found again.

A request has an id: that in `X-Request-ID` if it is a decent one, else a new one. It is in every line that is
logged meanwhile, and goes back in the answer; a world daemon gives one to each of its requests to the master.
"""

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Gauge, Histogram

from worlds.observing import registry_of_process

GetResponse = Callable[[HttpRequest], HttpResponse]

HEADER = "X-Request-ID"
DECENT = re.compile(r"[A-Za-z0-9._-]{8,64}")
EDGES_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

registry = registry_of_process()
requests_total = Counter(
    "waystone_web_requests", "Requests answered.", ["route", "method", "status"], registry=registry
)
request_seconds = Histogram(
    "waystone_web_request_seconds",
    "Time until the answer was there, by the wall clock.",
    ["route"],
    buckets=EDGES_S,
    registry=registry,
)
in_flight = Gauge("waystone_web_requests_in_flight", "Requests being answered.", registry=registry)


def request_id(request: HttpRequest) -> str:
    """Return the request's own id if it has a decent one, else a new one."""
    given = request.headers.get(HEADER, "")
    return given if DECENT.fullmatch(given) else uuid4().hex


def route_of(request: HttpRequest) -> str:
    """Return the name of the view that was found, so that labels stay few whatever is asked for."""
    match = request.resolver_match
    if match is None:
        return "none"
    return match.view_name or "unnamed"


def observed_requests(get_response: GetResponse) -> GetResponse:
    """Be a middleware: the outermost, to see what all others answer."""

    def answer(request: HttpRequest) -> HttpResponse:
        number, began = request_id(request), time.perf_counter()
        with in_flight.track_inprogress(), structlog.contextvars.bound_contextvars(request=number):
            response = get_response(request)
        route = route_of(request)
        method = request.method if request.method in METHODS else "other"
        requests_total.labels(route, method, f"{response.status_code // 100}xx").inc()
        request_seconds.labels(route).observe(time.perf_counter() - began)
        response.headers[HEADER] = number
        return response

    return answer
