"""Agent and daemon come to trust each other, or do not; both sides as machines, no socket."""

from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from worlds.hosts.handshake import (
    AgentSide,
    BadCode,
    Claimed,
    DaemonSide,
    Failed,
    Identity,
    JoinCode,
    digest_of,
    read_code,
)
from worlds.hosts.messages import (
    Challenge,
    Hello,
    Kill,
    Proof,
    Refused,
    Report,
    Wanted,
    Welcome,
    frame,
)
from worlds.uplink.keys import key_pair

ALICE, MALLORY = (key_pair(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2))
PIN = b"p" * 32
REPORT = Report(clusters=[], cores=2.0, memory_mb=4096)
SECOND = Identity("demo", "second", ALICE.private.sign)


def daemon(**changes) -> DaemonSide:
    return DaemonSide(
        "demo", changes.pop("pin", PIN), b"d" * 32, is_own_machine=changes.pop("is_own_machine", False)
    )


def agent(identity: Identity = SECOND, pin: bytes = PIN) -> AgentSide:
    return AgentSide(identity, pin, b"a" * 32)


def claim_of(side: AgentSide, door: DaemonSide) -> Claimed | Failed:
    """Let both talk until the daemon knows what the agent claims."""
    (first,) = door.receive(side.to_send()) or (None,)
    if first is not None:
        return first
    assert side.receive(door.to_send()) == []
    (event,) = door.receive(side.to_send())
    return event


def refusal_of(side: AgentSide, door: DaemonSide) -> Refused:
    (event,) = side.receive(door.to_send())
    assert isinstance(event, Refused)
    return event


def joined() -> tuple[AgentSide, DaemonSide]:
    side, door = agent(), daemon()
    claim_of(side, door)
    door.welcome("second")
    assert side.receive(door.to_send()) == [Welcome(world="demo", host="second")]
    return side, door


def test_an_agent_proves_its_key_and_both_talk():
    side, door = agent(), daemon()
    claim = claim_of(side, door)
    assert claim.hello.host == "second" and claim.is_proven(ALICE.public_bytes)
    door.welcome("second")
    door.tell(Wanted(clusters={"east": 1}))
    door.tell(Kill(cluster="east", run=5))
    heard = side.receive(door.to_send())
    assert heard == [
        Welcome(world="demo", host="second"),
        Wanted(clusters={"east": 1}),
        Kill(cluster="east", run=5),
    ]
    side.report(REPORT)
    assert door.receive(side.to_send()) == [REPORT]


def test_another_key_proves_nothing():
    claim = claim_of(agent(replace(SECOND, sign=MALLORY.private.sign)), daemon())
    assert (
        not claim.is_proven(ALICE.public_bytes)
        and not claim.is_proven(None)
        and not claim.is_proven(b"short")
    )


def test_a_proof_is_good_for_one_daemon_one_connection_and_one_host():
    """Each is signed: certificate, both nonces, world and name."""
    claim = claim_of(agent(), daemon())
    for other in (
        claim_of(agent(), daemon(pin=b"q" * 32)),
        claim_of(AgentSide(SECOND, PIN, b"b" * 32), daemon()),
        claim_of(agent(replace(SECOND, host="third")), daemon()),
    ):
        assert not replace(other, signature=claim.signature).is_proven(ALICE.public_bytes)
    later = DaemonSide("demo", PIN, b"e" * 32, is_own_machine=False)
    later.receive(agent().to_send())
    (replayed,) = later.receive(frame(Proof(signature=claim.signature)))
    assert not replayed.is_proven(ALICE.public_bytes)


def test_an_agent_that_was_told_another_certificate_signs_for_that_one():
    claim = claim_of(agent(pin=b"q" * 32), daemon())
    assert not claim.is_proven(ALICE.public_bytes), "somebody in the middle passed the frames on"


def test_who_joins_says_secret_and_key_and_proves_the_key():
    identity = Identity("demo", "", ALICE.private.sign, ALICE.public_bytes, b"s" * 32)
    claim = claim_of(agent(identity), daemon())
    assert (claim.hello.join, claim.hello.public_key) == (b"s" * 32, ALICE.public_bytes)
    assert claim.is_proven(ALICE.public_bytes)
    borrowed = claim_of(agent(replace(identity, sign=MALLORY.private.sign)), daemon())
    assert not borrowed.is_proven(borrowed.hello.public_key)


def test_on_its_own_machine_nothing_is_proven_and_no_other_host_comes():
    side, door = agent(Identity("demo")), daemon(is_own_machine=True)
    assert isinstance(claim_of(side, door), Claimed)
    door.welcome("")
    assert side.receive(door.to_send()) == [Welcome(world="demo", host="")]
    stranger, door = agent(), daemon(is_own_machine=True)
    assert isinstance(claim_of(stranger, door), Failed)
    assert "by TCP" in refusal_of(stranger, door).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"world": "other"}, "world daemon of demo, not of other"),
        ({"protocol": 99}, "version 99"),
        ({"host": ""}, "neither which host"),
        ({"host": "", "join": b"s" * 32}, "neither which host"),
    ],
)
def test_an_agent_that_is_wrong_here_is_told_why(change, words):
    side, door = agent(), daemon()
    hello = msgspec.structs.replace(side._hello, **change)
    (failed,) = door.receive(frame(hello))
    assert words in failed.reason and words in refusal_of(side, door).reason
    assert door.receive(frame(hello)) == [], "it listens no more"


def test_a_refusal_may_be_final():
    side, door = agent(), daemon()
    claim_of(side, door)
    door.refuse("Revoked.", "Join again.", is_final=True)
    assert refusal_of(side, door) == Refused(reason="Revoked.", advice="Join again.", is_final=True)
    assert side.receive(frame(Wanted(clusters={"east": 1}))) == []


HELLO = Hello(protocol=1, world="demo", host="second", nonce=b"a" * 32)
OUT_OF_TURN_TO_DAEMON = {
    "proof first": [Proof(signature=b"x" * 64)],
    "report first": [REPORT],
    "two hellos": [HELLO, HELLO],
    "report before the proof": [HELLO, REPORT],
    "two proofs": [HELLO, Proof(signature=b"x" * 64), Proof(signature=b"x" * 64)],
    "report before the welcome": [HELLO, Proof(signature=b"x" * 64), REPORT],
}


@pytest.mark.parametrize("case", OUT_OF_TURN_TO_DAEMON)
def test_a_daemon_ends_a_link_on_which_things_come_out_of_turn(case):
    events = daemon().receive(b"".join(frame(message) for message in OUT_OF_TURN_TO_DAEMON[case]))
    assert isinstance(events[-1], Failed) and "out of turn" in events[-1].reason
    assert not any(isinstance(event, Report) for event in events)


@pytest.mark.parametrize(
    "messages",
    [
        [Wanted(clusters={"east": 1})],
        [Kill(cluster="east", run=1)],
        [Challenge(nonce=b"d" * 32), Challenge(nonce=b"e" * 32)],
        [Welcome(world="demo", host="second"), Welcome(world="demo", host="second")],
    ],
)
def test_an_agent_obeys_nobody_out_of_turn(messages):
    events = agent().receive(b"".join(frame(message) for message in messages))
    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, Wanted | Kill) for event in events)


def test_rubbish_ends_a_link_on_either_side():
    for side in joined():
        (event,) = side.receive(b"\0\0\0\1\xc1")
        assert isinstance(event, Failed)
        assert side.receive(frame(Wanted(clusters={}))) == []


def test_misuse_by_our_own_code_raises():
    with pytest.raises(RuntimeError):
        daemon().tell(Wanted(clusters={}))
    with pytest.raises(RuntimeError):
        agent().report(REPORT)


CODE = JoinCode("demo", "[2001:db8::1]:8470", PIN, b"s" * 32)


def test_a_join_code_is_one_word_and_reads_back():
    text = CODE.text()
    assert read_code(f"  {text}\n") == CODE and len(text.split()) == 1 and len(text) < 250
    assert digest_of(CODE.secret).hex() not in text


@pytest.mark.parametrize(
    "text", ["", "hello", CODE.text()[:-4], CODE.text()[5:], "wsh1-", "wsh1-" + "A" * 9999, "wsh1-é"]
)
def test_half_a_join_code_is_refused_with_what_to_do(text):
    with pytest.raises(BadCode, match="admin"):
        read_code(text)
