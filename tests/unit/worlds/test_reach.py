"""The signed question whether a world is there, and its answer: by the right world, to the right question."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from worlds.uplink.jws import BadToken, sign
from worlds.uplink.keys import KeyPair, key_pair
from worlds.uplink.reach import QUESTION_TYPE, answer, ask, check_answer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _pair(number: int) -> KeyPair:
    return key_pair(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


MASTER, WORLD, MALLORY = _pair(1), _pair(2), _pair(3)
KEYS = {pair.kid: pair.public for pair in (MASTER,)}
WORLD_KEYS = {WORLD.kid: WORLD.public}


def _answer(token: str, now: datetime = NOW) -> str:
    return answer(token, KEYS.get, WORLD, world="north", now=now)


def test_the_world_answers_the_master() -> None:
    said = _answer(ask(MASTER, world="north", nonce="n1", now=NOW))
    check_answer(said, WORLD_KEYS.get, world="north", nonce="n1")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no token",
        ask(MALLORY, world="north", nonce="n", now=NOW),
        ask(MASTER, world="south", nonce="n", now=NOW),
        ask(MASTER, world="north", nonce="n", now=NOW - timedelta(minutes=5)),
        sign(MASTER, "waystone-ticket+jwt", {"aud": "north", "nonce": "n", "exp": 2**40}),
        sign(MASTER, QUESTION_TYPE, {"aud": "north"}),
    ],
)
def test_nothing_else_is_answered(token: str) -> None:
    assert _answer(token) == ""


def test_answers_of_others_and_to_other_questions_count_for_nothing() -> None:
    said = _answer(ask(MASTER, world="north", nonce="n1", now=NOW))
    for world, nonce in (("north", "n2"), ("south", "n1")):
        with pytest.raises(BadToken):
            check_answer(said, WORLD_KEYS.get, world=world, nonce=nonce)
    forged = answer(
        ask(MASTER, world="north", nonce="n1", now=NOW), KEYS.get, MALLORY, world="north", now=NOW
    )
    with pytest.raises(BadToken):
        check_answer(forged, WORLD_KEYS.get, world="north", nonce="n1")
