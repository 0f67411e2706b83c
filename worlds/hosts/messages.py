"""What a host agent and a world daemon say to each other, and how it is framed.

A frame is a length (u32, big-endian, at most MAX_FRAME_BYTES) and so many bytes of MessagePack: one message.
Over a Unix socket on the daemon's own machine, over TLS 1.3 elsewhere. Pure; both sides use it.

Source: docs/protocol.md, section "Host link".
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from zonecluster.protocol.unreadable import UNREADABLE

PROTOCOL = 1
MAX_FRAME_BYTES = 64 * 1024
LENGTH_BYTES = 4
MAX_CLUSTERS = 256  # of one host
MAX_PROCESSES = 16

NONCE_BYTES = 32
SECRET_BYTES = 32

Slug = Annotated[str, Meta(max_length=40, pattern=r"^[a-z0-9-]*$")]
ClusterName = Annotated[str, Meta(min_length=1, max_length=24, pattern=r"^[a-z0-9-]+$")]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Text = Annotated[str, Meta(max_length=400)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Run = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # one life of a cluster's process: its incarnation on the bus
Generation = Annotated[int, Meta(ge=0, le=2**53)]  # a higher one is a restart
RunState = Literal["starting", "ready", "waiting", "stopping"]


class HostMessage(Struct, frozen=True, tag_field="t"):
    """Anything on the host link."""


# ---------------------------------------------------------------- agent → daemon


class Hello(HostMessage):
    """The first message. `host`: "" on the daemon's own machine; who joins does not know its name yet.

    Who joins says the secret of its join code and the Ed25519 key that it will have from now on.
    """

    protocol: Count
    world: Slug
    host: Slug
    nonce: Bytes32
    join: Bytes32 | None = None
    public_key: Bytes32 | None = None


class Proof(HostMessage):
    """An Ed25519 signature over `signed_text` (worlds/hosts/handshake.py)."""

    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


class ClusterRun(Struct, frozen=True):
    """A cluster on this host. `reason`: why its last process ended; `deaths`: how often, since it was
    stable."""

    name: ClusterName
    generation: Generation
    state: RunState
    run: Run
    pid: Count = 0
    deaths: Count = 0
    reason: Text = ""


class ProcessRun(Struct, frozen=True):
    """Another process that the supervisor of the daemon's own machine runs, as the gateway."""

    name: ClusterName
    generation: Generation
    state: RunState


class Report(HostMessage):
    """What runs here, and what the machine has: once a second, and at once when something changed."""

    clusters: Annotated[list[ClusterRun], Meta(max_length=MAX_CLUSTERS)]
    cores: Annotated[float, Meta(ge=0, le=65536)]
    memory_mb: Count
    free_memory_mb: Count = 0
    load: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    processes: Annotated[list[ProcessRun], Meta(max_length=MAX_PROCESSES)] = []


# ---------------------------------------------------------------- daemon → agent


class Challenge(HostMessage):
    """Answer to a Hello that names a host, or joins."""

    nonce: Bytes32


class Welcome(HostMessage):
    """The daemon knows the agent: as this host of this world."""

    world: Slug
    host: Slug


class Refused(HostMessage):
    """The daemon will have nothing to do with this agent. `is_final`: its clusters here are to end."""

    reason: Text
    advice: Text
    is_final: bool = False


class Wanted(HostMessage):
    """All clusters that shall run on this host, each with its generation; what is not named is to end.

    At once when it changes, and every 2 s. `processes`: of those that run anyway, which generation shall run.
    """

    clusters: Annotated[dict[ClusterName, Generation], Meta(max_length=MAX_CLUSTERS)]
    processes: Annotated[dict[ClusterName, Generation], Meta(max_length=MAX_PROCESSES)] = {}


class Kill(HostMessage):
    """This run of a cluster lives, but does nothing any more: kill it; it is started again as one that
    died."""

    cluster: ClusterName
    run: Run


FromAgent = Hello | Proof | Report
FromDaemon = Challenge | Welcome | Refused | Wanted | Kill
encoder = msgspec.msgpack.Encoder()
_agent_decoder = msgspec.msgpack.Decoder(FromAgent)
_daemon_decoder = msgspec.msgpack.Decoder(FromDaemon)


class BadFrame(ValueError):
    """The other side speaks something else."""


def frame(message: HostMessage) -> bytes:
    """Return a message as it goes over the wire. Raises: ValueError: it is too long."""
    body = encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a {type(message).__name__} of {len(body)} bytes is too long")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_from_agent(body: bytes) -> FromAgent:
    """Return what an agent says. Raises: BadFrame."""
    try:
        return _agent_decoder.decode(body)
    except UNREADABLE as error:
        raise BadFrame(f"no message of a host agent: {error}") from error


def decode_from_daemon(body: bytes) -> FromDaemon:
    """Return what a daemon says. Raises: BadFrame."""
    try:
        return _daemon_decoder.decode(body)
    except UNREADABLE as error:
        raise BadFrame(f"no message of a world daemon: {error}") from error


class FrameReader:
    """Cuts a stream of bytes into frames. Keeps one unfinished frame at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived; return the bodies that are whole now.

        Raises: BadFrame: a frame says that it is longer than MAX_FRAME_BYTES, or empty.
        """
        self._buffer += data
        bodies = []
        while len(self._buffer) >= LENGTH_BYTES:
            size = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if not 0 < size <= MAX_FRAME_BYTES:
                raise BadFrame(f"a frame of {size} bytes")
            if len(self._buffer) < LENGTH_BYTES + size:
                break
            bodies.append(bytes(self._buffer[LENGTH_BYTES : LENGTH_BYTES + size]))
            del self._buffer[: LENGTH_BYTES + size]
        return bodies
