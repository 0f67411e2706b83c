"""The Channels consumer of `/world-link/`: carries frames between one WebSocket and the hub.

Leaner than AsyncWebsocketConsumer on purpose: that one opens a channel of the bus for every socket and hops
to a thread for every message (Django's connection clean-up), and this process uses neither.
"""

import asyncio
import time

from channels.consumer import AsyncConsumer

from waystone.gateway.asgi_types import Receive, Scope, Send
from waystone.gateway.hub import Hub, Link
from waystone.gateway.link import CLOSE_FULL
from waystone.gateway.outgoing import Flow

FLOW_KEY = "waystone.flow"  # scope entry by which the server tells whether the socket takes more


class WorldLinkConsumer(AsyncConsumer):
    """One world link."""

    hub: Hub

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket from its handshake to its end."""
        self.hub.ensure_started()
        await receive()  # websocket.connect
        await self.hub.until_hearing()
        peer = (scope.get("client") or [""])[0]
        link = self.hub.open_link(scope.get(FLOW_KEY) or Flow(), time.monotonic(), peer)
        await send({"type": "websocket.accept"})
        if link is None:
            await send({"type": "websocket.close", "code": CLOSE_FULL})
            return
        reader = asyncio.create_task(self._read(link, receive))
        writer = asyncio.create_task(self._write(link, send))
        try:
            await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()  # a failure of ours ends the link with 1011 and a trace in the log
                await reader
        finally:
            reader.cancel()
            writer.cancel()
            self.hub.close_link(link)

    async def _read(self, link: Link, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if link.outgoing.close_code is None:
                text = message.get("text")
                frame = text if text is not None else message.get("bytes") or b""
                self.hub.receive_frame(link, frame, time.monotonic())

    async def _write(self, link: Link, send: Send) -> None:
        while (frame := await link.outgoing.next()) is not None:
            key = "text" if isinstance(frame, str) else "bytes"
            await send({"type": "websocket.send", key: frame})
        await send({"type": "websocket.close", "code": link.outgoing.close_code or 1000})
