from hypothesis import given
from hypothesis import strategies as st

from zonecluster.rules.budget import BURST_S, LEAST_BURST_NS, Bucket, grant


def test_everybody_is_given_an_equal_share_of_half_the_core() -> None:
    assert grant(200) * 200 == grant(1) == 0.5e9
    assert grant(0) == grant(1)


def test_it_fills_by_what_is_granted_less_what_ticks_used() -> None:
    bucket = Bucket()
    bucket.fill(10.0, 1000.0)
    bucket.take(LEAST_BURST_NS)
    assert bucket.is_empty
    bucket.fill(12.0, 1000.0, used=400.0)
    assert bucket.left_ns == 1200.0 and not bucket.is_empty
    bucket.fill(13.0, 1000.0, used=1500.0)  # ticks take more than there is
    assert bucket.left_ns == 700.0


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = Bucket()
    bucket.fill(10.0, 1e9)
    bucket.take(LEAST_BURST_NS)
    for now in (10.0, 5.0):
        bucket.fill(now, 1e9)
        assert bucket.left_ns == 0.0


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(0, 1e9), st.floats(0, 2e9), st.floats(0, 1e9)), max_size=40
    )
)
def test_neither_savings_nor_debts_grow_without_limit(steps) -> None:
    bucket, now = Bucket(), 0.0
    for passed, granted, used, spent in steps:
        now += passed
        bucket.take(spent)
        bucket.fill(now, granted, used)
        room = max(granted * BURST_S, LEAST_BURST_NS)
        assert -room <= bucket.left_ns <= room


def test_over_time_nobody_gets_more_than_the_share_and_one_burst() -> None:
    bucket, spent, granted = Bucket(), 0.0, grant(200)
    for tick in range(20 * 60):
        bucket.fill(tick / 20, granted)
        while not bucket.is_empty:
            bucket.take(100_000)
            spent += 100_000
    assert granted * 59 <= spent <= granted * 60 + LEAST_BURST_NS + 100_000
