"""The least that a WSGI application can be: what the web server alone costs."""

from collections.abc import Callable, Iterable
from typing import Any

BODY = b'{"hello": "world"}'


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer the same to everybody."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
    return [BODY]
