"""Daphne, started by us: with limits on frames and bodies, back-pressure, the hub in its loop, orderly stop.

Daphne's own command line has none of these: it buffers without bound for a socket that does not read, keeps
the body of any HTTP request in a file, however long, answers every ping, and offers no hook at start and end
(ASGI lifespan).
"""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import structlog
from daphne.http_protocol import WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor as twisted_reactor

from waystone.gateway.consumer import FLOW_KEY
from waystone.gateway.hub import Hub
from waystone.gateway.limits import TokenBucket
from waystone.gateway.outgoing import Flow

log = structlog.get_logger(__name__)

reactor: Any = twisted_reactor  # a module to Python, an asyncio reactor in fact, nothing to a type checker
MAX_MESSAGE_BYTES = (
    64 * 1024
)  # over this the WebSocket layer drops the connection; smaller ones get an explanation
FRAMES_A_SECOND = 100.0  # of one socket, pings and empty fragments too; a link may send 30 messages a second
FRAMES_AT_ONCE = 1000.0  # over this the socket is dropped
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class SocketFlow(Flow):
    """The flow of a real socket: the transport tells when its buffer (64 KB) is full and when it is empty."""

    def __init__(self, protocol: WebSocketProtocol) -> None:
        super().__init__()
        self._protocol = protocol

    def attach(self) -> None:
        """Ask the transport to tell; called when the handshake is done."""
        self._protocol.transport.unregisterProducer()  # the HTTP request's, which ended with the upgrade
        self._protocol.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """The buffer is full."""
        self.pause()

    def resumeProducing(self) -> None:  # noqa: N802
        """The buffer is empty."""
        self.resume()

    def stopProducing(self) -> None:  # noqa: N802
        """The socket is gone: let the writer run into its end."""
        self.resume()

    def abort(self) -> None:
        """Drop the connection without a closing handshake, which the peer would not read either."""
        self._protocol.transport.abortConnection()


def limit_frames(protocol: Any) -> None:
    """Drop a peer that sends more frames than any client needs.

    Pings and empty fragments never reach the link, which limits messages, but each costs CPU; and the answers
    to pings would pile up for a peer that does not read them.
    """
    bucket = TokenBucket(FRAMES_A_SECOND, FRAMES_AT_ONCE, time.monotonic())
    begin_frame, answer_ping = protocol.onMessageFrameBegin, protocol.onPing

    def is_allowed() -> bool:
        if bucket.take(time.monotonic()):
            return True
        protocol.wasNotCleanReason = "a flood of frames"
        protocol.dropConnection(abort=True)
        return False

    def on_message_frame_begin(length: int) -> None:
        if is_allowed():
            begin_frame(length)

    def on_ping(payload: bytes) -> None:
        if is_allowed() and not protocol.flow.is_paused:
            answer_ping(payload)

    protocol.onMessageFrameBegin, protocol.onPing = on_message_frame_begin, on_ping


def refuse_body(request: Any) -> None:
    """Refuse an HTTP request with a body as soon as its head is read: nothing here takes one."""
    expect_body = request.gotLength

    def got_length(length: int | None) -> None:
        expect_body(0)  # in memory; None (chunked) and large lengths would open a file
        if length != 0:
            request.handleContentChunk = lambda data: None  # what came with the head
            request.channel.transport.write(TOO_LARGE)
            request.channel.loseConnection()

    request.gotLength = got_length


class GatewayServer(Server):
    """Daphne's server, which gives every WebSocket's application the flow of its socket, and sets limits."""

    def protocol_connected(self, protocol: Any) -> None:
        """Take note of a connection."""
        super().protocol_connected(protocol)
        if isinstance(protocol, WebRequest):
            refuse_body(protocol)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Start the application of one connection."""
        if scope["type"] == "websocket":
            scope[FLOW_KEY] = protocol.flow = SocketFlow(protocol)
            limit_frames(protocol)
        return super().create_application(protocol, scope)

    def kill_all_applications(self) -> Any:
        """Cancel what still runs at the stop; Daphne's own trips over requests that became WebSockets."""
        for protocol in [each for each, of in self.connections.items() if "application_instance" not in of]:
            del self.connections[protocol]
        return super().kill_all_applications()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Pass a message of the application on; after the handshake, watch the socket's buffer."""
        if message["type"] == "websocket.close" and protocol.state == protocol.STATE_OPEN:
            # sendClose, which Daphne calls, refuses the registered codes (1008, 1012, 1013) to applications.
            protocol.sendCloseFrame(code=message.get("code") or 1000)
            return
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.accept" and protocol.transport is not None:
            protocol.flow.attach()


def serve(application: Any, hub: Hub, host: str, port: int, on_listen: Callable[[str, int], None]) -> bool:
    """Run a gateway until SIGTERM or SIGINT. Returns False if it could not listen.

    Args: port: 0 takes a free one. on_listen: told the address once, when players may come.
    """
    server = GatewayServer(
        application=application,
        endpoints=[f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}"],
        signal_handlers=False,
        ping_interval=20,
        ping_timeout=20,
        websocket_timeout=-1,  # a link lasts as long as its player
        websocket_connect_timeout=10,
        websocket_max_message_size=MAX_MESSAGE_BYTES,
        websocket_max_frame_size=MAX_MESSAGE_BYTES,
        server_name="waystone",
        verbosity=2,  # errors inside Twisted go to the log; Daphne's default throws them away
    )
    stopping: list[asyncio.Task[None]] = []

    async def stop() -> None:
        await hub.stop()
        server.stop()

    def begin_stop() -> None:
        if not stopping:
            stopping.append(asyncio.get_running_loop().create_task(stop()))

    def started() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, begin_stop)
        hub.ensure_started()

    def announce_when_listening() -> None:
        if server.listening_addresses:
            on_listen(*server.listening_addresses[0])
        elif reactor.running:
            reactor.callLater(0.05, announce_when_listening)

    reactor.callLater(0, started)  # not callWhenRunning: that is before asyncio's loop runs
    reactor.callLater(0, announce_when_listening)
    server.run()
    return bool(server.listening_addresses)
