"""Answers that are the same for everybody: bytes kept for seconds, with ETag and Last-Modified.

For REST and other public JSON. Each process keeps its own: no trip to Redis for bytes that are made again in
FRESH_FOR seconds. Other sites' scripts may read them (CORS): nothing of a session is looked at, and there is
nothing in them that a stranger may not see. While an answer is fresh, `kept_first` gives it out before
sessions, routes and views are asked: a middleware (settings), since those cost more than the answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch
from django.utils.cache import get_conditional_response
from django.utils.http import http_date

from accounts.allowances import spend_public

FRESH_FOR = 3  # seconds that an answer is kept here, and by the caller
MOST = 500  # answers of a process, of some 20 KB each
MAX_PATH = 500  # characters; longer addresses are not kept by address


@dataclass(frozen=True)
class Kept:
    """Bytes of an answer. Instants in seconds since 1970."""

    body: bytes
    etag: str
    changed_at: int  # since when this process has seen it so
    fresh_until: float


@dataclass(frozen=True)
class _Ready:
    """An answer by its address, with what it needs to be given out again."""

    entry: Kept
    content_type: str
    fresh_for: int
    match: ResolverMatch | None  # for figures of requests, which are by route


class KeptAnswers:
    """A process's own kept answers. Full means emptied: all of it is made again in seconds."""

    def __init__(self) -> None:
        self.by_key: dict[object, Kept] = {}
        self.by_address: dict[str, _Ready] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.by_key.clear()
        self.by_address.clear()


answers = KeptAnswers()


def kept(key: object, make: Callable[[], bytes], fresh_for: float = FRESH_FOR) -> Kept:
    """Return an answer, made by `make` at most every `fresh_for` seconds. What `make` raises is not kept."""
    now = time.time()
    entry = answers.by_key.get(key)
    if entry is not None and now < entry.fresh_until:
        return entry
    body = make()
    if entry is not None and entry.body == body:
        entry = replace(entry, fresh_until=now + fresh_for)
    else:
        entry = Kept(body, f'"{sha256(body).hexdigest()[:32]}"', int(now), now + fresh_for)
    if len(answers.by_key) >= MOST:
        answers.by_key.clear()
    answers.by_key[key] = entry
    return entry


def answer(
    request: HttpRequest, entry: Kept, content_type: str = "application/json", fresh_for: int = FRESH_FOR
) -> HttpResponse:
    """Return the answer, or 304 if the caller has it. While it is fresh, its address gives it out again."""
    address = request.get_full_path()
    if len(address) <= MAX_PATH:
        if len(answers.by_address) >= MOST:
            answers.by_address.clear()
        answers.by_address[address] = _Ready(entry, content_type, fresh_for, request.resolver_match)
    return _response(request, entry, content_type, fresh_for)


def _response(request: HttpRequest, entry: Kept, content_type: str, fresh_for: int) -> HttpResponse:
    response = HttpResponse(entry.body, content_type=content_type)
    response["Content-Length"] = str(len(entry.body))  # Django's own middleware that adds it is not passed
    response["ETag"] = entry.etag
    response["Last-Modified"] = http_date(entry.changed_at)
    response["Cache-Control"] = f"public, max-age={fresh_for}"
    conditional = get_conditional_response(
        request, etag=entry.etag, last_modified=entry.changed_at, response=response
    )
    told = conditional or response
    told["Access-Control-Allow-Origin"] = "*"  # of a 304, too, or the caller's browser withholds what it has
    return told


def kept_first(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Make the middleware that gives out fresh answers by their address, within the caller's allowance."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or not request.path_info.startswith("/api/"):
            return get_response(request)
        ready = answers.by_address.get(request.get_full_path())
        if ready is None or time.time() >= ready.entry.fresh_until or not spend_public(request):
            return get_response(request)
        request.resolver_match = ready.match
        return _response(request, ready.entry, ready.content_type, ready.fresh_for)

    return middleware
