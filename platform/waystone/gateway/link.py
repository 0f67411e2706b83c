"""One world link as a state machine without I/O: frames in, effects out. Used by the hub only.

States: NEW (no Hello yet) → ASKED (the daemon has the Hello) → WELCOMED; a refused Hello leads back to NEW.
A hostile frame yields a refusal, never an exception.

Source: docs/protocol.md, section "World link".
"""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

import msgspec

from waystone.gateway.limits import Limits, TokenBucket
from zonecluster.protocol import from_client, to_client
from zonecluster.protocol.from_client import (
    MAX_FRAME_BYTES,
    AllianceAnswer,
    AllianceInvite,
    AllianceLeave,
    ClientMessage,
    Command,
    Enter,
    Hello,
    Logout,
    Mailing,
    Ping,
    Trading,
    ZoneTokenRequest,
)

CLOSE_POLICY = 1008  # repeated offences, or no Hello in time
CLOSE_RESTART = 1012  # the gateway restarts: come back with the resume token
CLOSE_FULL = 1013  # no room: try again later


# What the world daemon answers, once a link is welcomed; all else is a command for the player's cluster.
ForTheDaemon = (
    Enter | ZoneTokenRequest | AllianceInvite | AllianceAnswer | AllianceLeave | Trading | Mailing | Logout
)


class Phase(Enum):
    """How far a link has come."""

    NEW = "new"
    ASKED = "asked"
    WELCOMED = "welcomed"


@dataclass(frozen=True)
class Reply:
    """Send this to the client."""

    message: to_client.ServerMessage


@dataclass(frozen=True)
class ForDaemon:
    """Give this to the world daemon."""

    message: ClientMessage


@dataclass(frozen=True)
class ForCluster:
    """Give this command to the cluster that owns the player."""

    cluster: str
    session: UUID
    command: Command


@dataclass(frozen=True)
class Close:
    """Close the WebSocket with this code, after what was sent before."""

    code: int


Effect = Reply | ForDaemon | ForCluster | Close


class LinkCore:
    """The gateway's knowledge of one link."""

    def __init__(self, now: float, limits: Limits) -> None:
        self._limits = limits
        self._bucket = TokenBucket(limits.rate, limits.burst, now)
        self._excess = 0
        self._offences = 0
        self._hello_by = now + limits.hello_s
        self._asked_at: float | None = None
        self.phase = Phase.NEW
        self.is_binary = False
        self.was_forwarded = False  # the daemon has heard of this link
        self.session: UUID | None = None
        self.cluster = ""

    def receive(self, frame: str | bytes, now: float) -> list[Effect]:
        """Take one frame of the client: text is JSON, bytes are MessagePack."""
        self.is_binary = isinstance(frame, bytes)
        message, problem = decode_frame(frame)
        if not self._bucket.take(now):
            return self._too_fast(message)
        self._excess = 0
        if message is None:
            return self._bad_frame(problem)
        if isinstance(message, Ping):
            return [Reply(to_client.Pong(seq=message.seq))]
        if isinstance(message, Hello):
            return self._hello(message, now)
        if self.phase is not Phase.WELCOMED:
            return [
                _not_now(
                    "the world has not welcomed this link", "Say Hello first and wait for Welcome.", message
                )
            ]
        if isinstance(message, ForTheDaemon):
            return self._ask(message, now)
        return self._command(message)

    def passes(self, message: to_client.ServerMessage, now: float) -> None:
        """Note a message of the world that is about to be sent to the client."""
        match message:
            case to_client.Welcome():
                self.phase = Phase.WELCOMED
                self._asked_at = None
            case to_client.Refused(seq=None):
                self._asked_at = None
                if self.phase is Phase.ASKED:
                    self._back_to_new(now)
            case to_client.Entered() | to_client.Queued():
                self._asked_at = None
            case to_client.Goodbye():
                self.session, self.cluster = None, ""

    def route(self, session: UUID, cluster: str) -> None:
        """Send commands of this link to `cluster` as `session` from now on; none if `cluster` is empty."""
        self.session, self.cluster = session, cluster

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do what is due at `now`; called about once a second."""
        if self._asked_at is not None and now - self._asked_at >= self._limits.answer_s:
            self._asked_at = None
            if self.phase is Phase.ASKED:
                self._back_to_new(now)
            return [
                Reply(
                    to_client.Refused(
                        code="world_unavailable",
                        reason="the world did not answer",
                        advice="It may be restarting. Try again in a few seconds.",
                    )
                )
            ]
        if self.phase is Phase.NEW and now >= self._hello_by:
            return [
                _not_now(
                    "no Hello came in time", "Connect again and say Hello with a ticket or a resume token."
                ),
                Close(CLOSE_POLICY),
            ]
        return []

    def _back_to_new(self, now: float) -> None:
        self.phase = Phase.NEW
        self._hello_by = now + self._limits.retry_s

    def _hello(self, message: Hello, now: float) -> list[Effect]:
        if self.phase is not Phase.NEW:
            return [
                _not_now("this link has said Hello already", "Wait for the answer, or open another link.")
            ]
        self.phase = Phase.ASKED
        return self._forward(message, now)

    def _ask(self, message: ForTheDaemon, now: float) -> list[Effect]:
        if isinstance(message, Enter):
            if self._asked_at is not None:
                return [_not_now("the last Enter is still being answered", "Wait for its answer.")]
            return self._forward(message, now)
        return [ForDaemon(message)]

    def _forward(self, message: ClientMessage, now: float) -> list[Effect]:
        self._asked_at = now
        self.was_forwarded = True
        return [ForDaemon(message)]

    def _command(self, command: Command) -> list[Effect]:
        if self.session is None or not self.cluster:
            advice = "Enter with a character first; while you change zones, wait for ZoneAssigned."
            return [_not_now("no zone takes your commands at the moment", advice, command)]
        return [ForCluster(self.cluster, self.session, command)]

    def _too_fast(self, message: ClientMessage | None) -> list[Effect]:
        self._excess += 1
        refusal = Reply(
            to_client.Refused(
                code="too_fast",
                reason=f"more than {self._limits.rate:g} messages a second",
                advice="Send less often; what was refused was not done.",
                seq=getattr(message, "seq", None),
            )
        )
        return [refusal, Close(CLOSE_POLICY)] if self._excess >= self._limits.max_excess else [refusal]

    def _bad_frame(self, problem: str) -> list[Effect]:
        self._offences += 1
        advice = "Text frames carry JSON, binary frames MessagePack, as docs/protocol.md says."
        refusal = Reply(to_client.Refused(code="bad_frame", reason=problem, advice=advice))
        return [refusal, Close(CLOSE_POLICY)] if self._offences >= self._limits.max_offences else [refusal]


def decode_frame(frame: str | bytes) -> tuple[ClientMessage | None, str]:
    """Return the message, or None and what is wrong with the frame."""
    data = frame.encode() if isinstance(frame, str) else frame
    if len(data) > MAX_FRAME_BYTES:
        return None, f"the frame has {len(data)} bytes; at most {MAX_FRAME_BYTES} are allowed"
    decoder = from_client.json_decoder if isinstance(frame, str) else from_client.msgpack_decoder
    try:
        return decoder.decode(data), ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, f"not a message of this protocol: {str(error)[:200]}"


def _not_now(reason: str, advice: str, message: ClientMessage | None = None) -> Reply:
    seq = getattr(message, "seq", None)
    return Reply(to_client.Refused(code="not_now", reason=reason, advice=advice, seq=seq))
