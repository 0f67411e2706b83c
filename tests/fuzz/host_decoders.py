"""The host link under fuzz: what a stranger says to the daemon's door, what a daemon says to an agent, join
codes.

A case is a stream of bytes, frames and all. Nonces and keys are fixed, so a proof that was good once is good
again.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fuzz.decoder import Decoder
from worlds.hosts.handshake import (
    AgentSide,
    BadCode,
    Claimed,
    DaemonSide,
    Failed,
    Identity,
    JoinCode,
    read_code,
)
from worlds.hosts.messages import (
    Challenge,
    ClusterRun,
    Kill,
    Refused,
    Report,
    Wanted,
    Welcome,
    frame,
)
from worlds.uplink.keys import key_pair

KEY = key_pair(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
PIN = b"p" * 32
IDENTITY = Identity("demo", "second", KEY.private.sign)
JOINING = Identity("demo", "", KEY.private.sign, KEY.public_bytes, b"s" * 32)
CODE = JoinCode("demo", "127.0.0.1:8470", PIN, b"s" * 32)


def to_the_door() -> Callable[[bytes], bool]:
    """Return what hears a stream as the door does, and welcomes whoever has the key."""

    def take(case: bytes) -> bool:
        side = DaemonSide("demo", PIN, b"d" * 32, is_own_machine=False)
        is_taken = False
        for start in range(0, len(case), 97):  # as it may come: in pieces
            for event in side.receive(case[start : start + 97]):
                assert not (isinstance(event, Report) and side.host is None)
                if isinstance(event, Claimed) and event.is_proven(KEY.public_bytes):
                    side.welcome("second")
                    is_taken = True
                elif isinstance(event, Claimed):
                    side.refuse("This is not the key.", is_final=True)
        side.to_send()
        return is_taken and not side.has_failed

    return take


def streams_to_the_door() -> dict[str, bytes]:
    """Return what an agent says to a daemon."""
    streams = {}
    run = ClusterRun(name="east", generation=3, state="waiting", run=2**62, deaths=2, reason="exit code 1")
    for name, identity in (("known", IDENTITY), ("joining", JOINING)):
        side = AgentSide(identity, PIN, b"a" * 32)
        said = side.to_send()
        side.receive(frame(Challenge(nonce=b"d" * 32)))
        said += side.to_send()
        side.receive(frame(Welcome(world="demo", host="second")))
        side.report(Report(clusters=[run], cores=2.0, memory_mb=4096))
        streams[name] = said + side.to_send()
    return streams


def to_the_agent() -> Callable[[bytes], bool]:
    """Return what hears a stream as an agent does."""

    def take(case: bytes) -> bool:
        side = AgentSide(IDENTITY, PIN, b"a" * 32)
        events = []
        for start in range(0, len(case), 97):
            events += side.receive(case[start : start + 97])
        is_welcome = False
        for event in events:
            assert is_welcome or not isinstance(event, Wanted | Kill)
            is_welcome = is_welcome or isinstance(event, Welcome)
        side.to_send()
        return bool(events) and not isinstance(events[-1], Failed)

    return take


def streams_to_the_agent() -> dict[str, bytes]:
    """Return what a daemon says to an agent."""
    challenge = frame(Challenge(nonce=b"d" * 32))
    orders = (
        Wanted(clusters={"east": 2**53, "west": 0}, processes={"gateway": 1}),
        Kill(cluster="east", run=7),
    )
    welcome = frame(Welcome(world="demo", host="second"))
    return {
        "orders": challenge + welcome + b"".join(frame(order) for order in orders),
        "refused": challenge + frame(Refused(reason="Revoked.", advice="Join again.", is_final=True)),
    }


def join_codes() -> Callable[[bytes], bool]:
    """Return what reads a join code as the agent's command line does."""

    def take(case: bytes) -> bool:
        try:
            code = read_code(case.decode(errors="replace"))
        except BadCode:
            return False
        assert len(code.secret) == len(code.fingerprint) == 32
        return True

    return take


MODULES = ("worlds.hosts.handshake", "worlds.hosts.messages")
HOST_DECODERS = (
    Decoder("host-link-to-door", to_the_door, streams_to_the_door, MODULES),
    Decoder("host-link-to-agent", to_the_agent, streams_to_the_agent, MODULES),
    Decoder("host-join-code", join_codes, lambda: {"code": CODE.text().encode()}, MODULES),
)
