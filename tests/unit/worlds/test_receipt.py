from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from worlds.uplink import merkle
from worlds.uplink.jws import BadToken, sign
from worlds.uplink.keys import key_pair
from worlds.uplink.receipt import (
    BATCH_TYPE,
    MAX_RECEIPT_CHARS,
    RECEIPT_TYPE,
    Receipt,
    check_receipt,
    read_receipt,
    sign_receipt,
    sign_receipts,
)

KEY, MALLORY = (key_pair(Ed25519PrivateKey.generate()) for _ in range(2))
KEYS = {KEY.kid: KEY.public}


def receipt(number: int) -> Receipt:
    digest = sha256(bytes([number % 256])).digest()
    return Receipt(
        world="lantern",
        line=UUID(int=number),
        version=number + 1,
        epoch=1_000_001,
        op_id=UUID(int=2**64 + number),
        chain=digest,
        state_hash=digest[::-1],
        at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        exchange=UUID(int=7) if number % 2 else None,
    )


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 33, 500])
def test_each_receipt_of_a_batch_is_checked_alone(count):
    receipts = [receipt(number) for number in range(count)]
    tokens = sign_receipts(KEY, receipts)
    assert [check_receipt(token, KEYS.get) for token in tokens] == receipts
    assert max(map(len, tokens)) < MAX_RECEIPT_CHARS // 2


def test_no_receipts_need_no_signature():
    assert sign_receipts(KEY, []) == []


def test_a_receipt_alone_has_the_form_it_has_always_had():
    assert sign_receipts(KEY, [receipt(1)]) == [sign_receipt(KEY, receipt(1))]
    assert "~" not in sign_receipt(KEY, receipt(1))


def test_a_leaf_is_what_would_be_signed_of_a_receipt_alone():
    receipts = [receipt(number) for number in range(4)]
    leaves = [decoded(token.split("~")[1]) for token in sign_receipts(KEY, receipts)]
    assert leaves == [decoded(sign_receipt(KEY, each).split(".")[1]) for each in receipts]


def test_the_claims_of_another_receipt_do_not_hold():
    mine, other = (token.split("~") for token in sign_receipts(KEY, [receipt(0), receipt(1)]))
    for forged in ([mine[0], other[1], mine[2]], [mine[0], mine[1], other[2]]):
        with pytest.raises(BadToken, match="not one of those"):
            check_receipt("~".join(forged), KEYS.get)


def test_a_node_of_the_tree_is_no_receipt():
    tokens = sign_receipts(KEY, [receipt(number) for number in range(4)])
    signed, _, path = tokens[0].split("~")
    node = b"".join(merkle.leaf_hash(decoded(token.split("~")[1])) for token in tokens[:2])
    upper = decoded(path)[merkle.STEP_BYTES :]
    with pytest.raises(BadToken, match="not one of those"):
        check_receipt(f"{signed}~{base64url(node)}~{base64url(upper)}", KEYS.get)


def test_what_mallory_signs_is_no_receipt():
    for token in sign_receipts(MALLORY, [receipt(0), receipt(1)]):
        with pytest.raises(BadToken, match="unknown"):
            check_receipt(token, KEYS.get)
        forged = token.replace(token.split(".")[0], sign_receipts(KEY, [receipt(0)] * 2)[0].split(".")[0])
        with pytest.raises(BadToken, match="signature"):
            check_receipt(forged, KEYS.get)


def test_a_revoked_key_ends_receipts_that_were_checked_before():
    token = sign_receipts(KEY, [receipt(0), receipt(1)])[0]
    assert check_receipt(token, KEYS.get) == receipt(0)
    with pytest.raises(BadToken, match="revoked"):
        check_receipt(token, {}.get)


def test_a_token_for_another_purpose_is_no_root():
    token = sign_receipts(KEY, [receipt(0), receipt(1)])[0]
    root = merkle.tree([b"x"])[0]
    other = sign(KEY, RECEIPT_TYPE, {"root": root})
    with pytest.raises(BadToken, match="type"):
        check_receipt("~".join([other, *token.split("~")[1:]]), KEYS.get)
    with pytest.raises(BadToken, match="type"):
        check_receipt(sign(KEY, BATCH_TYPE, {"root": root}), KEYS.get)


@pytest.mark.parametrize("path", [b"\x02" + bytes(32), bytes(32), bytes(33 * 17), b"\0"])
def test_paths_that_lead_nowhere(path):
    signed, claims, _ = sign_receipts(KEY, [receipt(0), receipt(1)])[0].split("~")
    with pytest.raises(BadToken):
        check_receipt(f"{signed}~{claims}~{base64url(path)}", KEYS.get)


def test_a_leaf_that_is_no_receipt_is_refused():
    root, paths = merkle.tree([b"{}", b"[]"])
    token = f"{sign(KEY, BATCH_TYPE, {'root': root})}~{base64url(b'{}')}~{base64url(paths[0])}"
    with pytest.raises(BadToken, match="claims"):
        check_receipt(token, KEYS.get)


@given(st.lists(st.text(alphabet="abcXYZ019-_=.~\u00e9 ", max_size=60), max_size=5))
def test_whatever_is_offered_is_a_receipt_or_a_bad_token(parts):
    with pytest.raises(BadToken):
        check_receipt("~".join(parts), KEYS.get)


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7), number=st.integers(0, 4), count=st.integers(2, 5))
def test_a_flipped_bit_never_makes_another_receipt(at, bit, number, count):
    token = sign_receipts(KEY, [receipt(each) for each in range(count)])[number % count]
    data = bytearray(token.encode())
    data[at % len(data)] ^= 1 << bit
    try:
        found = check_receipt(data.decode("latin-1"), KEYS.get)
    except BadToken:
        return
    assert found == receipt(number % count)  # base64 has spare bits, and skips what is none


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70))
def test_every_leaf_climbs_to_the_root(leaves):
    root, paths = merkle.tree(leaves)
    assert {merkle.climb(leaf, path) for leaf, path in zip(leaves, paths, strict=True)} == {root}


def test_a_changed_receipt_changes_the_root():
    receipts = [receipt(0), receipt(1)]
    changed = [receipts[0], replace(receipts[1], version=9)]
    roots = {sign_receipts(KEY, each)[0].split("~")[0] for each in (receipts, changed)}
    assert len(roots) == 2


def never(kid: str) -> None:
    raise AssertionError(kid)


def test_no_key_is_looked_up_by_a_name_that_is_none():
    with pytest.raises(BadToken):
        check_receipt(f"{base64url(b'{}')}.e30.x~e30~", never)
    with pytest.raises(BadToken, match="characters"):
        check_receipt("~" * (MAX_RECEIPT_CHARS + 1), never)


def test_what_was_checked_before_is_read_again_without_a_key():
    receipts = [receipt(number) for number in range(3)]
    assert read_receipt(sign_receipt(KEY, receipts[0])) == receipts[0]
    assert [read_receipt(token) for token in sign_receipts(KEY, receipts)] == receipts


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "~", "x~y~z", "~e30~", "a.e30.c", "💌~💌~", "a" * 5000]
)
def test_what_is_no_receipt_is_not_read(token):
    with pytest.raises(BadToken):
        read_receipt(token)
