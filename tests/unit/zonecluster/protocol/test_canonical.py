"""The quick check says what the thorough one says, of every document: canonical or not, valid or hostile."""

import json
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark.documents import document
from tests.character_documents import CROWN, RING, documents, thorough, valid
from zonecluster.protocol import canonical
from zonecluster.protocol.canonical import MAX_VALUABLES, Checked, check_state
from zonecluster.protocol.character import (
    MAX_STATE_BYTES,
    CharacterState,
    InvalidState,
    Item,
    Place,
    canonical_state,
    decode_state,
    encode_state,
)
from zonecluster.rules.items import CAPACITY


def quick(data: bytes) -> Checked | str:
    try:
        return check_state(data)
    except InvalidState as error:
        return str(error)


class Request(msgspec.Struct):
    """As documents come: a piece of a request."""

    state: msgspec.Raw


@given(documents, st.booleans())
def test_it_says_what_the_thorough_check_says(found, is_sorted):
    data = json.dumps(found, sort_keys=is_sorted, separators=(",", ":"), ensure_ascii=False).encode()
    assert quick(data) == thorough(data)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_it_says_what_the_thorough_check_says_of_bytes_that_are_no_document(data):
    assert quick(data) == thorough(data)


@given(valid)
def test_a_canonical_document_is_quickly_checked(state):
    data = encode_state(state)
    found = canonical._quick(data)
    try:
        decode_state(data)
    except InvalidState:
        assert found is None  # hypothesis made one id twice
    else:
        assert found == thorough(data)


@pytest.mark.parametrize(
    "data",
    [
        document(2048, 1),
        b" " + document(2048, 1),  # valid, not canonical
        b'{"money":-1}',
        b'{"money":1,"money":1}',
        b"[]",
        b'{"bags":{"a":[{"kind":"' + b"x" * MAX_STATE_BYTES + b'"}]}}',
    ],
    ids=["canonical", "space", "debts", "doubled", "list", "large"],
)
def test_a_piece_of_a_request_is_checked_as_its_bytes_are(data):
    piece = msgspec.json.decode(b'{"state":' + data + b"}", type=Request).state
    try:
        found: Checked | str = check_state(piece)
    except InvalidState as error:
        found = str(error)
    assert found == quick(bytes(piece)) == thorough(bytes(piece))
    if isinstance(found, Checked):
        assert type(found.canonical) is bytes


@pytest.mark.parametrize("size", [400, 2048, 8192])
def test_large_documents_are_quickly_checked(size):
    data = document(size, 1)
    assert canonical._quick(data) == thorough(data)
    assert len(check_state(data).ids) == 16 * data.count(b'"id":"')


@pytest.mark.parametrize(
    "found",
    [
        {"bags": {"a": [{"kind": "crown", "id": str(CROWN)}] * 2}},
        {"bags": {"a": [{"kind": "crown", "id": str(CROWN), "count": 2}]}},
        {"bags": {"a": [{"kind": "crown", "id": f"{CROWN.hex}----"}]}},
        {"bags": {"a": [{"kind": "crown", "id": "g" * 8 + str(CROWN)[8:]}]}},
        {"bags": {"a": [{"kind": "crown", "id": str(RING)[:-2] + "\u00e9\u00e9"}]}},
        {"bags": {"a": [{"kind": "crown", "id": str(RING)[:-2] + "\u00e9A"}]}},
        {"bags": {"a": [{"kind": "crown", "id": str(each), "count": 2} for each in (CROWN, RING)]}},
    ],
)
def test_hostile_ids_are_refused_in_canonical_documents_too(found):
    bare = json.loads(encode_state(CharacterState()))
    for item in found["bags"]["a"]:
        item.setdefault("count", 1)
    data = json.dumps(bare | found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical._quick(data) is None
    with pytest.raises(InvalidState):
        check_state(data)


def with_things(count: int, kind: str = "gem") -> CharacterState:
    return CharacterState(bags={"bank": [Item(kind, id=UUID(int=number)) for number in range(1, count + 1)]})


def test_a_document_has_at_most_so_many_things_with_an_id():
    data = encode_state(with_things(MAX_VALUABLES))
    assert len(check_state(data).ids) == MAX_VALUABLES * 16
    many = encode_state(with_things(MAX_VALUABLES + 1))
    for bytes_of_it in (many, many + b" "):  # quickly and thoroughly checked
        with pytest.raises(InvalidState, match=f"at most {MAX_VALUABLES}"):
            check_state(bytes_of_it)
    assert decode_state(many) == with_things(MAX_VALUABLES + 1)  # history is read all the same


def test_all_bags_of_a_character_may_be_full_of_things():
    assert sum(CAPACITY.values()) <= MAX_VALUABLES


@pytest.mark.parametrize(
    "state",
    [
        with_things(1, "a\0b"),
        CharacterState(skills={"\0": 1}),
        CharacterState(quests={"find": "\0"}),
        CharacterState(bags={"\0": []}),
        CharacterState(places={"w": Place("a\0", (0.0, 0.0, 0.0))}),
    ],
)
def test_no_name_has_u_0000(state):
    data = encode_state(state)
    for bytes_of_it in (data, data + b" "):
        with pytest.raises(InvalidState, match=r"U\+0000"):
            check_state(bytes_of_it)
    assert decode_state(data) == state  # history is read all the same


def test_a_key_that_is_there_twice_is_not_kept():
    data = encode_state(CharacterState(money=5))
    doubled = data.replace(b'"money":5', b'"money":4,"money":5')
    assert check_state(doubled) == Checked(data, b"") == check_state(data)


def test_a_large_document_is_refused_by_its_size():
    with pytest.raises(InvalidState, match=f"at most {MAX_STATE_BYTES}"):
        check_state(b" " * (MAX_STATE_BYTES + 1))


def test_both_know_the_same_fields_with_the_same_limits():
    def schema(kind: type) -> dict:
        found = msgspec.json.schema_components([kind])[1]
        return {name.strip("_"): part["properties"] for name, part in found.items()}

    ours, theirs = schema(canonical._State), schema(CharacterState)
    ours = json.loads(json.dumps(ours).replace("#/$defs/_", "#/$defs/"))
    pairs = {"State": "CharacterState", "Item": "Item", "Place": "Place"}
    for mine, other in pairs.items():
        left = {name: part for name, part in ours[mine].items() if (mine, name) != ("Item", "id")}
        right = {name: part for name, part in theirs[other].items() if (mine, name) != ("Item", "id")}
        assert left == right


def test_canonical_state_is_the_same():
    data = document(2048, 3)
    assert check_state(data).canonical == canonical_state(data)
