"""How minutes become averages by hour of the week."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worlds.cost_rules import WEEK_WEIGHT, Average, Cost, Population, averaged, counted, hour_of_week

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def week_of(before: Average | None, cost: Cost, begins_at: datetime) -> Average:
    """Add one hour of minutes that all cost the same."""
    for minute in range(60):
        before = averaged(before, cost, begins_at + timedelta(minutes=minute))
    assert before is not None
    return before


def test_hours_of_the_week_begin_with_monday() -> None:
    assert hour_of_week(MONDAY) == 0
    assert hour_of_week(MONDAY + timedelta(days=6, hours=23, minutes=59)) == 167


def test_the_first_hour_is_a_plain_mean() -> None:
    known = None
    for minute, cpu_ms in enumerate((10.0, 20.0, 60.0)):
        known = averaged(known, Cost(cpu_ms, 3, 1), MONDAY + timedelta(minutes=minute))
    assert known is not None
    assert known.cost == Cost(pytest.approx(30.0), 3, 1) and (known.weeks, known.minutes) == (1, 3)


def test_a_week_counts_a_third_beside_all_before_it() -> None:
    known = None
    for week in range(4):
        known = week_of(known, Cost(100.0), MONDAY + timedelta(weeks=week))
    changed = week_of(known, Cost(200.0), MONDAY + timedelta(weeks=4))
    assert changed.weeks == 5
    assert changed.cost.cpu_ms == pytest.approx(100 + 100 * WEEK_WEIGHT, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 3)), min_size=1, max_size=200))
def test_an_average_never_leaves_what_was_measured(minutes) -> None:
    known, at = None, MONDAY
    for cpu_ms, weeks in minutes:
        at += timedelta(minutes=1, weeks=weeks)
        known = averaged(known, Cost(cpu_ms), at)
    assert known is not None
    values = [cpu_ms for cpu_ms, _ in minutes]
    assert min(values) - 1e-9 <= known.cost.cpu_ms <= max(values) + 1e-9
    assert known.minutes == len(minutes)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_population_is_mean_and_most_of_the_hour(counts) -> None:
    hour = Population()
    for players in counts:
        hour = counted(hour, players)
    assert hour.mean == pytest.approx(sum(counts) / len(counts))
    assert (hour.most, hour.samples) == (max(counts), len(counts))
