"""Residents in parts, over a bus that loses, doubles and reorders: who is believed absent was in no part."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from worlds.daemon.core.clusters import Hearing
from zonecluster.protocol.bus import Resident, Residents


def part(number: int, index: int, parts: int, *sessions: int) -> Residents:
    found = [Resident(UUID(int=each), 1, (0.0, 0.0, 0.0), 0.0, False) for each in sessions]
    return Residents("east", 1, found, number, index, parts)


def test_single_messages_tell_of_everybody_each_by_itself() -> None:
    hearing = Hearing()
    assert hearing.add(part(0, 0, 1, 1, 2))
    assert hearing.add(part(0, 0, 1, 2))
    assert hearing.present == {UUID(int=2)}


def test_round_is_whole_with_its_last_part_and_only_once() -> None:
    hearing = Hearing()
    assert [hearing.add(part(5, index, 3, index + 1)) for index in (2, 0, 0, 1, 1)] == [
        False,
        False,
        False,
        True,
        False,
    ]
    assert hearing.present == {UUID(int=1), UUID(int=2), UUID(int=3)}


def test_late_part_of_an_older_round_changes_nothing() -> None:
    hearing = Hearing()
    hearing.add(part(6, 0, 2, 1))
    assert not hearing.add(part(5, 1, 2, 9))
    assert hearing.add(part(6, 1, 2, 2))
    assert hearing.present == {UUID(int=1), UUID(int=2)}


@given(st.lists(st.integers(0, 3).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 3))), max_size=60))
def test_nobody_of_a_round_is_ever_absent_when_it_is_whole(arrivals: list[tuple[int, int]]) -> None:
    """Rounds of four parts, each part with one session of its own, arrive as they like."""
    hearing = Hearing()
    for number, index in arrivals:
        if hearing.add(part(number, index, 4, index + 1)):
            assert hearing.present == {UUID(int=each) for each in (1, 2, 3, 4)}
