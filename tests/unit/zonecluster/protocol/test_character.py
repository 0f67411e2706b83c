"""Documents with things in them: an id is there once, for one thing; hostile ones are refused."""

from uuid import UUID

import msgspec
import pytest

from zonecluster.protocol.character import (
    MAX_STATE_BYTES,
    CharacterState,
    InvalidState,
    Item,
    canonical_state,
    decode_state,
    encode_state,
)

CROWN = UUID(int=7)


def raw(**bags: list[Item]) -> bytes:
    return msgspec.json.encode(CharacterState(bags=bags))


@pytest.mark.parametrize("bags", [("inventory", "inventory"), ("inventory", "bank"), ("worn:head", "pocket")])
def test_an_id_is_in_a_document_once(bags):
    document = {"bags": {name: [] for name in bags}}
    for name in bags:
        document["bags"][name].append({"kind": "crown", "id": str(CROWN)})
    with pytest.raises(InvalidState, match=f"has the item {CROWN} twice"):
        canonical_state(document)


def test_a_thing_with_an_id_is_one():
    with pytest.raises(InvalidState, match=r"bags\.bank: the item .* has a count of 3"):
        decode_state(raw(bank=[Item("crown", 3, CROWN)]))
    assert decode_state(raw(bank=[Item("crown", 1, CROWN), Item("crown", 1, UUID(int=8))])).bags["bank"]


@pytest.mark.parametrize("count", [-1, 0, 1_000_001, 1.5, "1", None])
def test_counts_that_are_none(count):
    with pytest.raises(InvalidState, match=r"bags"):
        canonical_state({"bags": {"inventory": [{"kind": "bread", "count": count}]}})


@pytest.mark.parametrize("money", [-1, 2**53, 0.5])
def test_money_that_is_none(money):
    with pytest.raises(InvalidState, match="money"):
        canonical_state({"money": money})


def test_bags_of_more_than_64_kb():
    state = CharacterState(bags={"bank": [Item("b" * 60)] * 1500})
    with pytest.raises(InvalidState, match=f"at most {MAX_STATE_BYTES} are allowed"):
        encode_state(state)
    with pytest.raises(InvalidState, match=f"at most {MAX_STATE_BYTES} are allowed"):
        decode_state(msgspec.json.encode(state))
