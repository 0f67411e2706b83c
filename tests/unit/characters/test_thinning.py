"""Which versions are kept: all of 14 days, one an hour until 90, then one a day; under invented time."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from characters.thinning import bucket_of, follow, pack_link, runs, superfluous, unpack
from zonecluster.protocol.character import GENESIS_CHAIN, next_chain, state_hash

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
PLAY = timedelta(minutes=7)


def line(days):
    """Make versions every seven minutes for so many days, up to now: numbers and times."""
    count = int(timedelta(days=days) / PLAY)
    return [(number + 1, NOW - PLAY * (count - number)) for number in range(count)]


def thin(versions, now, protected=()):
    gone = set(superfluous(versions, protected=protected, now=now))
    return [one for one in versions if one[0] not in gone]


def test_the_young_stay_the_older_thin_out():
    kept = thin(line(120), NOW)
    by_age = Counter((NOW - at).days for _, at in kept)
    a_day = int(timedelta(days=1) / PLAY)
    assert all(abs(by_age[day] - a_day) <= 1 for day in range(14))
    assert all(by_age[day] == 24 for day in range(15, 89))
    assert all(by_age[day] == 1 for day in range(92, 118))


def test_the_newest_of_an_hour_and_of_a_day_stays():
    kept = {version for version, _ in thin(line(120), NOW)}
    for version, at in line(120):
        bucket = bucket_of(at, NOW)
        if bucket is not None and version not in kept:
            assert bucket_of(at + PLAY, NOW) == bucket or any(
                bucket_of(later, NOW) == bucket for number, later in line(120) if number in kept
            )


def test_what_others_point_at_stays():
    assert set(superfluous(line(60), protected={5, 9}, now=NOW)).isdisjoint({5, 9})


times = st.lists(st.integers(0, 200 * 86_400), min_size=1, max_size=80).map(sorted)


@given(times, st.integers(0, 100), st.integers(0, 100), st.sets(st.integers(1, 80), max_size=5))
def test_it_does_not_matter_how_often_it_ran_before(seconds, days, more, protected):
    start = NOW - timedelta(days=200)
    versions = [(number, start + timedelta(seconds=second)) for number, second in enumerate(seconds, start=1)]
    first, second = NOW + timedelta(days=days), NOW + timedelta(days=days + more)
    step_by_step = thin(thin(versions, first, protected), second, protected)
    assert step_by_step == thin(versions, second, protected)
    assert thin(step_by_step, second, protected) == step_by_step


@given(st.integers(1, 30), st.sets(st.integers(1, 30)))
def test_the_chain_is_followed_over_any_runs(length, gone):
    chains, links = [GENESIS_CHAIN], {}
    for version in range(1, length + 1):
        op_id, digest = UUID(int=version), state_hash(b"%d" % version)
        chains.append(next_chain(chains[-1], version, op_id, digest))
        if version in gone:
            links[version] = pack_link(op_id, digest)
    found = runs(links)
    assert {version for first, last, _ in found for version in range(first, last + 1)} == set(links)
    for first, last, data in found:
        assert follow(chains[first - 1], first, data) == chains[last]
        assert unpack(first, data) == {version: links[version] for version in range(first, last + 1)}
        assert first - 1 not in links and last + 1 not in links
