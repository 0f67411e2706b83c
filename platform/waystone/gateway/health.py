"""The gateway's HTTP side: `/healthz` for supervisors and proxies, and 404 for all else."""

import json

from waystone.gateway.asgi_types import Receive, Scope, Send
from waystone.gateway.hub import Hub


class GatewayHttp:
    """A small ASGI application; the site itself is served by the web process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._hub.ensure_started()
        if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            status = 503 if self._hub.is_stopping else 200
            body = {"status": "stopping" if self._hub.is_stopping else "ok", "bus": self._hub.is_bus_up}
        else:
            status = 404
            body = {"status": "not found", "advice": "This is the gateway: world links are at /world-link/."}
        data = json.dumps(body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data if scope["method"] != "HEAD" else b""})
