"""The agent's end of the host link: a non-blocking connection to the world daemon, kept up by the
supervisor's loop.

No thread and no asyncio: children are forked in this process. `step` is called some 20 times a second; it
connects,
reads and writes what can be at once, and returns what the daemon has ordered. What happens on the way is
`Heard`.
"""

import contextlib
import enum
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from secrets import token_bytes

from worlds.hosts import sockets
from worlds.hosts.certificate import client_context, is_pinned
from worlds.hosts.handshake import AgentSide, Failed, Identity
from worlds.hosts.messages import NONCE_BYTES, Kill, Refused, Report, Wanted, Welcome

CONNECT_S = 5.0
SILENT_S = 6.0  # the daemon says something every 2 s
RETRY_S = (0.2, 0.5, 1.0, 2.0, 4.0)
REFUSED_RETRY_S = 10.0
RESOLVE_AGAIN = 6  # failures in a row after which a name is looked up again: that may block for seconds
READ_BYTES = 64 * 1024
UNSENT_BYTES = 512 * 1024


class LinkState(enum.Enum):
    """DOWN → CONNECTING → SECURING (TLS) → GREETING → UP; any failure leads back to DOWN."""

    DOWN = "down"
    CONNECTING = "connecting"
    SECURING = "securing"
    GREETING = "greeting"
    UP = "up"


@dataclass(frozen=True)
class OwnMachine:
    """Where the daemon of this machine listens."""

    path: Path


@dataclass(frozen=True)
class OtherMachine:
    """Where a daemon listens, and the SHA-256 of the certificate by which it proves itself."""

    host: str
    port: int
    fingerprint: bytes


@dataclass(frozen=True)
class LinkDown:
    """There is no link, and why; said once for each cause."""

    cause: str


Heard = Welcome | Refused | Wanted | Kill | LinkDown


class HostLink:
    """The connection, and its next attempt."""

    def __init__(
        self,
        target: OwnMachine | OtherMachine,
        identity: Callable[[], Identity],
        random: Random | None = None,
    ) -> None:
        """`identity` is asked at each attempt: after a join it is another."""
        self._target = target
        self._identity = identity
        self._random = random or Random()
        self.state = LinkState.DOWN
        self._socket: socket.socket | ssl.SSLSocket | None = None
        self._side: AgentSide | None = None
        self._unsent = b""
        self._next_at = 0.0
        self._since = self._heard_at = 0.0
        self._failures = 0
        self._cause = ""
        self._addresses: list[tuple[int, tuple]] = []

    # ------------------------------------------------------------ what the agent calls

    def step(self, now: float) -> list[Heard]:
        """Do what can be done without waiting; return what was heard. Args: now: seconds, monotonic."""
        try:
            return self._step(now)
        except (
            OSError,
            ValueError,
        ) as error:  # ssl.SSLError is an OSError; ValueError: of a socket just closed
            return self._down(now, str(error) or type(error).__name__)

    def report(self, report: Report, now: float) -> None:
        """Say what runs here, if the daemon is there."""
        if self.state is LinkState.UP and self._side is not None:
            self._side.report(report)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = self._side = None
        self._unsent = b""
        self.state = LinkState.DOWN

    # ------------------------------------------------------------ the connection

    def _step(self, now: float) -> list[Heard]:
        if self.state is LinkState.DOWN:
            if now < self._next_at:
                return []
            self._connect(now)
        if self.state is LinkState.CONNECTING:
            self._connected()
        if self.state is LinkState.SECURING:
            self._secured()
        if self.state in (LinkState.GREETING, LinkState.UP):
            return self._talk(now)
        if now - self._since > CONNECT_S:
            raise TimeoutError("no answer")
        return []

    def _connect(self, now: float) -> None:
        self._since = self._heard_at = now
        if isinstance(self._target, OwnMachine):
            self._socket = sockets.connect(self._target.path)
            self._greet(b"")
            return
        family, address = self._address(self._target)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.state = LinkState.CONNECTING
        with contextlib.suppress(BlockingIOError):
            self._socket.connect(address)

    def _address(self, target: OtherMachine) -> tuple[int, tuple]:
        """Return the address to try now: one after the other. Raises: OSError: the name has none."""
        if not self._addresses or self._failures % RESOLVE_AGAIN == 0:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            self._addresses = [(int(family), address) for family, _, _, _, address in found]
        return self._addresses[self._failures % len(self._addresses)]

    def _connected(self) -> None:
        """See whether TCP is there; then begin TLS."""
        assert self._socket is not None
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "cannot connect")
        try:
            self._socket.getpeername()
        except OSError:
            return  # not yet
        self._socket = client_context().wrap_socket(self._socket, do_handshake_on_connect=False)
        self.state = LinkState.SECURING

    def _secured(self) -> None:
        """Go on with TLS; say nothing to a daemon whose certificate is another."""
        assert isinstance(self._socket, ssl.SSLSocket) and isinstance(self._target, OtherMachine)
        try:
            self._socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not is_pinned(self._socket.getpeercert(binary_form=True), self._target.fingerprint):
            raise OSError(
                "whoever answers there does not have the certificate of the join code: it is another "
                "daemon, or its "
                "certificate was made anew; then join again"
            )
        self._greet(self._target.fingerprint)

    def _greet(self, fingerprint: bytes) -> None:
        self._side = AgentSide(self._identity(), fingerprint, token_bytes(NONCE_BYTES))
        self.state = LinkState.GREETING

    # ------------------------------------------------------------ talking

    def _talk(self, now: float) -> list[Heard]:
        assert self._side is not None
        heard: list[Heard] = []
        self._send()
        data = self._read()
        if data:
            self._heard_at = now
        for event in self._side.receive(data) if data else ():
            match event:
                case Failed(reason):
                    return [*heard, *self._down(now, reason)]
                case Refused():
                    self._down(now, event.reason, wait=REFUSED_RETRY_S)
                    return [*heard, event]
                case Welcome():
                    self.state, self._failures, self._cause = LinkState.UP, 0, ""
            heard.append(event)
        self._send()
        if now - self._heard_at > SILENT_S:
            return [*heard, *self._down(now, f"the world daemon said nothing for {SILENT_S:.0f} s")]
        return heard

    def _send(self) -> None:
        assert self._socket is not None and self._side is not None
        self._unsent += self._side.to_send()
        if len(self._unsent) > UNSENT_BYTES:
            raise OSError("the world daemon does not read")
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            self._unsent = self._unsent[sent:]

    def _read(self) -> bytes:
        """Return what has come, b"" for nothing. Raises: OSError: the connection has ended."""
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        if not data:
            raise OSError("the world daemon has ended the link")
        return data

    def _down(self, now: float, cause: str, wait: float | None = None) -> list[Heard]:
        self.close()
        pause = RETRY_S[min(self._failures, len(RETRY_S) - 1)] if wait is None else wait
        self._next_at = now + pause * self._random.uniform(0.8, 1.2)
        self._failures += 1
        if cause == self._cause:
            return []
        self._cause = cause
        return [LinkDown(cause)]
