"""The compiled check accepts nothing that the thorough one would not, says the same of what it accepts, and
accepts what worlds send."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark.documents import document
from tests.character_documents import CROWN, RING, documents, thorough, valid
from zonecluster.documents import compiled_check, kernels
from zonecluster.documents.compiled_check import check
from zonecluster.protocol.canonical import MAX_VALUABLES, check_state
from zonecluster.protocol.character import (
    MAX_STATE_BYTES,
    CharacterState,
    InvalidState,
    Item,
    Place,
    decode_state,
    encode_state,
)

EACH_FIELD = encode_state(
    CharacterState(
        attributes={"hp": -20, "x": 10},
        skills={"a": 0, "ab": 305},
        bags={
            "bank": [Item("cap", id=CROWN), Item("gem", 40), Item("nut", id=RING)],
            "belt": [],
            "pouch": [Item("i")],
        },
        money=9,
        quests={"q": "to do", "r": "!"},
        places={"w": Place("m", (0.5, -2.0, 1e22), 359.5)},
    )
)
SIGNS = b'\x00\x1f !"+,-./019:AEZ[\\]_aefgz{}~\x7f\x80\xc3\xa9\xff'


def agrees(data: bytes) -> bool:
    """Return whether the document was accepted; then it must be as the thorough check says."""
    found = check(data)
    assert found is None or found == thorough(data), data
    return found is not None


@given(documents, st.booleans())
def test_it_says_what_the_thorough_check_says_or_nothing(found, is_sorted):
    data = json.dumps(found, sort_keys=is_sorted, separators=(",", ":"), ensure_ascii=False).encode()
    agrees(data)


@given(documents)
def test_so_it_does_of_documents_that_have_all_fields(found):
    bare = json.loads(encode_state(CharacterState()))
    data = json.dumps(bare | found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    agrees(data)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_so_it_does_of_bytes_that_are_no_document(data):
    agrees(data)


@given(valid)
def test_it_accepts_what_worlds_send(state):
    data = encode_state(state)
    try:
        decode_state(data)
    except InvalidState:
        assert check(data) is None  # hypothesis made one id twice
    else:
        assert agrees(data)


@pytest.mark.parametrize("size", [400, 2048, 8192])
def test_it_accepts_large_documents(size):
    assert all(agrees(document(size, seed)) for seed in range(20))


def test_every_byte_is_looked_at():
    assert agrees(EACH_FIELD)
    accepted = 0
    for at in range(len(EACH_FIELD)):
        for sign in range(256):
            accepted += agrees(EACH_FIELD[:at] + bytes([sign]) + EACH_FIELD[at + 1 :])
    assert accepted > 10 * len(EACH_FIELD)  # names, numbers and ids may be others


def test_what_is_missing_or_too_much_is_seen():
    for at in range(len(EACH_FIELD)):
        for length in (1, 2, 5, 40):
            agrees(EACH_FIELD[:at] + EACH_FIELD[at + length :])
            agrees(EACH_FIELD[:at] + EACH_FIELD[at : at + length] + EACH_FIELD[at:])
        for sign in SIGNS:
            agrees(EACH_FIELD[:at] + bytes([sign]) + EACH_FIELD[at:])


@given(valid, valid, st.data())
def test_what_is_put_together_of_two_documents_is_checked(first, second, data):
    pieces = []
    for each in (encode_state(first), encode_state(second)):
        begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(each))] * 2)))
        pieces += [each[:begin], each[begin:end], each[end:]]
    order = data.draw(st.lists(st.sampled_from(range(6)), max_size=6))
    agrees(b"".join(pieces[number] for number in order))
    agrees(pieces[0] + pieces[4] + pieces[2])


def test_nothing_behind_the_document_is_read():
    for end in range(len(EACH_FIELD)):
        assert check(msgspec.Raw(memoryview(EACH_FIELD)[:end])) is None
    assert check(b"") is None


def with_field(**fields: object) -> bytes:
    """Return a document with these fields as JSON has them, and all others empty."""
    bare = json.loads(encode_state(CharacterState()))
    return json.dumps(bare | fields, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "name, smallest, largest",
    [("attributes", -(2**31), 2**31), ("skills", 0, 2**53 - 1)],
)
def test_numbers_have_their_limits(name, smallest, largest):
    for number in (smallest, smallest + 1, -1, 0, 1, 9, 10, 99, largest - 1, largest):
        assert agrees(with_field(**{name: {"n": number}})) == (smallest <= number <= largest)
    for number in (smallest - 1, largest + 1, 10 * largest, 10**16, 2**63, 2**64, 2**64 + 1, 10**40):
        assert not agrees(with_field(**{name: {"n": number}}))


@pytest.mark.parametrize(
    "number", [b"-0", b"00", b"01", b"+1", b"1.0", b"1e3", b"-", b"", b"0x1", b" 1", b"true"]
)
@pytest.mark.parametrize("name", ["attributes", "skills"])
def test_numbers_have_one_form(name, number):
    assert not agrees(with_field(**{name: {"n": 7}}).replace(b"7", number))
    assert not agrees(with_field(money=7).replace(b"7", number))


def test_stacks_have_their_limits():
    def stack(count: int) -> bytes:
        return with_field(bags={"b": [{"count": count, "id": None, "kind": "gem"}]})

    assert all(agrees(stack(count)) for count in (1, 2, 10**6))
    assert not any(agrees(stack(count)) for count in (-1, 0, 10**6 + 1, 2**64 + 1))


def test_names_have_one_to_64_signs():
    for length in range(70):
        assert agrees(with_field(quests={"q": "x" * length})) == (1 <= length <= 64)
        assert agrees(with_field(skills={"x" * length: 1})) == (1 <= length <= 64)


@given(st.dictionaries(st.text("!#a~ ", min_size=1, max_size=4), st.integers(0, 9), min_size=2), st.randoms())
def test_keys_stand_in_their_order(skills, rng):
    keys = list(skills)
    rng.shuffle(keys)
    data = with_field(skills={}).replace(
        b'"skills":{}', json.dumps({"skills": dict.fromkeys(keys, 1)}, separators=(",", ":")).encode()[1:-1]
    )
    assert agrees(data) == (keys == sorted(keys))


@pytest.mark.parametrize("key", ['"a":1,"a":1', '"a":1,"a":2', '"b":1,"a":1', '"ab":1,"a":1'])
def test_a_key_is_there_once_and_in_order(key):
    assert not agrees(with_field().replace(b'"skills":{}', b'"skills":{%s}' % key.encode()))


def with_things(ids: list[UUID]) -> bytes:
    return encode_state(CharacterState(bags={"bank": [Item("gem", id=each) for each in ids]}))


@given(st.lists(st.uuids() | st.integers(0, 9).map(lambda low: UUID(int=low)), max_size=MAX_VALUABLES))
def test_ids_are_sorted_and_each_is_there_once(ids):
    assert agrees(with_things(ids)) == (len(set(ids)) == len(ids))


def test_ids_that_stand_in_any_order_are_sorted():
    ids = [UUID(int=(number << 64) + 7) for number in range(MAX_VALUABLES)]
    wanted = b"".join(each.bytes for each in ids)
    for order in (ids, ids[::-1], ids[1::2] + ids[::2], ids[64:] + ids[:64]):
        found = check(with_things(order))
        assert found is not None and found.ids == wanted


def test_more_ids_than_there_is_room_for_are_left_to_others():
    assert agrees(with_things([UUID(int=number) for number in range(MAX_VALUABLES)]))
    for count in (MAX_VALUABLES + 1, 500):
        assert check(with_things([UUID(int=number) for number in range(count)])) is None


@pytest.mark.parametrize(
    "position",
    [[0.0, 1.5, -2.25], [0.0, 0.0, 1e22], [-0.0, 5e-324, 1.7976931348623157e308], [0.1, 1 / 3, 123456.789]],
)
def test_places_are_checked_too(position):
    places = {"w": {"heading_deg": 0.0, "position": position, "zone": "meadow"}}
    agrees(with_field(places=places))
    assert agrees(encode_state(CharacterState(places={"w": Place("meadow", tuple(position))})))


@pytest.mark.parametrize(
    "places",
    [
        b'{"w":{"heading_deg":0.0,"position":[0.0,0.0,0.0],"zone":"m"}',
        b'{"w":{"heading_deg":360.0,"position":[0.0,0.0,0.0],"zone":"m"}}',
        b'{"w":{"heading_deg":0.0,"position":[0.0,0.0],"zone":"m"}}',
        b'{"w":{"heading_deg":0.0,"position":[0,0.0,0.0],"zone":"m"}}',
        b'{"w":{"heading_deg":0.0,"position":[0.00,0.0,0.0],"zone":"m"}}',
        b'{"w":{"heading_deg":0.0,"position":[NaN,0.0,0.0],"zone":"m"}}',
        b'{"w":{"heading_deg":0.0,"position":[0.0,0.0,0.0],"zone":"\\u0000"}}',
        b'{"w":{"heading_deg":0.0,"position":[0.0,0.0,0.0],"zone":""}}',
        b'{"w":{},"w":{}}',
        b'{"w":1}',
        b'{"w":"}"}',
        b"{}{}",
        b"[]",
        b'{"w":' * 5000 + b"}" * 5000,
    ],
    ids=lambda places: places[:70],
)
def test_places_that_are_none_are_not_accepted(places):
    assert not agrees(with_field().replace(b'"places":{}', b'"places":' + places))


@pytest.mark.parametrize("name", ["\u00e9", "a\u2028", "\U0001f600", "a\\b", 'a"b', "a\tb", "a\0b", "a\x7f"])
def test_of_names_that_are_not_plain_it_is_not_sure(name):
    for state in (
        CharacterState(skills={name: 1}),
        CharacterState(bags={name: []}),
        CharacterState(quests={"q": name}),
    ):
        assert check(encode_state(state)) is None


def test_a_document_that_is_too_large_is_left_to_others():
    def bag_of(last: int) -> bytes:
        return encode_state(CharacterState(bags={"b": [*[Item("x" * 64)] * 681, Item("y" * last)]}))

    shorter = len(bag_of(1))
    assert MAX_STATE_BYTES - 64 < shorter <= MAX_STATE_BYTES and agrees(bag_of(1))
    last = 1 + MAX_STATE_BYTES - shorter
    assert agrees(bag_of(last))
    assert check(bag_of(last)[:-1] + b" }") is None
    assert check(bag_of(last).replace(b'"money":0', b'"money":10')) is None


def forms() -> int:
    """Return for how many kinds of arrays the walk was compiled: one more, and a save would wait for it."""
    return len(cast(Any, kernels.walk).signatures)


class Request(msgspec.Struct):
    """As documents come: a piece of a request."""

    state: msgspec.Raw


def test_a_piece_of_a_request_is_checked_as_its_bytes_are():
    data = document(2048, 1)
    for body in (b'{"state":' + data + b"}", bytearray(b'{"state":' + data + b"}")):
        piece = msgspec.json.decode(body, type=Request).state
        found = check(piece)
        assert found == thorough(data) and type(found.canonical) is bytes
    assert forms() == 1


def test_what_it_is_not_sure_of_is_decided_and_said_by_the_others():
    assert check_state(b" " + EACH_FIELD, check) == check_state(EACH_FIELD, check) == thorough(EACH_FIELD)
    with pytest.raises(InvalidState, match="money"):
        check_state(EACH_FIELD.replace(b'"money":9', b'"money":-9'), check)
    with pytest.raises(InvalidState, match=r"U\+0000"):
        check_state(encode_state(CharacterState(places={"w": Place("a\0", (0.0, 0.0, 0.0))})), check)


def test_threads_do_not_mix_up_what_they_find():
    data = [document(2048, seed) for seed in range(16)]
    wanted = [thorough(each) for each in data]

    def many(number: int) -> bool:
        return all(check(data[number]) == wanted[number] for _ in range(300))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(16)))


def test_it_is_warm_after_its_warm_up():
    compiled_check.warm_up()
    assert forms() == 1
