"""The world link: one WebSocket to a world's gateway, kept alive by its resume token.

When the connection breaks it is opened again with back-off and resumed, without a log-in; what was being
waited for raises LinkLost, and `events` tells LinkDown and LinkUp.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from waystone_client.errors import LinkLost, Refusal
from zonecluster.protocol import to_client
from zonecluster.protocol.from_client import PROTOCOL_VERSION, Enter, FromClient, Hello, Logout, Ping
from zonecluster.protocol.to_client import (
    Described,
    Entered,
    Goodbye,
    InventoryIs,
    MailIs,
    Pong,
    Queued,
    Refused,
    Result,
    ServerMessage,
    Surroundings,
    WaresAre,
    Welcome,
)
from zonecluster.protocol.unreadable import UNREADABLE

ANSWER_S = 15.0  # the longest wait for an answer; the gateway itself gives up on the daemon after 10 s
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # between attempts to resume; the last one repeats
GIVE_UP_S = 120.0  # without a world link for so long, the world has logged the player out: stop trying
MAX_EVENTS = 10_000  # not yet looked at; the oldest are forgotten
FINAL_REFUSALS = ("bad_resume_token", "bad_protocol_version")
UNKNOWN = "Whether it was done is not known."
UNREACHABLE = (OSError, TimeoutError, ConnectionClosed, InvalidHandshake)


@dataclass(frozen=True)
class LinkDown:
    """The connection broke; it is being resumed."""

    cause: str


@dataclass(frozen=True)
class LinkUp:
    """The connection is back. `welcome.playing` tells whether the character is still in the world."""

    welcome: Welcome


@dataclass(frozen=True)
class LinkOver:
    """There is no way back on this link: the world said goodbye, or the time to resume is over."""

    reason: str
    is_saved: bool


Event = ServerMessage | LinkDown | LinkUp | LinkOver
Answer = Result | Surroundings | Described | InventoryIs | WaresAre | MailIs  # to what has a `seq`


class WorldLink:
    """A player's world link. Use `open`, then `enter`; `close` ends it without logging out.

    Args: url: the gateway's, as the ticket tells it. is_binary: MessagePack rather than JSON frames.
    """

    def __init__(self, url: str, *, client: str = "waystone-python", is_binary: bool = True) -> None:
        self.url = url
        self.welcome: Welcome | None = None
        self.resumed = 0  # how often the link was lost and resumed
        self._client = client
        self._is_binary = is_binary
        self._socket: ClientConnection | None = None
        self._seq = 0
        self._by_seq: dict[int, asyncio.Future[Any]] = {}
        self._answer: asyncio.Future[Any] | None = None
        self._entering: asyncio.Queue[Event] | None = None  # while `enter` waits
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._is_closing = False

    # ------------------------------------------------------------ opening and closing

    async def open(self, *, ticket: str | None = None, resume: str | None = None) -> Welcome:
        """Connect and say Hello with a ticket, or with a resume token from an earlier Welcome.

        Raises: Refusal: the world's answer. LinkLost: the gateway cannot be reached.
        """
        try:
            await self._connect()
        except (*UNREACHABLE, InvalidURI) as error:
            raise LinkLost(
                "gateway_unreachable", f"The gateway at {self.url} does not answer ({error})."
            ) from error
        self._runner = asyncio.create_task(self._run(), name="world-link")
        try:
            return await self._hello(Hello(PROTOCOL_VERSION, self._client, ticket, resume))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the WebSocket without a log-out: the world keeps the character for its grace period."""
        self._is_closing = True
        if self._socket is not None:
            await self._socket.close()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._fail_pending("The world link was closed.")
        self._of_entering(LinkOver("The world link was closed.", is_saved=True))

    def abort(self) -> None:
        """Break the connection as a crash or a pulled cable would: no closing handshake, then resume."""
        if self._socket is not None:
            self._socket.transport.abort()

    @property
    def local_address(self) -> object:
        """This side's address of the TCP connection; None while there is none."""
        return self._socket.local_address if self._socket else None

    # ------------------------------------------------------------ asking

    async def enter(self, character: UUID, on_queued: Callable[[Queued], None] | None = None) -> Entered:
        """Play a character. ZoneAssigned follows as an event.

        While the world is full this waits in its queue, for as long as that takes and over lost links; the
        place is told to `on_queued`, and as an event, whenever it changes. `log_out` gives the place up.

        Raises: Refusal, LinkLost.
        """
        answers = self._entering = asyncio.Queue()
        try:
            await self.send(Enter(character))
            answer = await _next_in_time(answers)
            has_place = False
            while not isinstance(answer, Entered):
                match answer:
                    case Queued():
                        has_place = True
                        if on_queued is not None:
                            on_queued(answer)
                    case Refused():
                        raise Refusal(answer.code, answer.reason, answer.advice)
                    case LinkDown() if not has_place:
                        raise LinkLost("link_lost", f"The world link broke ({answer.cause}).", UNKNOWN)
                    case LinkOver():
                        raise LinkLost("link_over", answer.reason)
                answer = await answers.get()
            return answer
        finally:
            self._entering = None

    async def log_out(self) -> Goodbye:
        """Leave the world: saved and released, as the Goodbye says; then the link is over."""
        goodbye = await self._ask(Logout())
        await self.close()
        return goodbye

    async def command(
        self, kind: type[FromClient], patience_s: float | None = None, /, **fields: Any
    ) -> Answer:
        """Send a message that has a `seq`, and wait for its answer.

        Args: patience_s: longer than the usual ANSWER_S, for what waits for somebody else.
        Raises: Refusal: not done, and why. LinkLost: the link broke; whether it was done is not known.
        """
        return await self._by_number(kind, fields, patience_s or ANSWER_S)

    async def ping(self) -> None:
        """Ask the gateway for a sign of life."""
        await self._by_number(Ping, {})

    async def send(self, message: FromClient) -> None:
        """Send a message that is answered by an event, if at all.

        Raises: LinkLost: there is no connection just now.
        """
        if self._socket is None:
            raise LinkLost("link_down", "The world link is down just now.", "It is being resumed: try again.")
        encoded: bytes | str = msgspec.msgpack.encode(message)
        if not self._is_binary:
            encoded = msgspec.json.encode(message).decode()
        try:
            await self._socket.send(encoded)
        except ConnectionClosed as error:
            raise LinkLost("link_down", "The world link broke.", "It is being resumed: try again.") from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield what comes unasked, until the link is over: Heard, Notice, ZoneAssigned, LinkDown, …"""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, LinkOver):
                return

    async def _by_number(
        self, kind: type[FromClient], fields: dict[str, Any], patience_s: float = ANSWER_S
    ) -> Any:
        self._seq = (self._seq + 1) % 2**32
        answer = self._by_seq[self._seq] = asyncio.get_running_loop().create_future()
        seq = self._seq
        try:
            await self.send(kind(seq=seq, **fields))
            return await _in_time(answer, patience_s)
        finally:
            self._by_seq.pop(seq, None)
            _let_go(answer)

    async def _ask(self, message: FromClient) -> Any:
        """Send one of the messages that are answered without a number; one at a time."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        try:
            await self.send(message)
            return await _in_time(answer)
        finally:
            if self._answer is answer:
                self._answer = None
            _let_go(answer)

    async def _hello(self, hello: Hello) -> Welcome:
        self.welcome = await self._ask(hello)
        return self.welcome

    # ------------------------------------------------------------ the connection

    async def _connect(self) -> None:
        self._socket = await connect(
            self.url, open_timeout=10, close_timeout=3, ping_interval=20, ping_timeout=20, max_size=2**20
        )

    async def _run(self) -> None:
        """Read until the link is over; resume whenever it breaks."""
        reading: asyncio.Task[str] | None = asyncio.create_task(self._read())
        while reading is not None:
            try:
                cause = await reading
            except asyncio.CancelledError:
                reading.cancel()
                raise
            if self._is_closing or self.welcome is None:
                return
            self._tell(LinkDown(cause))
            reading = await self._resume(self.welcome.resume)

    async def _read(self) -> str:
        """Dispatch messages until the connection ends; return why it did."""
        assert self._socket is not None
        cause = "closed by the gateway"
        try:
            async for frame in self._socket:
                self._dispatch_frame(frame)
        except ConnectionClosed as error:
            cause = str(error)
        self._socket = None
        self._fail_pending(f"The world link broke ({cause}).")
        return cause

    async def _resume(self, token: str) -> asyncio.Task[str] | None:
        """Come back with the resume token; return the new reader, or None when that is impossible."""
        now = asyncio.get_running_loop().time
        deadline = now() + GIVE_UP_S
        attempt = 0
        while now() < deadline:
            await asyncio.sleep(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)] * random.uniform(0.7, 1.3))
            attempt += 1
            try:
                return await self._try_to_resume(token)
            except Refusal as refusal:
                if refusal.code in FINAL_REFUSALS:
                    self._tell(LinkOver(str(refusal), is_saved=False))
                    return None
            except (LinkLost, *UNREACHABLE):
                continue
        self._tell(LinkOver(f"The world did not answer for {GIVE_UP_S:.0f} s.", is_saved=False))
        return None

    async def _try_to_resume(self, token: str) -> asyncio.Task[str]:
        """Connect once and say Hello again; returns the reader of the new connection."""
        await self._connect()
        socket = self._socket
        reading = asyncio.create_task(self._read())
        try:
            welcome = await self._hello(Hello(PROTOCOL_VERSION, self._client, resume=token))
        except BaseException:
            if socket is not None:
                await socket.close()
            await asyncio.gather(reading, return_exceptions=True)
            raise
        self.resumed += 1
        self._tell(LinkUp(welcome))
        return reading

    # ------------------------------------------------------------ what comes

    def _dispatch_frame(self, frame: str | bytes) -> None:
        self._dispatch(read_frame(frame))

    def _dispatch(self, message: ServerMessage) -> None:
        match message:
            case Result(seq=seq) | Surroundings(seq=seq) | Described(seq=seq) | Pong(seq=seq):
                self._resolve(self._by_seq.get(seq), message)
            case InventoryIs(seq=seq) | WaresAre(seq=seq) | MailIs(seq=seq):
                self._resolve(self._by_seq.get(seq), message)
            case Refused(seq=int(seq)):
                self._reject(self._by_seq.get(seq), message)
            case Welcome():
                if not self._resolve(self._answer, message):
                    self._tell(message)
            case Entered():
                if not self._of_entering(message):
                    self._tell(message)
            case Queued():
                self._of_entering(message)
                self._tell(message)
            case Refused():
                if not self._reject(self._answer, message) and not self._of_entering(message):
                    self._tell(message)
            case Goodbye():
                self._is_closing = True
                self._resolve(self._answer, message)
                self._tell(message)
                self._tell(LinkOver(message.reason, message.is_saved))
            case _:
                self._tell(message)

    def _of_entering(self, event: Event) -> bool:
        """Give to `enter` what it waits for; whether it does wait."""
        if self._entering is not None:
            self._entering.put_nowait(event)
        return self._entering is not None

    def _tell(self, event: Event) -> None:
        if isinstance(event, LinkDown | LinkOver):
            self._of_entering(event)
        if self._events.qsize() >= MAX_EVENTS:
            self._events.get_nowait()
        self._events.put_nowait(event)

    @staticmethod
    def _resolve(future: asyncio.Future[Any] | None, message: ServerMessage) -> bool:
        if future is None or future.done():
            return False
        future.set_result(message)
        return True

    @staticmethod
    def _reject(future: asyncio.Future[Any] | None, refused: Refused) -> bool:
        if future is None or future.done():
            return False
        future.set_exception(Refusal(refused.code, refused.reason, refused.advice))
        return True

    def _fail_pending(self, reason: str) -> None:
        for future in [*self._by_seq.values(), self._answer]:
            if future is not None and not future.done():
                future.set_exception(LinkLost("link_lost", reason, UNKNOWN))


async def _next_in_time(answers: asyncio.Queue[Event]) -> Event:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await answers.get()
    except TimeoutError as error:
        raise LinkLost("no_answer", f"The world did not answer within {ANSWER_S:.0f} s.") from error


async def _in_time(answer: asyncio.Future[Any], patience_s: float = ANSWER_S) -> Any:
    try:
        async with asyncio.timeout(patience_s):
            return await answer
    except TimeoutError as error:
        raise LinkLost("no_answer", f"The world did not answer within {patience_s:.0f} s.") from error


def _let_go(answer: asyncio.Future[Any]) -> None:
    """Have a failure looked at: where sending failed too, nobody waits for it, and asyncio complains."""
    if answer.done() and not answer.cancelled():
        answer.exception()


def read_frame(frame: str | bytes) -> ServerMessage:
    """Return what a frame of the server says; one that cannot be read is a notice of that. Raises nothing.

    A newer server may say what this client does not know; nothing depends on it.
    """
    try:
        if isinstance(frame, bytes):
            return to_client.msgpack_decoder.decode(frame)
        return to_client.json_decoder.decode(frame)
    except UNREADABLE as error:
        return to_client.Notice(f"a message that cannot be read: {error}", "warning")
