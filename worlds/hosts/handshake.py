"""How agent and daemon come to trust each other: the text that is signed, join codes, and both sides as
machines.

    agent → Hello{world, host, nonce}            (or, once: {world, join: secret, public_key, nonce})
    daemon → Challenge{nonce}
    agent → Proof{signature over signed_text}
    daemon → Welcome | Refused
    then Wanted and Kill one way, Report the other

The daemon is proven before the agent says a word: by its TLS certificate, whose fingerprint the agent has
from the join
code. The fingerprint is signed too, so a proof is good for this daemon, this connection and this host only.
On the
daemon's own machine the way is a Unix socket in a folder that only its user can enter: there it needs no
proof.

Pure: no socket, no clock, no database; nonces are arguments. `DaemonSide` and `AgentSide` are told bytes and
return events;
what the other side says can fail them, never raise out of them.
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from worlds.hosts.messages import (
    PROTOCOL,
    BadFrame,
    Bytes32,
    Challenge,
    FrameReader,
    FromDaemon,
    Hello,
    Kill,
    Proof,
    Refused,
    Report,
    Slug,
    Wanted,
    Welcome,
    decode_from_agent,
    decode_from_daemon,
    frame,
)
from worlds.uplink.base64url import decode_base64url, encode_base64url
from zonecluster.protocol.unreadable import UNREADABLE

CONTEXT = b"waystone host link 1\0"
CODE_PREFIX = "wsh1-"
MAX_CODE = 600
KEEP_TRYING = "The agent tries again by itself."


def signed_text(hello: Hello, challenge: Challenge, fingerprint: bytes) -> bytes:
    """Return what an agent signs. Args: fingerprint: SHA-256 of the daemon's certificate."""
    parts = [hello.world.encode(), hello.host.encode(), hello.nonce, challenge.nonce, fingerprint]
    parts += [hello.join or b"", hello.public_key or b""]
    return CONTEXT + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def is_signed(key: bytes, text: bytes, signature: bytes) -> bool:
    """Return whether a text was signed by an Ed25519 key of 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def digest_of(secret: bytes) -> bytes:
    """Return what is kept of a join code's secret."""
    return sha256(secret).digest()


# ---------------------------------------------------------------- join codes


class JoinCode(Struct, frozen=True):
    """What staff gives to whoever starts an agent for the first time. `address`: host:port of the door."""

    world: Annotated[Slug, Meta(min_length=1)]
    address: Annotated[str, Meta(min_length=3, max_length=260)]
    fingerprint: Bytes32
    secret: Bytes32

    def text(self) -> str:
        """Return the code as one word."""
        return CODE_PREFIX + encode_base64url(msgspec.msgpack.encode(self))


class BadCode(ValueError):
    """This is no join code."""


_code_decoder = msgspec.msgpack.Decoder(JoinCode)


def read_code(text: str) -> JoinCode:
    """Return what a join code says. Raises: BadCode."""
    word = text.strip()
    if not word.startswith(CODE_PREFIX) or len(word) > MAX_CODE:
        raise BadCode(
            f"A join code begins with {CODE_PREFIX}: copy the whole line from the host's page in the admin."
        )
    try:
        return _code_decoder.decode(decode_base64url(word.removeprefix(CODE_PREFIX)))
    except (binascii.Error, ValueError, *UNREADABLE) as error:
        raise BadCode("This join code is not whole: copy the line from the admin again.") from error


# ---------------------------------------------------------------- the daemon's side


@dataclass(frozen=True)
class Claimed:
    """An agent says who it is. Whether `signature` fits is asked of `is_proven` with the key that is on
    record."""

    hello: Hello
    text: bytes
    signature: bytes

    def is_proven(self, key: bytes | None) -> bool:
        """Return whether the claim holds for a host with this key."""
        return key is not None and is_signed(key, self.text, self.signature)


class HostRefused(ValueError):
    """An agent that is not let in. `host`: which one it calls itself, if there is one of that name."""

    def __init__(self, reason: str, advice: str, host: str = "") -> None:
        super().__init__(reason)
        self.reason, self.advice, self.host = reason, advice, host


@dataclass(frozen=True)
class Failed:
    """The connection is to be closed after what waits to be sent; `reason` for the log."""

    reason: str


class DaemonSide:
    """One connection of an agent, as the daemon sees it. After Claimed the shell calls `welcome` or
    `refuse`."""

    def __init__(self, world: str, fingerprint: bytes, nonce: bytes, *, is_own_machine: bool) -> None:
        self._world = world
        self._fingerprint = fingerprint
        self._nonce = nonce
        self._is_own_machine = is_own_machine
        self._frames = FrameReader()
        self._hello: Hello | None = None
        self._has_claimed = self.has_failed = False
        self._output = bytearray()
        self.host: str | None = None  # once it is welcome

    def receive(self, data: bytes) -> list[Claimed | Report | Failed]:
        """Take bytes of the agent."""
        events: list[Claimed | Report | Failed] = []
        if self.has_failed:
            return events
        try:
            for body in self._frames.feed(data):
                event = self._take(decode_from_agent(body))
                if event is not None:
                    events.append(event)
                if self.has_failed:
                    break
        except BadFrame as error:
            events.append(self._fail(str(error)))
        return events

    def welcome(self, host: str) -> None:
        """The claim holds."""
        self.host = host
        self._output += frame(Welcome(world=self._world, host=host))

    def refuse(self, reason: str, advice: str = KEEP_TRYING, *, is_final: bool = False) -> Failed:
        """Say why not."""
        self._output += frame(Refused(reason=reason, advice=advice, is_final=is_final))
        return self._fail(reason)

    def tell(self, message: Wanted | Kill) -> None:
        """Order something of an agent that is welcome. Raises: RuntimeError: it is not."""
        if self.host is None:
            raise RuntimeError("orders go to agents that are welcome")
        self._output += frame(message)

    def to_send(self) -> bytes:
        """Return what is to be sent now."""
        data, self._output = bytes(self._output), bytearray()
        return data

    def _fail(self, reason: str) -> Failed:
        self.has_failed = True
        return Failed(reason)

    def _take(self, message: Hello | Proof | Report) -> Claimed | Report | Failed | None:
        match message:
            case Hello() if self._hello is None:
                return self._greeted(message)
            case Proof() if self._hello is not None and not self._has_claimed and not self._is_own_machine:
                return self._claimed(self._hello, message.signature)
            case Report() if self.host is not None:
                return message
        return self._fail(f"a {type(message).__name__} out of turn")

    def _greeted(self, hello: Hello) -> Claimed | Failed | None:
        self._hello = hello
        if hello.protocol != PROTOCOL:
            return self.refuse(
                f"The agent speaks version {hello.protocol} of the host link, the world daemon version "
                f"{PROTOCOL}.",
                "Run the same version of Waystone on both machines.",
            )
        if hello.world != self._world:
            return self.refuse(
                f"This is the world daemon of {self._world}, not of {hello.world or 'no world'}.",
                "Set WAYSTONE_WORLD to the world whose daemon it is, or join with a code of that one.",
            )
        if self._is_own_machine:
            if hello.host or hello.join:
                return self.refuse(
                    "Agents of other machines come by TCP.", "Use the address of the join code."
                )
            self._has_claimed = True
            return Claimed(hello, b"", b"")
        if not hello.host and (hello.join is None or hello.public_key is None):
            return self.refuse(
                "The agent says neither which host it is nor a join code.", "Join with a code."
            )
        self._output += frame(Challenge(nonce=self._nonce))
        return None

    def _claimed(self, hello: Hello, signature: bytes) -> Claimed:
        self._has_claimed = True
        text = signed_text(hello, Challenge(nonce=self._nonce), self._fingerprint)
        return Claimed(hello, text, signature)


# ---------------------------------------------------------------- the agent's side


@dataclass(frozen=True)
class Identity:
    """Who an agent is. `host` "": by a join code, or on the daemon's own machine, where nothing is signed."""

    world: str
    host: str = ""
    sign: Callable[[bytes], bytes] | None = None
    public_key: bytes | None = None
    join: bytes | None = None


class AgentSide:
    """The connection to a daemon, as the agent sees it."""

    def __init__(self, identity: Identity, fingerprint: bytes, nonce: bytes) -> None:
        self._identity = identity
        self._fingerprint = fingerprint
        self._hello = Hello(
            protocol=PROTOCOL,
            world=identity.world,
            host=identity.host,
            nonce=nonce,
            join=identity.join,
            public_key=identity.public_key if identity.join is not None else None,
        )
        self._frames = FrameReader()
        self._output = bytearray(frame(self._hello))
        self._has_failed = self._has_proven = False
        self.is_welcome = False

    def receive(self, data: bytes) -> list[Welcome | Refused | Wanted | Kill | Failed]:
        """Take bytes of the daemon."""
        events: list[Welcome | Refused | Wanted | Kill | Failed] = []
        if self._has_failed:
            return events
        try:
            for body in self._frames.feed(data):
                event = self._take(decode_from_daemon(body))
                if event is not None:
                    events.append(event)
                if self._has_failed:
                    break
        except BadFrame as error:
            events.append(self._fail(str(error)))
        return events

    def report(self, report: Report) -> None:
        """Say what runs here. Raises: RuntimeError: the daemon has not welcomed us."""
        if not self.is_welcome:
            raise RuntimeError("reports go to a daemon that has welcomed us")
        self._output += frame(report)

    def to_send(self) -> bytes:
        """Return what is to be sent now."""
        data, self._output = bytes(self._output), bytearray()
        return data

    def _fail(self, reason: str) -> Failed:
        self._has_failed = True
        return Failed(reason)

    def _take(self, message: FromDaemon) -> Welcome | Refused | Wanted | Kill | Failed | None:
        match message:
            case Challenge() if (
                not self.is_welcome and not self._has_proven and self._identity.sign is not None
            ):
                self._has_proven = True
                text = signed_text(self._hello, message, self._fingerprint)
                self._output += frame(Proof(signature=self._identity.sign(text)))
                return None
            case Welcome() if not self.is_welcome:
                self.is_welcome = True
                return message
            case Refused():
                self._has_failed = True
                return message
            case Wanted() | Kill() if self.is_welcome:
                return message
        return self._fail(f"a {type(message).__name__} out of turn")
