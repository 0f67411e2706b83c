"""When a backup is due, which are kept: by the clock alone."""

import inspect
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystone.backups import rules
from waystone.backups.rules import (
    Kept,
    backup_name,
    is_backup_name,
    is_due,
    is_too_old,
    newest_slot,
    quietest_hour,
    retry_after,
    to_delete,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
instants = st.integers(0, 365 * 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes))


def test_a_new_deployment_is_backed_up_in_its_first_quiet_hour():
    born = MONDAY + 9 * HOUR
    assert not is_due(born + HOUR, 4, born, None, [])
    assert not is_due(MONDAY + DAY + 3.9 * HOUR, 4, born, None, [])
    assert is_due(MONDAY + DAY + 4 * HOUR, 4, born, None, [])


def test_then_once_a_day():
    made = MONDAY + 4 * HOUR + timedelta(minutes=3)
    assert not is_due(made + timedelta(minutes=5), 4, MONDAY - DAY, made, [])
    assert not is_due(MONDAY + DAY + 3 * HOUR, 4, MONDAY - DAY, made, [])
    assert is_due(MONDAY + DAY + 4 * HOUR, 4, MONDAY - DAY, made, [])


def test_a_quiet_hour_that_wanders_does_not_put_it_off_for_longer_than_25_hours():
    made = MONDAY + 2 * HOUR
    assert is_due(made + 25 * HOUR, 23, MONDAY - DAY, made, [])


def test_one_that_failed_is_made_again_soon_and_then_more_seldom():
    assert [retry_after(n) / timedelta(minutes=1) for n in (1, 2, 3, 4, 5, 40)] == [5, 10, 20, 40, 60, 60]
    failed = MONDAY + 4 * HOUR
    assert not is_due(failed + timedelta(minutes=4), 4, MONDAY - 2 * DAY, None, [failed])
    assert is_due(failed + timedelta(minutes=5), 4, MONDAY - 2 * DAY, None, [failed])


@given(instants, st.integers(0, 23), st.lists(st.timedeltas(timedelta(0), 3 * DAY), max_size=8))
def test_whatever_fails_it_is_begun_within_26_hours_of_the_last(start, hour, pauses):
    """A beat every five minutes for two days; each attempt takes as long as one of `pauses` and fails."""
    last_good, failed, now = start, [], start
    for pause in [timedelta(0), *pauses]:
        while not is_due(now, hour, start - 40 * DAY, last_good, failed):
            now += timedelta(minutes=5)
            since = max([last_good + timedelta(hours=25), *(at + HOUR for at in failed)])
            assert now <= since + timedelta(minutes=10)
        now += pause
        failed.append(now)


def test_nothing_that_players_do_is_asked_for():
    """In the system that Waystone follows each save put the backup off. Here no rule is told of any."""
    asked = set(inspect.signature(is_due).parameters)
    assert asked == {"now", "hour", "born", "last_good", "failed"}


@given(instants, st.integers(0, 23))
def test_the_newest_slot_is_less_than_a_day_ago(now, hour):
    slot = newest_slot(now, hour)
    assert slot <= now < slot + DAY and slot.hour == hour


def week(players) -> list[tuple[datetime, float]]:
    return [(MONDAY + n * HOUR, players((MONDAY + n * HOUR).hour)) for n in range(24 * 7)]


def test_the_quietest_hour_is_learned():
    assert quietest_hour(week(lambda hour: abs(hour - 9) + 1)) == 9


def test_until_enough_is_known_it_is_the_fixed_one():
    assert quietest_hour([]) == rules.FIXED_HOUR
    assert quietest_hour(week(lambda hour: hour)[:71]) == rules.FIXED_HOUR
    only_evenings = [each for each in week(lambda hour: 5) if each[0].hour > 17] * 3
    assert quietest_hour(only_evenings) == rules.FIXED_HOUR


def test_where_nobody_plays_it_stays_the_fixed_one():
    assert quietest_hour(week(lambda hour: 0)) == rules.FIXED_HOUR


def test_the_alarm_comes_after_26_hours_without_a_proof():
    assert not is_too_old(MONDAY, MONDAY - 3 * DAY, MONDAY - 26 * HOUR)
    assert is_too_old(MONDAY, MONDAY - 3 * DAY, MONDAY - 26.1 * HOUR)
    assert is_too_old(MONDAY, MONDAY - 2 * DAY, None) and not is_too_old(MONDAY, MONDAY - DAY, None)


def daily(days: int, proven=lambda n: True) -> list[Kept]:
    return [Kept(f"d{n}", MONDAY - n * DAY, proven(n)) for n in range(days)]


def test_a_week_of_all_and_two_months_of_one_a_week():
    gone = to_delete(daily(120), MONDAY + HOUR, days=7, weeks=9)
    kept = [each for each in daily(120) if each.name not in gone]
    assert [each.name for each in kept[:7]] == [f"d{n}" for n in range(7)]
    weeks = [each.started_at.isocalendar()[:2] for each in kept[7:]]
    assert len(weeks) == len(set(weeks)) and 8 <= len(weeks) <= 9
    assert min(each.started_at for each in kept) > MONDAY - timedelta(weeks=9)


@given(
    st.lists(st.tuples(instants, st.booleans()), min_size=1, max_size=60, unique_by=lambda each: each[0]),
    instants,
    st.integers(1, 30),
    st.integers(0, 20),
)
def test_the_newest_and_the_newest_proven_are_never_deleted(made, now, days, weeks):
    kept = [Kept(str(n), at, proven) for n, (at, proven) in enumerate(made)]
    gone = set(to_delete(kept, now, days=days, weeks=weeks))
    stay = [each for each in kept if each.name not in gone]
    assert max(kept, key=lambda each: each.started_at) in stay
    proven = [each for each in kept if each.is_proven]
    assert not proven or max(proven, key=lambda each: each.started_at) in stay
    assert not {each.name for each in kept if now - each.started_at < days * DAY} & gone
    assert to_delete(stay, now, days=days, weeks=weeks) == []


@pytest.mark.parametrize(
    "name", ["", "a", "../x-20261123T041500Z", "A-20261123T041500Z", "x-20261123T041500Z.dump"]
)
def test_what_is_no_backup_of_ours(name):
    assert not is_backup_name(name)


def test_names_sort_by_time():
    names = [backup_name("aurora", MONDAY + n * HOUR) for n in range(30)]
    assert sorted(names) == names and all(is_backup_name(name) for name in names)
