"""The state machine of one world link: frames in, effects out, no I/O."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waystone.gateway.limits import Limits, TokenBucket
from waystone.gateway.link import (
    CLOSE_POLICY,
    Close,
    ForCluster,
    ForDaemon,
    LinkCore,
    Phase,
    Reply,
)
from zonecluster.protocol.from_client import MAX_FRAME_BYTES, Enter, Hello, Logout, Say
from zonecluster.protocol.to_client import Entered, Goodbye, Pong, Refused, Welcome

SESSION = UUID(int=7)
CHARACTER = UUID(int=9)
TICKET = "t" * 40
WELCOME = Welcome("demo", [], "free", "", "resume-token-of-alice")


def frame(kind: str, **fields: object) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode()


def hello() -> str:
    return frame("hello", protocol_version=1, ticket=TICKET)


def welcomed(limits: Limits | None = None) -> LinkCore:
    core = LinkCore(0.0, limits or Limits())
    core.receive(hello(), 0.0)
    core.passes(WELCOME, 0.0)
    return core


def refusal(effects: list) -> Refused:
    assert isinstance(effects[0], Reply) and isinstance(effects[0].message, Refused), effects
    return effects[0].message


def test_ping_is_answered_at_once_in_any_phase() -> None:
    core = LinkCore(0.0, Limits())
    assert core.receive(frame("ping", seq=5), 0.0) == [Reply(Pong(5))]
    assert core.phase is Phase.NEW


def test_hello_goes_to_the_daemon_and_welcome_opens_the_link() -> None:
    core = LinkCore(0.0, Limits())
    effects = core.receive(hello(), 0.0)
    assert effects == [ForDaemon(Hello(1, ticket=TICKET))]
    assert core.phase is Phase.ASKED
    core.passes(WELCOME, 1.0)
    assert core.phase is Phase.WELCOMED
    assert core.receive(frame("enter", character=str(CHARACTER)), 1.0) == [ForDaemon(Enter(CHARACTER))]


@pytest.mark.parametrize(
    "text",
    [
        frame("enter", character=str(CHARACTER)),
        frame("logout"),
        frame("zone_token_request"),
        frame("say", seq=1, text="hi"),
    ],
)
def test_nothing_but_hello_passes_before_welcome(text: str) -> None:
    core = LinkCore(0.0, Limits())
    assert refusal(core.receive(text, 0.0)).code == "not_now"
    core.receive(hello(), 0.0)
    assert refusal(core.receive(text, 0.0)).code == "not_now"


def test_a_refused_hello_may_be_followed_by_another() -> None:
    core = LinkCore(0.0, Limits())
    core.receive(hello(), 0.0)
    assert refusal(core.receive(hello(), 0.1)).code == "not_now"
    core.passes(Refused("ticket_used", "used", "get another"), 0.2)
    assert core.receive(hello(), 0.3) == [ForDaemon(Hello(1, ticket=TICKET))]


def test_commands_follow_the_route() -> None:
    core = welcomed()
    say = frame("say", seq=3, text="hi")
    answer = refusal(core.receive(say, 1.0))
    assert (answer.code, answer.seq) == ("not_now", 3)
    core.route(SESSION, "east")
    assert core.receive(say, 1.0) == [ForCluster("east", SESSION, Say(3, "hi"))]
    core.route(SESSION, "")
    assert refusal(core.receive(say, 1.0)).code == "not_now"
    core.route(SESSION, "west")
    core.passes(Goodbye("bye", True), 2.0)
    assert refusal(core.receive(say, 2.0)).code == "not_now"


def test_logout_passes_while_an_enter_is_being_answered() -> None:
    core = welcomed()
    core.receive(frame("enter", character=str(CHARACTER)), 1.0)
    assert refusal(core.receive(frame("enter", character=str(CHARACTER)), 1.1)).code == "not_now"
    assert core.receive(frame("logout"), 1.2) == [ForDaemon(Logout())]
    core.passes(Entered(CHARACTER, "Alice", "main"), 1.3)
    assert core.receive(frame("enter", character=str(CHARACTER)), 1.4) == [ForDaemon(Enter(CHARACTER))]


def test_no_hello_in_time_closes_the_link() -> None:
    core = LinkCore(100.0, Limits(hello_s=10))
    assert core.handle_timeout(109.9) == []
    effects = core.handle_timeout(110.0)
    assert refusal(effects).code == "not_now" and effects[1] == Close(CLOSE_POLICY)


def test_pings_do_not_keep_a_silent_link_open() -> None:
    core = LinkCore(0.0, Limits(hello_s=10))
    core.receive(frame("ping", seq=1), 9.0)
    assert Close(CLOSE_POLICY) in core.handle_timeout(10.0)


def test_a_daemon_that_does_not_answer_is_told_and_asked_again() -> None:
    core = LinkCore(0.0, Limits(answer_s=10))
    core.receive(hello(), 0.0)
    assert core.handle_timeout(9.9) == []
    assert refusal(core.handle_timeout(10.0)).code == "world_unavailable"
    assert core.handle_timeout(10.1) == []
    assert core.receive(hello(), 10.2) == [ForDaemon(Hello(1, ticket=TICKET))]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "nonsense",
        "[]",
        '{"type":"warp"}',
        '{"type":"say","seq":-1,"text":"x"}',
        '{"type":"say","seq":1,"text":""}',
        '{"type":"say","seq":1,"text":"' + "x" * 401 + '"}',
        '{"type":"hello","protocol_version":1,"ticket":"short"}',
        '{"type":"hello","protocol_version":-1,"ticket":"' + TICKET + '"}',
        '{"type":"hello","protocol_version":1' + "0" * 30 + ',"ticket":"' + TICKET + '"}',
        '{"type":"enter","character":"not a uuid"}',
        "[" * 5000,
        b"",
        b"\xc1",
        b"\xff" * 100,
        "x" * (MAX_FRAME_BYTES + 1),
        b"x" * (MAX_FRAME_BYTES + 1),
    ],
)
def test_bad_frames_are_refused_with_advice(bad: str | bytes) -> None:
    answer = refusal(LinkCore(0.0, Limits()).receive(bad, 0.0))
    assert answer.code == "bad_frame"
    assert answer.reason and answer.advice


def test_repeated_bad_frames_close_the_link() -> None:
    core = LinkCore(0.0, Limits(max_offences=5))
    for _ in range(4):
        assert Close(CLOSE_POLICY) not in core.receive("nonsense", 0.0)
    assert Close(CLOSE_POLICY) in core.receive("nonsense", 0.0)


def test_more_than_the_rate_is_refused_and_a_flood_closes_the_link() -> None:
    core = welcomed(Limits(rate=30, burst=60, max_excess=120))
    answers = [core.receive(frame("ping", seq=number), 0.0) for number in range(59)]
    assert all(isinstance(answer[0].message, Pong) for answer in answers)
    answer = refusal(core.receive(frame("say", seq=77, text="x"), 0.0))
    assert (answer.code, answer.seq) == ("too_fast", 77)
    assert isinstance(core.receive(frame("ping", seq=1), 0.1)[0].message, Pong)
    for _ in range(2):
        core.receive(frame("ping", seq=1), 0.1)
    flood = [core.receive(frame("ping", seq=1), 0.1) for _ in range(120)]
    assert Close(CLOSE_POLICY) in flood[-1]


def test_answers_come_in_the_kind_the_client_used() -> None:
    core = LinkCore(0.0, Limits())
    assert not core.is_binary
    core.receive(msgspec.msgpack.encode({"type": "ping", "seq": 1}), 0.0)
    assert core.is_binary
    core.receive(frame("ping", seq=1), 0.0)
    assert not core.is_binary


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
@settings(max_examples=300, deadline=None)
def test_no_frame_raises(data: str | bytes) -> None:
    effects = welcomed().receive(data, 1.0)
    assert effects and all(isinstance(effect, Reply | ForDaemon | ForCluster | Close) for effect in effects)


def test_token_bucket_refills_with_time_and_not_beyond_its_burst() -> None:
    bucket = TokenBucket(rate=2, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.5)
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(999.0), "time that goes back gives nothing"
