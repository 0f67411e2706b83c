import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark.search import CURVE, TRIES, curve, largest, largest_held, zones_curve, zones_ratio


def result(players, zones=1, *, ok=True, work=1.0):
    return {"n": players, "zones": zones, "ok": ok, "server": {"work": {"p50": work}}}


class Machine:
    """Holds up to `limit` players, and remembers what was run."""

    def __init__(self, limit):
        self.limit = limit
        self.runs = []

    def run(self, players):
        self.runs.append(players)
        return result(players, ok=players <= self.limit)


@given(
    low=st.integers(1, 500), more=st.integers(1, 5000), limit=st.integers(1, 6000), step=st.integers(1, 200)
)
def test_the_largest_that_holds_is_found_to_the_step(low, more, limit, step):
    limit = max(limit, low)
    machine, high = Machine(limit), low + more
    held = largest_held([machine.run(low), *largest(low, high, step, machine.run)])
    assert low <= held <= limit
    # Numbers that are tried are multiples of the step.
    assert held >= min(limit, high) - 2 * step


def test_a_number_that_fails_is_tried_once_more():
    machine = Machine(100)
    runs = largest(100, 200, 200, machine.run)
    assert machine.runs == [200] * TRIES
    assert largest_held(runs) is None


def test_a_disturbed_run_is_forgiven_when_the_next_holds():
    verdicts = iter([False, True])
    runs = largest(100, 200, 50, lambda players: result(players, ok=next(verdicts)))
    assert largest_held(runs) == 200


def test_a_run_that_says_nothing_counts_as_not_held():
    assert largest_held([result(4000, ok=None)]) is None
    assert largest(100, 200, 100, lambda players: result(players, ok=None))[0]["n"] == 200


@pytest.mark.parametrize("limit, most, last", [(1000, 4000, 1500), (9999, 1000, 1000)])
def test_the_curve_ends_at_the_first_that_does_not_hold(limit, most, last):
    runs = list(curve(most, Machine(limit).run))
    assert [run["n"] for run in runs] == [players for players in CURVE if players <= last]


def test_each_number_of_zones_is_compared_with_one_zone_of_as_many_players():
    pairs = list(zones_curve(result))
    assert [(many["zones"], many["n"]) for many, _ in pairs][-1] == (64, 1920)
    assert all(many["n"] == one["n"] and one["zones"] == 1 for many, one in pairs)


def test_the_ratio_is_of_cpu_per_tick():
    assert zones_ratio(result(30, 1, work=1.2), result(30, work=1.0)) == 1.2
    assert zones_ratio(result(30, 1, work=None), result(30)) is None
