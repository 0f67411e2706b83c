"""Puts the gateway together: which path leads where. For waystone.asgi, and for tests with their own hub."""

import re
import socket
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

from waystone.config import Config
from waystone.gateway.consumer import WorldLinkConsumer
from waystone.gateway.health import GatewayHttp
from waystone.gateway.hub import Hub
from waystone.gateway.origin import OriginCheck, refuse


def gateway_name(config: Config) -> str:
    """Return this gateway's name on the bus: the same after a restart, another for each host and port."""
    return re.sub(r"[^a-zA-Z0-9.-]", "-", f"{socket.gethostname()}-{config.gateway_port}")[:80]


def make_application(hub: Hub, allowed_hosts: list[str]) -> ProtocolTypeRouter:
    """Return the ASGI application of a gateway process."""
    refused: Any = refuse  # Channels' routes lead to ASGI applications, which Django's types do not know
    websockets = URLRouter([path("world-link/", WorldLinkConsumer.as_asgi(hub=hub)), re_path("", refused)])
    return ProtocolTypeRouter({"http": GatewayHttp(hub), "websocket": OriginCheck(websockets, allowed_hosts)})
