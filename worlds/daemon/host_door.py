"""The world daemon's door for host agents: sockets, TLS and clocks around `DaemonSide`. One asyncio loop.

Not here: who may come (`registry.py`), what is decided (`worlds/daemon/core/supervision.py`). What strangers
can
cost is bounded: so many connections that have not proven anything, in all and of one address, for so long
each; no
question to the database before a whole handshake has come.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes

import structlog

from worlds.daemon.core.hosts import HostHeard, HostLost
from worlds.hosts import sockets
from worlds.hosts.certificate import DoorCertificate
from worlds.hosts.handshake import Claimed, DaemonSide, Failed, HostRefused
from worlds.hosts.messages import NONCE_BYTES, Kill, Report, Wanted

log = structlog.get_logger(__name__)

HANDSHAKE_S = 5.0  # from the first byte to a proof that holds, TLS included
SHUTDOWN_S = 1.0
SILENT_S = 4.0  # an agent reports once a second
WAITING = 32  # connections that have not proven who they are
WAITING_OF_ADDRESS = 4
READ_BYTES = 16 * 1024
UNSENT_BYTES = 512 * 1024  # an agent that does not read so much is put out
REPORTS_PER_S = 50
LISTEN_AGAIN_S = 5.0
BACKLOG = 64
ALARM_AGAIN_S = 60.0
ALARM_ENDS_S = 600.0  # without another attempt


@dataclass(frozen=True)
class Admitted:
    """Who an agent has proven to be, and by which key."""

    host: str
    key: bytes


Admit = Callable[[Claimed], Awaitable[Admitted]]
Handle = Callable[[HostHeard | HostLost], None]
Alarm = Callable[[str, str, str], None]  # key, text, advice; a text of "" ends it


@dataclass
class Link:
    """One connection."""

    side: DaemonSide
    writer: asyncio.StreamWriter
    heard_at: float
    since: float
    key: bytes = b""
    second: int = 0
    reports: int = 0

    def flush(self) -> None:
        """Send what waits; a side that does not read is cut off."""
        self.writer.write(self.side.to_send())
        if self.writer.transport.get_write_buffer_size() > UNSENT_BYTES:
            self.writer.transport.abort()

    def is_flooding(self, now: float) -> bool:
        """Count a report; whether they are too many."""
        if int(now) != self.second:
            self.second, self.reports = int(now), 0
        self.reports += 1
        return self.reports > REPORTS_PER_S


@dataclass(frozen=True)
class Place:
    """Where the door is. `bind` None: agents of other machines cannot come."""

    own: Path
    bind: tuple[str, int] | None = None
    certificate: DoorCertificate | None = None
    public: str = ""  # host:port by which agents reach it; empty: as it is bound


@dataclass
class Door:
    """Takes agents in, hands on what they report, and tells them what the core wants."""

    world: str
    place: Place
    admit: Admit  # raises HostRefused; any other error: try again later
    handle: Handle
    alarm: Alarm
    port: int = 0  # that agents of other machines use, once it is listened on
    counts: Counter[str] = field(default_factory=Counter)
    _links: dict[str, Link] = field(default_factory=dict)  # by host, of the welcome
    _waiting: Counter[str] = field(default_factory=Counter)  # by address
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _alarmed: dict[str, tuple[float, float]] = field(default_factory=dict)  # key: raised at, tried at

    async def run(self) -> None:
        """Listen, for ever; what cannot be listened on is tried again. Only cancelling ends this."""
        doors = [asyncio.create_task(self._listen(is_own_machine=True))]
        if self.place.bind is not None:
            doors.append(asyncio.create_task(self._listen(is_own_machine=False)))
        try:
            while True:
                await asyncio.sleep(LISTEN_AGAIN_S)
                self._end_alarms()
        finally:
            for task in (*doors, *self._tasks):
                task.cancel()
            await asyncio.gather(*doors, *self._tasks, return_exceptions=True)

    def tell(self, host: str, message: Wanted | Kill) -> None:
        """Tell an agent; one that is not there hears it when it is."""
        link = self._links.get(host)
        if link is not None:
            link.side.tell(message)
            link.flush()

    def put_out(self, host: str, reason: str, advice: str) -> None:
        """End the link to an agent that is welcome no more; its clusters there are to end."""
        link = self._links.get(host)
        if link is not None:
            link.side.refuse(reason, advice, is_final=True)
            link.flush()
            link.writer.close()
            self._forget(link)

    def keep(self, keys: dict[str, bytes], read_at: float) -> None:
        """Put out who has no right any more. Args: keys: of all hosts, as read at an instant (monotonic)."""
        for host, link in list(self._links.items()):
            if host and link.since < read_at and keys.get(host) != link.key:
                self.put_out(
                    host,
                    "The key of this host was revoked, or the host removed.",
                    "Ask the staff of the world.",
                )

    def whereabouts(self) -> tuple[str, str]:
        """Return the address for agents of other machines, and the certificate's fingerprint; "" if there is
        none."""
        place = self.place
        if place.bind is None or place.certificate is None or not self.port:
            return "", ""
        host = place.bind[0]
        bound = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        address = place.public or ("" if host in ("0.0.0.0", "::") else bound)
        return address, place.certificate.fingerprint.hex()

    # ------------------------------------------------------------ listening

    async def _listen(self, *, is_own_machine: bool) -> None:
        key = "hosts_door_own" if is_own_machine else "hosts_door"
        while True:
            try:
                with self._open(is_own_machine=is_own_machine) as listener:
                    self._calm(key)
                    await self._accept(listener, is_own_machine=is_own_machine)
            except (OSError, OverflowError) as error:
                where = str(self.place.own) if is_own_machine else str(self.place.bind)
                log.warning("host_door_closed", where=where, cause=str(error))
                self._warn(
                    key,
                    f"The world daemon cannot listen for host agents on {where}: {error}",
                    "Clusters go on, but are not started, stopped or restarted by it. Is the address this "
                    "machine's, and "
                    "the port free? WAYSTONE_HOSTS_BIND sets it.",
                )
            await asyncio.sleep(LISTEN_AGAIN_S)

    def _open(self, *, is_own_machine: bool) -> socket.socket:
        """Return a listening socket. Raises: OSError, OverflowError (a port over 65535)."""
        if is_own_machine or self.place.bind is None:
            return sockets.listen(self.place.own)
        host, port = self.place.bind
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        log.info("host_door_open", address=host, port=self.port)
        return listener

    async def _accept(self, listener: socket.socket, *, is_own_machine: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # it went away while it waited
            address = "" if is_own_machine else str(peer[0])
            if self._waiting.total() >= WAITING or self._waiting[address] >= WAITING_OF_ADDRESS:
                self.counts["turned_away"] += 1
                client.close()
                continue
            self._waiting[address] += 1
            task = asyncio.create_task(self._serve(client, address, is_own_machine=is_own_machine))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ one connection

    async def _serve(self, client: socket.socket, address: str, *, is_own_machine: bool) -> None:
        writer: asyncio.StreamWriter | None = None
        link: Link | None = None
        is_waiting = True
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                reader, writer = await self._streams(client, is_own_machine=is_own_machine)
                link = await self._greet(reader, writer, address, is_own_machine=is_own_machine)
            self._waiting[address] -= 1
            is_waiting = False
            if link is not None:
                await self._attend(link, reader)
        except TimeoutError:
            self.counts["timed_out"] += 1
        except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
            self.counts["broken"] += 1
            log.debug("host_link_broken", address=address, cause=str(error))
        finally:
            if is_waiting:
                self._waiting[address] -= 1
            self._waiting += Counter()  # drops what is zero
            if link is not None:
                self._forget(link)
            if writer is not None:
                writer.close()
            else:
                client.close()

    async def _streams(
        self, client: socket.socket, *, is_own_machine: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        certificate = self.place.certificate
        context = None if is_own_machine or certificate is None else certificate.server_context()
        wait = None if context is None else HANDSHAKE_S
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=context,
            ssl_handshake_timeout=wait,
            ssl_shutdown_timeout=None if context is None else SHUTDOWN_S,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _greet(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: str,
        *,
        is_own_machine: bool,
    ) -> Link | None:
        """Come to the point where the agent is welcome; None: it is not, and was told so."""
        fingerprint = self.place.certificate.fingerprint if self.place.certificate is not None else b""
        side = DaemonSide(self.world, fingerprint, token_bytes(NONCE_BYTES), is_own_machine=is_own_machine)
        now = time.monotonic()
        link = Link(side, writer, now, now)
        while side.host is None:
            data = await reader.read(READ_BYTES)
            if not data:
                raise EOFError("closed before the handshake was over")
            for event in side.receive(data):
                if isinstance(event, Claimed):
                    await self._decide(link, event, address, is_own_machine=is_own_machine)
                elif isinstance(event, Failed):
                    self._refused(event.reason, address)
                    link.flush()
                    self._forget(link)  # one that was welcome by the frames before this one
                    return None
            link.flush()
            if side.has_failed:
                return None
        return link

    async def _decide(self, link: Link, claim: Claimed, address: str, *, is_own_machine: bool) -> None:
        """Welcome an agent or refuse it."""
        try:
            who = Admitted("", b"") if is_own_machine else await self.admit(claim)
        except HostRefused as error:
            self._refused(error.reason, address)
            if error.host:
                self._warn(
                    f"host_refused:{error.host}",
                    f"Somebody at {address} wanted to be host {error.host} and was refused: {error.reason}",
                    "If that is its machine: let it join again. If not: find out who has that address.",
                )
            link.side.refuse(error.reason, error.advice, is_final=True)
            return
        except Exception as error:  # noqa: BLE001  (a database that is away must not shut the door for good)
            log.warning("host_not_looked_up", cause=f"{type(error).__name__}: {error}")
            link.side.refuse("The world's database does not answer.")
            return
        host = who.host
        if claim.hello.join is not None:
            self.put_out(host, "This host has joined anew.", "Join with a code of another host.")
        if host in self._links:
            link.side.refuse(
                f"Another agent of {host or 'this machine'} is connected.", "Stop one of the two."
            )
            self._warn(
                f"host_twice:{host}",
                f"A second agent of {host or 'the own machine'} came from {address or 'there'} and was "
                f"refused.",
                "Stop one of the two. If its key was copied to another machine, let that one join as a host "
                "of its own.",
            )
            return
        link.side.welcome(host)
        link.key = who.key
        self._links[host] = link
        log.info("host_welcome", host=host or "(own)", address=address)

    async def _attend(self, link: Link, reader: asyncio.StreamReader) -> None:
        """Hand on reports until the agent is gone, silent, or breaks the rules."""
        while True:
            async with asyncio.timeout(SILENT_S):
                data = await reader.read(READ_BYTES)
            if not data:
                return
            link.heard_at = time.monotonic()
            for event in link.side.receive(data):
                if isinstance(event, Report) and not link.is_flooding(link.heard_at):
                    self.handle(HostHeard(link.side.host or "", event))
                    continue
                reason = event.reason if isinstance(event, Failed) else "more reports than are read"
                log.warning("host_put_out", host=link.side.host, reason=reason)
                return

    def _forget(self, link: Link) -> None:
        host = link.side.host
        if host is not None and self._links.get(host) is link:
            del self._links[host]
            self.handle(HostLost(host))

    # ------------------------------------------------------------ what people are told

    def _refused(self, reason: str, address: str) -> None:
        self.counts["refused"] += 1
        log.warning("host_refused", address=address, reason=reason)

    def _warn(self, key: str, text: str, advice: str) -> None:
        now = time.monotonic()
        raised_at, _ = self._alarmed.get(key, (float("-inf"), now))
        if now - raised_at >= ALARM_AGAIN_S:
            raised_at = now
            self.alarm(key, text, advice)
        self._alarmed[key] = (raised_at, now)

    def _calm(self, key: str) -> None:
        self._alarmed.pop(key, None)
        self.alarm(key, "", "")

    def _end_alarms(self) -> None:
        now = time.monotonic()
        for key, (_, tried_at) in list(self._alarmed.items()):
            if now - tried_at > ALARM_ENDS_S:
                self._calm(key)
