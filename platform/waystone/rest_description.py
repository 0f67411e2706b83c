"""The OpenAPI document's last touch: an example for each body, the headers that all answers have.

A hook of drf-spectacular (settings). The examples themselves are data: rest_examples.py.
"""

from http import HTTPStatus
from typing import Any

from accounts.openapi import PROBLEM_JSON
from waystone.rest_examples import EXAMPLES, PROBLEM_CODES, PROBLEM_DETAILS

METHODS = frozenset({"get", "post", "put", "patch", "delete"})
LIMIT_HEADERS = {
    "RateLimit-Policy": 'How often one may ask: `"default";q=600;w=60` is 600 requests in 60 s.',
    "RateLimit": 'What is left: `"default";r=599;t=41` is 599 requests, and 41 s until it begins anew.',
}
PUBLIC_HEADERS = {
    "ETag": "Of these bytes; send it as If-None-Match next time.",
    "Last-Modified": "Since when the answer is as it is.",
    "Cache-Control": "How long it is fresh.",
}
RETRY_AFTER = {"Retry-After": "In how many seconds to try again."}


def complete(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """Add examples and headers to every operation. Returns: the document, changed in place."""
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method in METHODS:
                _complete(operation)
    return result


def _complete(operation: dict[str, Any]) -> None:
    example = EXAMPLES.get(operation["operationId"], {})
    if "request" in example and "requestBody" in operation:
        _show(operation["requestBody"], "application/json", example["request"])
    for status, response in operation["responses"].items():
        if status in example:
            _show(response, "application/json", example[status])
        _show(response, PROBLEM_JSON, problem_example(int(status)))
        _add_headers(response, int(status))


def _show(body: dict[str, Any], media_type: str, value: object) -> None:
    content = body.get("content", {}).get(media_type)
    if content is not None:
        content.setdefault("examples", {})["example"] = {"value": value}


def _add_headers(response: dict[str, Any], status: int) -> None:
    told = dict(LIMIT_HEADERS)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        told |= RETRY_AFTER
    if status == HTTPStatus.NOT_MODIFIED:
        told |= PUBLIC_HEADERS
    headers = response.setdefault("headers", {})
    for name, text in told.items():
        headers.setdefault(name, {"description": text, "schema": {"type": "string"}})


def problem_example(status: int) -> dict[str, object]:
    """Return an error of this status as it looks."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": PROBLEM_CODES.get(status, "error"),
        "detail": PROBLEM_DETAILS.get(status, "What went wrong, and what to do."),
    }
    if status == HTTPStatus.BAD_REQUEST:
        problem["errors"] = {"name": ["This field is required."]}
    return problem
