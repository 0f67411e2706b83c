import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.benchmark.machine import instability as benchmark_instability
from zonecluster.daemon.phases import (
    COUNTED_AT_ONCE,
    EDGES_S,
    INDEX,
    PHASES,
    REMEMBERED_TICKS,
    Phases,
    Series,
    instability,
    shares,
)


def test_laps_of_a_tick_are_summed_by_phase_and_the_next_tick_begins_at_nothing() -> None:
    now = [0.0]
    phases = Phases(lambda: now[0])
    for phase, took in (("links", 1.0), ("send", 2.0), ("send", 3.0)):
        now[0] += took
        phases.lap(phase)
    phases.end_tick()
    now[0] += 100
    phases.start()
    now[0] += 4
    phases.lap("rest")
    phases.end_tick()
    first, second = phases.last()
    assert (first[INDEX["links"]], first[INDEX["send"]]) == (1.0, 5.0)
    assert second.sum() == second[INDEX["rest"]] == 4.0


def test_old_ticks_are_forgotten() -> None:
    now = [0.0]
    phases = Phases(lambda: now[0])
    for tick in range(REMEMBERED_TICKS + 10):
        phases.start()
        now[0] += tick
        phases.lap("rest")
        phases.end_tick()
    kept = phases.last()[:, INDEX["rest"]]
    np.testing.assert_array_equal(kept, np.arange(10, REMEMBERED_TICKS + 10))
    assert len(phases.last(3)) == 3


def test_buckets_count_every_tick_and_an_edge_is_under_itself() -> None:
    series = Series(2)
    series.add([0.05, 0.0])
    series.add([0.0500001, 7.0])
    counts, sums = series.histogram()
    first, second = counts
    assert first[np.searchsorted(EDGES_S, 0.05)] == first[np.searchsorted(EDGES_S, 0.0525)] == 1
    assert (second[0], second[-1]) == (1, 1)
    assert counts.sum(axis=1).tolist() == [2, 2]
    assert sums.tolist() == pytest.approx([0.1000001, 7.0])


@given(arrays(np.float64, (COUNTED_AT_ONCE * 2 + 9, 3), elements=st.floats(0, 100)), st.integers(1, 200))
def test_a_bucket_holds_what_its_edges_say_whenever_it_is_read(values: np.ndarray, every: int) -> None:
    series = Series(3)
    for number, row in enumerate(values, 1):
        series.add(row.tolist())
        if number % every == 0:
            np.testing.assert_array_equal(series.last(1)[0], row.astype(np.float32))
    counts, sums = series.histogram()
    np.testing.assert_array_equal(
        np.cumsum(counts, axis=1)[:, :-1], (values[:, :, None] <= EDGES_S).sum(axis=0)
    )
    np.testing.assert_allclose(sums, values.sum(axis=0))
    np.testing.assert_array_equal(series.last(1000), values.astype(np.float32))


def test_phases_are_those_that_the_figures_are_promised_for() -> None:
    promised = "receive open links commands inputs simulation interest encode seal send rest bus loop"
    assert " ".join(PHASES) == promised


def test_times_by_the_wall_clock_are_kept_beside() -> None:
    phases = Phases(lambda: 0.0)
    phases.note(0.01, 0.05, 0.001)
    phases.note(0.02, 0.06, 0.0)
    np.testing.assert_allclose(phases.last_times(), [[0.01, 0.05, 0.001], [0.02, 0.06, 0.0]], rtol=1e-6)
    assert phases.times.histogram()[0].sum() == 6
    assert len(phases.last_times(1)) == 1


def test_instability_is_that_of_the_benchmark() -> None:
    rng = np.random.default_rng(1)
    intervals = rng.uniform(0.04, 0.09, 1200)
    assert instability(intervals, 0.05) == pytest.approx(benchmark_instability(intervals * 1000), abs=1e-4)
    assert instability(np.full(1200, 0.05), 0.05) == 0
    assert instability(intervals[:1], 0.05) == 0


def test_shares_are_values_that_occurred() -> None:
    values = np.array([[3.0, 30.0], [1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    half, most, all_of_them = shares(values, 0.5, 0.99, 1.0)
    assert (half.tolist(), most.tolist(), all_of_them.tolist()) == ([2, 20], [4, 40], [4, 40])
    assert shares(values[:1], 0.5)[0].tolist() == [3, 30]
