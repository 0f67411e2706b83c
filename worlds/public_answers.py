"""Answers that are the same for everybody: bytes kept for seconds, with ETag and Last-Modified.

For REST and for other public JSON and pictures. Each process keeps its own: no trip to Redis for bytes that
are made again in FRESH_FOR seconds. Other sites' scripts may read them (CORS): nothing of a session is
looked at, and there is nothing in them that a stranger may not see.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date

FRESH_FOR = 3  # seconds that an answer is kept here, and by the caller
KEPT_FOR = 600  # seconds that we remember since when an answer is as it is

answers = LocMemCache("worlds.public_answers", {"OPTIONS": {"MAX_ENTRIES": 500}})


@dataclass(frozen=True)
class Kept:
    """Bytes of an answer. Instants in seconds since 1970."""

    body: bytes
    etag: str
    changed_at: int  # since when this process has seen it so
    fresh_until: float


def kept(key: object, make: Callable[[], bytes], fresh_for: float = FRESH_FOR) -> Kept:
    """Return an answer, made by `make` at most every `fresh_for` seconds. What `make` raises is not kept."""
    name = sha256(repr(key).encode()).hexdigest()
    now = time.time()
    entry: Kept | None = answers.get(name)
    if entry is not None and now < entry.fresh_until:
        return entry
    body = make()
    if entry is not None and entry.body == body:
        entry = replace(entry, fresh_until=now + fresh_for)
    else:
        entry = Kept(body, f'"{sha256(body).hexdigest()[:32]}"', int(now), now + fresh_for)
    answers.set(name, entry, KEPT_FOR)
    return entry


def answer(
    request: HttpRequest, entry: Kept, content_type: str = "application/json", fresh_for: int = FRESH_FOR
) -> HttpResponse:
    """Return the answer, or 304 if the caller has it."""
    response = HttpResponse(entry.body, content_type=content_type)
    response["ETag"] = entry.etag
    response["Last-Modified"] = http_date(entry.changed_at)
    response["Cache-Control"] = f"public, max-age={fresh_for}"
    response["Access-Control-Allow-Origin"] = "*"
    conditional = get_conditional_response(
        request, etag=entry.etag, last_modified=entry.changed_at, response=response
    )
    return conditional or response
