"""When a world is restarted: local times, quiet hours that were learned, policies that can never fire."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from worlds.restart_rules import (
    HORIZON,
    HourSample,
    NeverDue,
    Policy,
    blackout_of,
    fault_of,
    learn,
    local_instant,
    minutes_left,
    next_due,
    notice_due,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
NIGHTLY = Policy(when="fixed", at=time(4), time_zone="Europe/Berlin", min_uptime=timedelta(hours=20))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


# ---------------------------------------------------------------- local times


@pytest.mark.parametrize(
    ("day", "at", "zone", "expected"),
    [
        (date(2026, 1, 10), time(4), "Europe/Berlin", utc(2026, 1, 10, 3)),
        (date(2026, 7, 10), time(4), "Europe/Berlin", utc(2026, 7, 10, 2)),
        # 02:30 does not exist: the clocks go from 02:00 to 03:00 at 01:00 UTC
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", utc(2026, 3, 29, 1)),
        (date(2026, 3, 29), time(2), "Europe/Berlin", utc(2026, 3, 29, 1)),
        (date(2026, 3, 29), time(3), "Europe/Berlin", utc(2026, 3, 29, 1)),
        # 02:30 comes twice: the first one, in summer time
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", utc(2026, 10, 25, 0, 30)),
        (date(2026, 3, 8), time(2, 15), "America/New_York", utc(2026, 3, 8, 7)),
        # half an hour of saving: 02:10 does not exist
        (date(2026, 10, 4), time(2, 10), "Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
        # the clocks skip midnight
        (date(2026, 9, 6), time(0, 10), "America/Santiago", utc(2026, 9, 6, 4)),
        (date(2026, 6, 1), time(4), "Asia/Kathmandu", utc(2026, 5, 31, 22, 15)),
    ],
)
def test_a_local_time_is_one_instant_whatever_the_clocks_do(day, at, zone, expected) -> None:
    assert local_instant(day, at, ZoneInfo(zone)) == expected


def test_a_day_that_a_zone_left_out_has_no_instant() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went over the date line by leaving out the 30th
    assert local_instant(date(2011, 12, 30), time(4), apia) is None
    assert local_instant(date(2011, 12, 31), time(4), apia) == utc(2011, 12, 30, 14)


def test_a_nightly_restart_comes_once_a_local_day_for_two_years() -> None:
    policy = replace(NIGHTLY, at=time(2, 30))
    now, last, days = utc(2026, 1, 1, 12), None, []
    while now < utc(2028, 1, 1):
        due = next_due(policy, now, last=last)
        days.append(due.at.astimezone(BERLIN).date())
        now, last = due.at + timedelta(seconds=90), due.at
    assert days == [date(2026, 1, 2) + timedelta(days=n) for n in range(len(days))]


# ---------------------------------------------------------------- fixed times


def test_the_next_fixed_restart_is_tomorrow_morning() -> None:
    due = next_due(NIGHTLY, NOW)
    assert due.at == utc(2026, 11, 24, 3)
    assert due.why == "at 04:00, Europe/Berlin, as set"


def test_weekdays_and_blackout_days_are_local() -> None:
    # 23:30 UTC on Tuesday is Wednesday in Tokyo
    policy = Policy(when="fixed", at=time(8, 30), time_zone="Asia/Tokyo", weekdays=0b100)
    assert next_due(policy, NOW).at == utc(2026, 11, 24, 23, 30)
    dark = replace(policy, blackout_days=frozenset({date(2026, 11, 25)}))
    assert next_due(dark, NOW).at == utc(2026, 12, 1, 23, 30)


def test_the_minimum_uptime_counts_from_when_the_last_one_was_due() -> None:
    last = utc(2026, 11, 23, 11)
    assert next_due(NIGHTLY, NOW, last=last).at == utc(2026, 11, 25, 3)  # 16 hours are too few
    daily = replace(NIGHTLY, min_uptime=timedelta(hours=24))
    assert next_due(daily, utc(2026, 11, 24, 3, 5), last=utc(2026, 11, 24, 3)).at == utc(2026, 11, 25, 3)


def test_nothing_is_planned_before_players_can_hear_of_it() -> None:
    assert next_due(NIGHTLY, utc(2026, 11, 24, 2, 50)).at == utc(2026, 11, 25, 3)
    assert next_due(NIGHTLY, utc(2026, 11, 24, 2, 45)).at == utc(2026, 11, 24, 3)


def test_a_restart_that_was_called_off_is_not_planned_again() -> None:
    assert next_due(NIGHTLY, NOW, after=utc(2026, 11, 24, 3)).at == utc(2026, 11, 25, 3)


# ---------------------------------------------------------------- policies that can never fire


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": None}, "needs the time"),
        ({"time_zone": "Europe/Gotham"}, "no time zone"),
        ({"time_zone": ""}, "no time zone"),
        ({"time_zone": "../../etc/passwd"}, "no time zone"),
        ({"time_zone": "Europe"}, "no time zone"),
        ({"weekdays": 0}, "no day of the week"),
        ({"weekdays": 128}, "no day of the week"),
        ({"min_uptime": HORIZON}, "shorter than 60 days"),
        ({"min_uptime": timedelta(days=4000)}, "shorter than 60 days"),
    ],
)
def test_a_policy_that_can_never_fire_is_refused_with_the_reason(change, words) -> None:
    assert words in fault_of(replace(NIGHTLY, **change), NOW)


def test_all_mondays_blacked_out_is_never_and_says_so() -> None:
    mondays = frozenset(date(2026, 11, 23) + timedelta(weeks=n) for n in range(20))
    policy = replace(NIGHTLY, weekdays=1, blackout_days=mondays)
    fault = fault_of(policy, NOW)
    assert (
        "no restart is possible" in fault and "51 are other days" in fault and "9 are blackout days" in fault
    )
    assert fault_of(replace(policy, weekdays=3), NOW) == ""


def test_never_is_no_fault_but_has_no_due() -> None:
    assert fault_of(Policy(), NOW) == ""
    with pytest.raises(NeverDue, match="never restarted by itself"):
        next_due(Policy(), NOW)


@pytest.mark.parametrize(
    "value", ["2026-12-24", None, 7, {"a": 1}, ["24.12."], [None], [20261224], ["x"] * 401]
)
def test_blackout_days_that_are_none_are_refused(value) -> None:
    with pytest.raises(NeverDue, match="Blackout days are"):
        blackout_of(value)


def test_blackout_days_are_read() -> None:
    assert blackout_of(["2026-12-24", "2026-12-25"]) == {date(2026, 12, 24), date(2026, 12, 25)}
    assert blackout_of([]) == frozenset()


# ---------------------------------------------------------------- quiet hours that were learned


def weeks_of(first: datetime, hours: int, population) -> list[HourSample]:
    return [
        HourSample(at, population(at.astimezone(BERLIN)), 60)
        for at in (first + timedelta(hours=n) for n in range(hours))
    ]


def evening_people(local: datetime) -> float:
    """Busy in the evening; quietest at 05:00, on Sundays at 09:00."""
    quietest = 9 if local.weekday() == 6 else 5
    return 10.0 + 5 * min((local.hour - quietest) % 24, (quietest - local.hour) % 24)


OFF_PEAK = Policy(when="off_peak", time_zone="Europe/Berlin")


def test_the_quietest_hour_is_learned_by_hour_of_week() -> None:
    profile = learn(weeks_of(utc(2026, 10, 26), 4 * 168, evening_people), "Europe/Berlin")
    assert profile.is_enough and profile.known == 168
    due = next_due(OFF_PEAK, NOW, profile=profile)
    assert due.at.astimezone(BERLIN) == datetime(2026, 11, 24, 5, tzinfo=BERLIN)
    assert "10." in due.why and "4 weeks" in due.why and "Tuesday 05:00" in due.why
    sundays = next_due(replace(OFF_PEAK, weekdays=1 << 6), NOW, profile=profile)
    assert sundays.at.astimezone(BERLIN).hour == 9


def test_the_quiet_hour_stays_at_its_local_time_over_the_change_of_clocks() -> None:
    summer = learn(weeks_of(utc(2026, 9, 7), 4 * 168, evening_people), "Europe/Berlin")
    before = next_due(OFF_PEAK, utc(2026, 10, 23, 12), profile=summer).at
    after = next_due(OFF_PEAK, utc(2026, 10, 26, 12), profile=summer).at
    assert (before.hour, after.hour) == (3, 4)
    assert {before.astimezone(BERLIN).hour, after.astimezone(BERLIN).hour} == {5}


def test_too_little_data_is_said_and_a_plain_hour_taken() -> None:
    profile = learn(weeks_of(utc(2026, 11, 20), 72, evening_people), "Europe/Berlin")
    due = next_due(OFF_PEAK, NOW, profile=profile)
    assert due.at.astimezone(BERLIN).time() == time(4)
    assert "72 of 168" in due.why and "not known yet" in due.why
    wished = next_due(replace(OFF_PEAK, at=time(6, 30)), NOW, profile=profile)
    assert wished.at.astimezone(BERLIN).time() == time(6, 30)
    assert "0 of 168" in next_due(OFF_PEAK, NOW).why


def test_hours_that_were_hardly_counted_and_figures_that_cannot_be_are_left_out() -> None:
    profile = learn(
        [
            HourSample(NOW, 5.0, 29),
            HourSample(NOW, float("nan"), 60),
            HourSample(NOW, -1.0, 60),
            HourSample(NOW, 7.0, 6000),
        ],
        "UTC",
    )
    assert profile.known == 1
    assert profile.expected(NOW.weekday(), NOW.hour) == pytest.approx(7.0)
    assert profile.expected(NOW.weekday(), 3) is None


def test_one_odd_week_does_not_make_an_hour_quiet() -> None:
    samples = weeks_of(utc(2026, 11, 16), 168, evening_people)
    odd = [
        replace(sample, mean=0.0) if sample.at == utc(2026, 11, 17, 19) else sample for sample in samples
    ]  # the world was down on Tuesday evening
    due = next_due(replace(OFF_PEAK, weekdays=0b10), NOW, profile=learn(odd, "Europe/Berlin"))
    assert due.at.astimezone(BERLIN).hour == 5


def test_an_empty_world_is_restarted_at_four() -> None:
    profile = learn(weeks_of(utc(2026, 10, 26), 4 * 168, lambda local: 0.0), "Europe/Berlin")
    assert next_due(OFF_PEAK, NOW, profile=profile).at.astimezone(BERLIN).hour == 4


def test_a_quiet_hour_that_is_too_early_is_left_for_the_next_days() -> None:
    profile = learn(weeks_of(utc(2026, 10, 26), 4 * 168, evening_people), "Europe/Berlin")
    due = next_due(OFF_PEAK, utc(2026, 11, 24, 3, 50), profile=profile)
    assert due.at.astimezone(BERLIN) == datetime(2026, 11, 25, 5, tzinfo=BERLIN)


# ---------------------------------------------------------------- notices


def test_each_notice_is_given_once_in_its_time() -> None:
    due, told, said = NOW + timedelta(hours=2), [], []
    for minute in range(121):
        now = NOW + timedelta(minutes=minute)
        if (notice := notice_due(due, now, told)) is not None:
            told.append(notice)
            said.append((minute, notice))
    assert said == [(60, 60), (90, 30), (105, 15), (115, 5), (119, 1)]


def test_a_restart_that_is_planned_late_is_told_of_at_once() -> None:
    due = NOW + timedelta(minutes=11)
    assert notice_due(due, NOW, []) == 15
    assert notice_due(due, NOW, [15]) is None
    assert notice_due(due, NOW + timedelta(minutes=6), [15]) == 5


def test_missed_notices_are_not_made_up_for_and_none_comes_after_the_begin() -> None:
    due = NOW + timedelta(minutes=4)
    assert notice_due(due, NOW, [60]) == 5
    assert notice_due(due, NOW, [5, 60]) is None
    assert notice_due(due, due, []) is None


@pytest.mark.parametrize(("seconds", "minutes"), [(3600, 60), (3599, 60), (61, 2), (60, 1), (5, 1), (0, 1)])
def test_minutes_are_told_as_people_say_them(seconds, minutes) -> None:
    assert minutes_left(NOW + timedelta(seconds=seconds), NOW) == minutes
