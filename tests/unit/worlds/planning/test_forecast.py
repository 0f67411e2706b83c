"""What a zone will cost: whole weeks from a few hours, and what is seen just now."""

import numpy as np
import pytest

from worlds.planning.forecast import AHEAD_H, week_of, with_present
from worlds.planning.model import HOURS


def test_nothing_known_costs_nothing() -> None:
    assert not week_of({}).any()


def test_an_hour_not_seen_is_like_the_same_hour_of_other_days() -> None:
    week = week_of({20: 100.0, 44: 300.0, 3: 10.0})  # Monday and Tuesday at 20, Monday at 3
    assert week[20] == 100
    assert week[44] == 300
    assert week[68] == week[164] == 200
    assert week[27] == 10
    assert week[12] == pytest.approx(410 / 3)


def test_a_cost_of_zero_is_known_to_be_zero() -> None:
    assert week_of({5: 0.0, 29: 10.0})[5] == 0
    assert week_of({5: 0.0, 29: 10.0})[53] == 5


def test_more_than_usual_now_is_expected_to_last_and_to_fade() -> None:
    week = np.full(HOURS, 100.0)
    changed = with_present(week, 166, 400.0)
    assert changed[166] == 400
    assert changed[167] > changed[0] > changed[3] > changed[4] == 100  # over the end of the week
    assert (changed != 100).sum() == AHEAD_H
    assert (week == 100).all()


@pytest.mark.parametrize("now_ms", [0.0, 50.0, 100.0])
def test_less_than_usual_changes_nothing(now_ms: float) -> None:
    assert (with_present(np.full(HOURS, 100.0), 7, now_ms) == 100).all()


def test_noise_changes_nothing() -> None:
    assert not with_present(np.zeros(HOURS), 7, 0.5).any()
