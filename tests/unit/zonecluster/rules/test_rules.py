import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from zonecluster.protocol.character import CharacterState, Place, decode_state, encode_state
from zonecluster.rules.character import health_fraction, level_of, new_character_state, with_place
from zonecluster.rules.speech import clean_speech
from zonecluster.rules.wayfaring import VISIT_XP, visited, walked, wayfaring_rank


def test_new_character_is_a_valid_document_of_level_one() -> None:
    state = new_character_state()
    assert decode_state(encode_state(state)) == state
    assert level_of(state) == 1 and health_fraction(state) == 1.0
    assert state.places == {}


@pytest.mark.parametrize(
    ("attributes", "fraction"),
    [
        ({}, 1.0),
        ({"hp": 50, "hp_max": 200}, 0.25),
        ({"hp": -5}, 0.0),
        ({"hp": 900}, 1.0),
        ({"hp_max": 0}, 1.0),
    ],
)
def test_health_of_any_document_is_a_fraction(attributes: dict[str, int], fraction: float) -> None:
    assert health_fraction(CharacterState(attributes=attributes)) == fraction
    assert level_of(CharacterState(attributes=attributes)) == 1


def test_place_in_one_world_leaves_the_others() -> None:
    here, there = Place("harbour", (1.0, 2.0, 0.0)), Place("moon", (3.0, 4.0, 0.0))
    state = with_place(with_place(new_character_state(), "demo", here), "other", there)
    assert state.places == {"demo": here, "other": there}


@pytest.mark.parametrize(
    ("metres", "rank"), [(-1, 0), (0, 0), (99, 0), (100, 1), (399, 1), (400, 2), (90_000, 30)]
)
def test_rank_rises_with_the_square_of_the_way(metres: int, rank: int) -> None:
    assert wayfaring_rank(metres) == rank


@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_way_in_parts_is_the_way_at_once(parts: list[int]) -> None:
    state = new_character_state()
    for part in parts:
        state = walked(state, part)
    assert state == walked(new_character_state(), sum(parts))
    encode_state(state)


def test_no_step_changes_nothing_and_backwards_is_an_error() -> None:
    state = new_character_state()
    assert walked(state, 0) is state
    with pytest.raises(ValueError, match="not negative"):
        walked(state, -1)


def test_attributes_end_where_the_document_does() -> None:
    state = replace(new_character_state(), attributes={"metres_walked": 2**31, "xp": 2**31})
    decode_state(encode_state(visited(walked(state, 2**40), "harbour")))


def test_first_visit_counts_once() -> None:
    once = visited(new_character_state(), "harbour")
    assert once.quests == {"visited:harbour": "done"} and once.attributes["xp"] == VISIT_XP
    assert visited(once, "harbour") is once
    assert visited(once, "mossgate").attributes["xp"] == 2 * VISIT_XP


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  hello   world \n", "hello world"),
        ("a\x1b[2Jb", "a[2Jb"),
        ("\u202ereversed\u2066", "reversed"),
        ("\x00\x07", ""),
        ("grüß 🐑", "grüß 🐑"),
    ],
)
def test_speech_is_one_printable_line(text: str, clean: str) -> None:
    assert clean_speech(text) == clean
