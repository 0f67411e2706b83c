"""How long a process that died waits."""

from waystone.supervisor.backoff import FIRST_DELAY, LONGEST_DELAY, STABLE_AFTER, Backoff


def test_the_first_restart_is_fast_and_each_further_one_waits_twice_as_long():
    backoff = Backoff()
    delays = [backoff.delay_after(lived=1.0) for _ in range(4)]
    assert delays[0] == FIRST_DELAY <= 0.5
    assert delays == [FIRST_DELAY * 2**n for n in range(4)]


def test_the_delay_has_an_upper_end():
    backoff = Backoff()
    delays = [backoff.delay_after(lived=0.0) for _ in range(100)]
    assert delays[-1] == max(delays) == LONGEST_DELAY


def test_a_stable_life_wipes_the_record():
    backoff = Backoff()
    for _ in range(6):
        backoff.delay_after(lived=0.0)
    assert backoff.delay_after(lived=STABLE_AFTER) == FIRST_DELAY
    assert backoff.deaths == 1
