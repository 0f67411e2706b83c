"""Where zones run in generated weeks: what is compared is the same world; the planner does what it is for."""

import numpy as np
import pytest

from tests.benchmark.placement import CAPACITY, CannotMeasure, Setting, play
from tests.benchmark.weeks import MOST_MS, STEPS_A_DAY, Making, Weeks


def test_a_seed_makes_the_same_weeks_and_another_one_others() -> None:
    def first(seed: int) -> np.ndarray:
        steps = Weeks(Making(zones=30, capacity=3000.0), seed).run(1)
        return np.array([costs for _, costs in steps][: 2 * STEPS_A_DAY])

    assert (first(1) == first(1)).all()
    assert (first(1) != first(2)).any()
    assert first(1).min() >= 0
    assert first(1).max() <= MOST_MS


def test_the_mean_load_is_what_was_asked_for() -> None:
    steps = Weeks(Making(zones=400, capacity=16_000.0, mean_fill=0.4), seed=3).run(1)
    mean = np.mean([costs.sum() for _, costs in steps])
    assert 0.33 < mean / 16_000.0 < 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_the_planner_is_overloaded_less_than_any_other_way(seed: int) -> None:
    lines = {
        line["way"]: line for line in play(Setting(zones=300, clusters=12, weeks=2, plan_hours=2, seed=seed))
    }
    overload = {way: line["overload_minutes_a_week"] for way, line in lines.items()}
    assert overload["planner"] == min(overload.values())
    assert max(overload.values()) > 0, "nothing was overloaded: nothing was shown"
    assert 0 < lines["planner"]["moves_a_week"] < 100
    assert lines["planner"]["busiest"] * CAPACITY < lines["round robin"]["busiest"] * CAPACITY


@pytest.mark.parametrize("wrong", [{"weeks": 1}, {"zones": 0}, {"clusters": 0}, {"plan_hours": 0}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(CannotMeasure):
        Setting(**{"zones": 10, "clusters": 2, **wrong})
