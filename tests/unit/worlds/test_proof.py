"""The uplink proof, and every way to get it wrong."""

import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from worlds.uplink import proof
from worlds.uplink.base64url import decode_base64url, encode_base64url
from worlds.uplink.jws import sign
from worlds.uplink.keys import (
    UnusableKey,
    key_pair,
    load_key,
    load_or_create_world_key,
    public_bytes,
    thumbprint,
    write_key,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PATH = "/api/v1/uplink/save/"
BODY = b'{"saves":[]}'
ALICE = key_pair(Ed25519PrivateKey.generate())
MALLORY = key_pair(Ed25519PrivateKey.generate())


def key_of(kid):
    return ALICE.public if kid == ALICE.kid else None


def claims(**changes):
    issued = int(NOW.timestamp())
    good = {
        "iss": "demo", "aud": proof.AUDIENCE, "iat": issued, "exp": issued + 60, "jti": "one",
        "htm": "POST", "htu": PATH, "bsh": proof.hash_body(BODY),
    }  # fmt: skip
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def check(token, **changes):
    given = {"method": "POST", "path": PATH, "body": BODY, "now": NOW, **changes}
    return proof.check_request(token, key_of, **given)


def test_a_signed_request_is_accepted():
    token = proof.sign_request(ALICE, "demo", "POST", PATH, BODY, NOW)
    found = check(token)
    assert (found.world, found.kid) == ("demo", ALICE.kid)


@pytest.mark.parametrize("seconds", [-29, 0, 89])
def test_clocks_may_differ_a_little(seconds):
    token = proof.sign_request(ALICE, "demo", "POST", PATH, BODY, NOW)
    assert check(token, now=NOW + timedelta(seconds=seconds)).world == "demo"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"now": NOW + timedelta(seconds=90)}, "expired"),
        ({"now": NOW - timedelta(seconds=31)}, "future"),
        ({"method": "GET"}, "not for GET"),
        ({"path": "/api/v1/uplink/release/"}, "not for POST /api/v1/uplink/release/"),
        ({"body": BODY + b" "}, "body"),
    ],
)
def test_a_proof_fits_only_its_own_request(changes, said):
    token = proof.sign_request(ALICE, "demo", "POST", PATH, BODY, NOW)
    with pytest.raises(proof.BadProof, match=said):
        check(token, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "waystone-ticket"}, "audience"),
        ({"exp": int(NOW.timestamp()) + 61}, "at most 60 s"),
        ({"exp": int(NOW.timestamp())}, "at most 60 s"),
        ({"exp": None}, "claims"),
        ({"iss": None}, "claims"),
        ({"iat": "now"}, "claims"),
        ({"bsh": None}, "claims"),
    ],
)
def test_wrong_claims_are_refused(changes, said):
    with pytest.raises(proof.BadProof, match=said):
        check(sign(ALICE, proof.PROOF_TYPE, claims(**changes)))


def confused_token():
    """HS256 with the PEM of the public key as the secret; by hand, since PyJWT refuses to make one."""
    pem = ALICE.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": proof.PROOF_TYPE, "kid": ALICE.kid}
    signed = ".".join(encode_base64url(json.dumps(part).encode()) for part in (header, claims()))
    return f"{signed}.{encode_base64url(hmac.digest(pem, signed.encode(), 'sha256'))}"


def test_forged_proofs_are_refused():
    header = {"typ": proof.PROOF_TYPE, "kid": ALICE.kid}
    good = proof.sign_request(ALICE, "demo", "POST", PATH, BODY, NOW)
    head, body, signature = good.split(".")
    forged = {
        "another key": jwt.encode(claims(), MALLORY.private, algorithm="EdDSA", headers=header),
        "an unknown kid": proof.sign_request(MALLORY, "demo", "POST", PATH, BODY, NOW),
        "no kid": jwt.encode(claims(), ALICE.private, algorithm="EdDSA", headers={"typ": proof.PROOF_TYPE}),
        "no signature": jwt.encode(claims(), "", algorithm="none", headers=header),
        "the public key as a shared secret": confused_token(),
        "another type": sign(ALICE, "waystone-ticket+jwt", claims()),
        "a cut signature": good[:-4],
        "a changed payload": f"{head}.{body[:-2]}AA.{signature}",
        "nothing": "",
        "dots": "..",
        "not ASCII": "ä.ö.ü",
        "too long": "a" * 5000,
        "a head that nests deep": f"{encode_base64url(b'[' * 2500)}.{body}.{signature}",
        "a lone surrogate": "\ud800.x.y",
    }
    for name, token in forged.items():
        with pytest.raises(proof.BadProof):
            check(token)
            pytest.fail(f"accepted a proof with {name}")


@pytest.mark.parametrize(
    "kid",
    [
        "\x00",
        "\ud800",
        pytest.param("a" * 4000, id="long"),
        "' OR 1=1 --",
        pytest.param(ALICE.kid + "\n", id="a line feed behind"),
        5,
        None,
        ["x"],
    ],
)
def test_a_kid_that_is_no_thumbprint_is_never_looked_up(kid):
    header = {"alg": "EdDSA", "typ": proof.PROOF_TYPE, "kid": kid}
    head, payload = (encode_base64url(json.dumps(part).encode()) for part in (header, claims()))
    with pytest.raises(proof.BadProof):
        proof.check_head(f"{head}.{payload}.AAAA", pytest.fail, method="POST", path=PATH, now=NOW)


def test_the_thumbprint_is_the_one_of_the_rfc():
    # RFC 8037, appendix A.3: the key of A.2 and its thumbprint.
    public = decode_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    private = decode_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    assert public_bytes(key) == public
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_world_key_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "keys" / "world-demo.pem"
    first = load_or_create_world_key(path)
    again = load_or_create_world_key(path)
    assert first.public_bytes == again.public_bytes
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["world-demo.pem"]


def test_a_key_file_is_never_overwritten(tmp_path):
    path = tmp_path / "key.pem"
    assert write_key(path, ALICE.private)
    assert not write_key(path, MALLORY.private)
    assert load_key(path).kid == ALICE.kid


def test_a_bad_key_file_is_named(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("hello")
    with pytest.raises(UnusableKey, match="key.pem"):
        load_or_create_world_key(path)
    with pytest.raises(UnusableKey, match="missing.pem"):
        load_key(tmp_path / "missing.pem")
