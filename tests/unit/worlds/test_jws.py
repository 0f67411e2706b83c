from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from jwt.api_jws import PyJWS

from worlds.uplink.jws import sign, verify
from worlds.uplink.keys import key_pair

KEY = key_pair(Ed25519PrivateKey.generate())
KIND = "waystone-receipt+jwt"


@given(claims=st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text(), max_size=8))
def test_our_tokens_are_those_of_the_library_byte_for_byte(claims):
    token = sign(KEY, KIND, claims)
    payload, kid = verify(token, KIND, lambda kid: KEY.public)
    assert kid == KEY.kid
    headers = {"typ": KIND, "kid": KEY.kid}
    assert token == PyJWS(algorithms=["EdDSA"]).encode(
        payload, KEY.private, algorithm="EdDSA", headers=headers
    )
