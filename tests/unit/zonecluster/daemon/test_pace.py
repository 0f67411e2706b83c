import pytest

from zonecluster.daemon.pace import CATCH_UP_TICKS, Pace

DT = 0.05


def test_on_time_ticks_are_full_speed() -> None:
    pace = Pace(DT, 100.0)
    now = 100.0
    for _ in range(41):
        assert pace.begin(now) == 0
        pace.end(now, now + 0.01)
        now += pace.wait_s(now)
    assert pace.dilation == pytest.approx(1.0, abs=0.06)
    assert pace.tick_ms == pytest.approx(10.0)
    assert pace.skipped_ticks == 0


def test_short_delay_is_made_up_for() -> None:
    pace = Pace(DT, 0.0)
    late = CATCH_UP_TICKS * DT
    assert [pace.begin(late) for _ in range(CATCH_UP_TICKS)] == [0] * CATCH_UP_TICKS
    assert pace.wait_s(late) == pytest.approx(0.0)


def test_long_delay_is_skipped_counted_and_told_as_dilation() -> None:
    pace = Pace(DT, 0.0)
    assert pace.begin(10.0) == 200 - CATCH_UP_TICKS
    pace.end(10.0, 10.0)
    assert pace.skipped_ticks == 200 - CATCH_UP_TICKS
    assert pace.dilation == pytest.approx(0.005)


def test_ticks_dearer_than_their_time_never_pile_up() -> None:
    pace, now = Pace(DT, 0.0), 0.0
    for _ in range(200):
        now += pace.wait_s(now)
        began = now
        pace.begin(began)
        now += 2 * DT
        pace.end(began, now)
    assert now - pace.next_at <= (CATCH_UP_TICKS + 2) * DT
    assert pace.dilation == pytest.approx(0.5, abs=0.05)
