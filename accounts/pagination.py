"""Pages of lists in REST: the one convention, `?page=2&page_size=50`.

Every list answers {count, page, page_size, next, previous, results}; `next` and `previous` are addresses
without the host: what is cached must not depend on a Host header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound, ValidationError

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100
MAX_PAGE = 10_000  # an offset past half a million rows costs more than it shows

PAGE_PARAMETERS = [
    OpenApiParameter("page", int, description=f"From 1 to {MAX_PAGE}; 1 if left out."),
    OpenApiParameter(
        "page_size", int, description=f"From 1 to {MAX_PAGE_SIZE}; {DEFAULT_PAGE_SIZE} if left out."
    ),
]


@dataclass(frozen=True)
class PageRequest:
    """Which page a caller wants."""

    number: int = 1
    size: int = DEFAULT_PAGE_SIZE

    @property
    def rows(self) -> slice:
        return slice((self.number - 1) * self.size, self.number * self.size)


def read_page(parameters: Mapping[str, str]) -> PageRequest:
    """Read `page` and `page_size`.

    Raises: ValidationError: not a number, or out of range.
    """
    return PageRequest(
        _number(parameters, "page", 1, MAX_PAGE),
        _number(parameters, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
    )


def _number(parameters: Mapping[str, str], name: str, default: int, highest: int) -> int:
    raw = parameters.get(name)
    if raw is None:
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 9 and 1 <= int(raw) <= highest):
        raise ValidationError({name: [f"Use a whole number from 1 to {highest}."]})
    return int(raw)


def page_of(
    page: PageRequest, count: int, results: Sequence[Any], path: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body of a list.

    Args: count: rows on all pages; path, parameters: of the request, for the links.
    Raises: NotFound: the page is past the last one.
    """
    last = max(1, -(-count // page.size))
    if page.number > last:
        raise NotFound(f"There is no page {page.number}; the last one is {last}.")

    def link(number: int) -> str | None:
        return f"{path}?{urlencode({**parameters, 'page': number})}" if 1 <= number <= last else None

    return {
        "count": count,
        "page": page.number,
        "page_size": page.size,
        "next": link(page.number + 1),
        "previous": link(page.number - 1),
        "results": results,
    }
