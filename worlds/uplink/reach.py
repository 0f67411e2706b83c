"""The question whether a world can be reached, and its answer: signed by the master, and by the world. Pure.

The master says Hello on the published gateway with a token of its own where a player has a ticket. It lets
nobody in: the world daemon, and nobody else, answers it with the same nonce, signed by the world's key. So
the answer has come all the way, and it is that world's.
"""

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from worlds.uplink.jws import BadToken, parse_claims, sign, verify
from worlds.uplink.keys import KeyPair

QUESTION_TYPE = "waystone-reach+jwt"
ANSWER_TYPE = "waystone-reached+jwt"
LIFETIME_S = 60
LEEWAY_S = 30  # how far the clocks of world and master may differ

KeyOf = Callable[[str], Ed25519PublicKey | None]


class Question(Struct, frozen=True):
    """The master's claims. `aud`: the world's slug; `exp`: Unix seconds."""

    aud: str
    nonce: str
    exp: int


class Answer(Struct, frozen=True):
    """The world's claims. `iss`: its slug; `nonce`: the question's."""

    iss: str
    nonce: str


def ask(key: KeyPair, *, world: str, nonce: str, now: datetime) -> str:
    """Return the token that asks a world whether it is there. Args: key: the master's."""
    claims = {"aud": world, "nonce": nonce, "exp": int(now.timestamp()) + LIFETIME_S}
    return sign(key, QUESTION_TYPE, claims)


def answer(token: str, master_key_of: KeyOf, key: KeyPair, *, world: str, now: datetime) -> str:
    """Return the world's answer to a question of any origin; empty if it is none of the master's to it."""
    try:
        payload, _ = verify(token, QUESTION_TYPE, master_key_of)
        question = parse_claims(payload, Question)
    except BadToken:
        return ""
    if question.aud != world or now.timestamp() >= question.exp + LEEWAY_S:
        return ""
    return sign(key, ANSWER_TYPE, {"iss": world, "nonce": question.nonce})


def check_answer(token: str, world_key_of: KeyOf, *, world: str, nonce: str) -> None:
    """Check that this is the answer of that world to that question.

    Args: world_key_of: the public key of a kid, if it is one of that world's.
    Raises: BadToken: it is not; says why.
    """
    payload, _ = verify(token, ANSWER_TYPE, world_key_of)
    claims = parse_claims(payload, Answer)
    if (claims.iss, claims.nonce) != (world, nonce):
        raise BadToken("the answer is another world's, or to another question")
