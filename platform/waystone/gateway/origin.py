"""Who may open a WebSocket from a browser: pages of this deployment, and no others."""

from typing import Any
from urllib.parse import urlsplit

import structlog
from django.http.request import validate_host

from waystone.gateway.asgi_types import Receive, Scope, Send

log = structlog.get_logger(__name__)


def is_allowed_origin(origins: list[bytes], allowed_hosts: list[str]) -> bool:
    """Return whether a handshake with these Origin headers may go on.

    No Origin: not a browser, allowed (a ticket is asked for all the same). One: its host must be allowed.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    try:
        parts = urlsplit(origins[0].decode("ascii"))
        host = parts.hostname or ""
    except (UnicodeDecodeError, ValueError):
        return False
    if ":" in host:
        host = f"[{host}]"  # as Django writes IPv6 addresses in ALLOWED_HOSTS
    return parts.scheme in ("http", "https") and bool(host) and validate_host(host, allowed_hosts)


class OriginCheck:
    """ASGI middleware: refuses WebSocket handshakes of foreign pages with 403."""

    def __init__(self, application: Any, allowed_hosts: list[str]) -> None:
        self._application = application
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the handshake on, or refuse it."""
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if is_allowed_origin(origins, self._allowed_hosts):
            await self._application(scope, receive, send)
            return
        log.warning("websocket_refused", cause="foreign_origin", origin=str(origins)[:200])
        await refuse(scope, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a WebSocket handshake with 403."""
    await receive()
    await send({"type": "websocket.close"})
