"""The shapes of ASGI that the gateway uses: looser than asgiref's, whose unions cover all kinds of server."""

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
