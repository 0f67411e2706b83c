"""Experience and levels: one formula, and a cap that takes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonecluster.protocol.character import CharacterState
from zonecluster.rules.character import level_of, new_character_state
from zonecluster.rules.experience import gained, is_capped, level_at, xp_of
from zonecluster.rules.wayfaring import VISIT_XP, visit_key, visited


def hero(xp: int, level: int) -> CharacterState:
    return CharacterState(attributes={"xp": xp, "level": level})


@given(st.integers(1, 2000))
def test_a_level_begins_at_its_experience_and_no_sooner(level: int) -> None:
    assert level_at(xp_of(level)) == level
    assert level_at(xp_of(level + 1) - 1) == level


def test_some_levels_by_hand() -> None:
    assert [xp_of(level) for level in (1, 2, 3, 4, 15)] == [0, 100, 300, 600, 10_500]
    with pytest.raises(ValueError, match="levels begin at 1"):
        xp_of(0)


@given(st.integers(0, 20_000), st.lists(st.integers(0, 3000), max_size=8), st.integers(1, 20))
def test_the_cap_ends_at_its_level_and_never_takes(xp: int, gains: list[int], cap: int) -> None:
    state = hero(xp, level_at(xp))
    for gain in gains:
        after = gained(state, gain, cap)
        assert after.attributes["xp"] >= state.attributes["xp"]
        assert level_of(after) >= level_of(state)
        if level_at(xp) <= cap:
            assert level_of(after) <= cap and after.attributes["xp"] <= max(xp, xp_of(cap))
        else:
            assert after is state, "over the cap already: nothing changes"
        state = after


def test_at_the_cap_nothing_changes_and_without_it_all_goes_on() -> None:
    state = hero(10_500, 15)
    assert is_capped(state, 15) and not is_capped(state, None) and not is_capped(state, 16)
    assert gained(state, 10, 15) is state
    assert gained(state, 10).attributes == {"xp": 10_510, "level": 15}


def test_the_last_gain_before_the_cap_is_cut() -> None:
    assert gained(hero(10_499, 14), 10, 15).attributes == {"xp": 10_500, "level": 15}


def test_a_level_without_its_experience_is_kept() -> None:
    assert gained(hero(0, 9), 10).attributes == {"xp": 10, "level": 9}
    with pytest.raises(ValueError, match="not taken away"):
        gained(hero(5, 1), -1)


def test_a_discovery_at_the_cap_waits_for_the_upgrade() -> None:
    state = hero(10_500, 15)
    assert visited(state, "harbour", 15) is state
    after = visited(state, "harbour", None)
    assert after.quests == {visit_key("harbour"): "done"} and after.attributes["xp"] == 10_500 + VISIT_XP


def test_ten_zones_make_the_second_level() -> None:
    state = new_character_state()
    for number in range(10):
        state = visited(state, f"zone-{number}", 15)
    assert (state.attributes["xp"], level_of(state)) == (100, 2)
