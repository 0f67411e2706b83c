"""Which pieces an archive of the log lacks, by names alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystone.backups.wal_gaps import Gap, first_gap, history_names, name_of, number_of, reigns

START = name_of(1, 7)


def pieces(timeline: int, *numbers: int) -> list[str]:
    return [f"{name_of(timeline, number)}.gz" for number in numbers]


def test_names_count_on_over_the_end_of_a_file() -> None:
    assert name_of(1, 255) == "0000000100000000000000FF" and name_of(1, 256) == "000000010000000100000000"
    assert number_of("00000003000000020000000A") == 2 * 256 + 10
    assert first_gap(pieces(1, 254, 255, 256, 257), {}, name_of(1, 254)) is None


def test_a_whole_log_and_one_that_just_begins_have_no_gap() -> None:
    assert first_gap(pieces(1, 5, 7, 8, 9), {}, START) is None  # what is before the base does not count
    assert first_gap([], {}, START) is None
    others = ["000000010000000000000007.00000028.backup.gz", "notes.txt", ".x.part", *pieces(1, 7, 8)]
    assert first_gap(others, {}, START) is None


def test_the_first_gap_is_told_with_the_last_piece_that_can_be_played() -> None:
    gap = first_gap(pieces(1, 7, 8, 11, 12, 14), {}, START)
    assert gap == Gap(name_of(1, 9), name_of(1, 10), 2, name_of(1, 8))
    assert str(gap) == f"2 pieces from {name_of(1, 9)} to {name_of(1, 10)} are missing"
    only = first_gap(pieces(1, 8), {}, START)
    assert only == Gap(START, START, 1, "") and str(only) == f"{START} is missing"


def history(*lines: tuple[int, int]) -> str:
    """Return a history file: timelines, and the piece in which each was left."""
    return "".join(
        f"{line}\t{n // 256:X}/{(n % 256) << 24 | 0x28:X}\tno recovery target\n\n" for line, n in lines
    )


def test_after_a_restore_the_log_goes_on_on_another_timeline() -> None:
    names = [*pieces(1, 7, 8, 9, 10, 11), *pieces(2, 9, 10, 12)]  # 1 was left in its ninth piece
    gap = first_gap(names, {2: history((1, 9))}, START)
    assert gap is not None and (gap.first, gap.pieces, gap.before) == (name_of(2, 11), 1, name_of(2, 10))
    assert first_gap([*names, *pieces(2, 11)], {2: history((1, 9))}, START) is None


def test_a_piece_of_a_timeline_that_was_left_fills_no_gap() -> None:
    names = [*pieces(1, 7, 8, 9, 10, 11), *pieces(2, 9, 11)]
    gap = first_gap(names, {2: history((1, 9))}, START)
    assert gap is not None and gap.first == name_of(2, 10)


def test_a_second_restore_may_have_left_the_first_out() -> None:
    names = [*pieces(1, 7, 8), *pieces(2, 8, 9), *pieces(3, 8, 9, 10)]
    histories = {2: history((1, 8)), 3: history((1, 8))}
    assert [reign.timeline for reign in reigns(histories, START)] == [1, 3]
    assert first_gap(names, histories, START) is None
    assert first_gap(names, histories, name_of(2, 8)) is None  # of the branch that was left: its own log


@pytest.mark.parametrize("text", ["", "nonsense", "1\tx/y\tno", "99999999999999999999 0/0"])
def test_a_damaged_history_is_no_fault_of_ours(text: str) -> None:
    assert first_gap(pieces(1, 7, 8), {2: text}, START) is None


def test_histories_are_found_by_name() -> None:
    assert history_names(
        ["00000002.history.gz", "0000000A.history.gz", "00000003.history", *pieces(1, 7)]
    ) == {
        2: "00000002.history.gz",
        10: "0000000A.history.gz",
    }


@given(st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_it_is_the_first_number_that_is_not_there(numbers: set[int], first: int) -> None:
    gap = first_gap(pieces(1, *numbers), {}, name_of(1, first))
    after = {number for number in numbers if number >= first}
    lacking = [number for number in range(first, max(after, default=first)) if number not in after]
    assert (gap is None) == (not lacking)
    if gap is not None:
        assert number_of(gap.first) == lacking[0]
        assert set(range(lacking[0], number_of(gap.last) + 1)) <= set(lacking)
