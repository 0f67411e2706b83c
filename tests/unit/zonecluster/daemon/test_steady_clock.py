from hypothesis import given
from hypothesis import strategies as st

from zonecluster.daemon.steady_clock import LONGEST_STEP_S, SteadyClock

JUMPS = st.lists(st.one_of(st.floats(0, 0.1), st.floats(-1e6, 1e6)), max_size=60)


def test_short_steps_count_as_they_are() -> None:
    now = [50.0]
    clock = SteadyClock(lambda: now[0])
    for _ in range(100):
        now[0] += 0.005
        clock()
    assert abs(clock() - 50.5) < 1e-9
    assert clock.skipped_s == 0


def test_a_suspended_machine_and_a_clock_that_goes_back_are_nobody_s_silence() -> None:
    now = [50.0]
    clock = SteadyClock(lambda: now[0])
    now[0] += 7200
    assert clock() == 50 + LONGEST_STEP_S
    now[0] -= 3600
    assert clock() == 50 + LONGEST_STEP_S
    now[0] += 0.5
    assert clock() == 50 + LONGEST_STEP_S + 0.5
    assert clock.skipped_s == 7200 - LONGEST_STEP_S + 3600


@given(JUMPS)
def test_whatever_the_source_does_time_neither_goes_back_nor_jumps(jumps: list[float]) -> None:
    now = [0.0]
    clock = SteadyClock(lambda: now[0])
    before = clock()
    for jump in jumps:
        now[0] += jump
        read = clock()
        assert before <= read <= before + LONGEST_STEP_S + 1e-9
        before = read
