"""Which spans of Premium follow from claims: no day is lost, none is given twice, no repeat books any."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from accounts.shop.terms import Claim, Grant, Revoke, Round, after, deeds

START = datetime(2026, 3, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def claim(name: str, days: int | None = 30, is_good: bool = True, since: float = 0) -> Claim:
    return Claim(name, days, is_good, day(since))


def spans(rounds: list[Round]) -> list[tuple[str, float, float | None]]:
    """Return open rounds as (claim, first day, last day)."""
    found = [each for each in rounds if each.is_open]
    return [
        (
            each.reference,
            (each.starts_at - START) / timedelta(days=1),
            None if each.ends_at is None else (each.ends_at - START) / timedelta(days=1),
        )
        for each in sorted(found, key=lambda each: each.starts_at)
    ]


def play(rounds: list[Round], claims: list[Claim], now: float, *others: Round) -> list[Round]:
    return after(rounds, deeds(claims, rounds, others, day(now)), day(now))


def test_a_purchase_begins_at_once_and_a_second_one_after_it():
    rounds = play([], [claim("a")], 0)
    rounds = play(rounds, [claim("a"), claim("b", since=10)], 10)
    assert spans(rounds) == [("a", 0, 30), ("b", 30, 60)]


def test_a_refund_of_the_first_brings_the_second_forward():
    rounds = play([], [claim("a"), claim("b", since=1)], 1)
    rounds = play(rounds, [claim("a", is_good=False), claim("b", since=1)], 5)
    assert spans(rounds) == [("b", 5, 35)]


def test_a_dispute_that_is_won_gives_back_what_was_not_used():
    rounds = play([], [claim("a")], 0)
    rounds = play(rounds, [claim("a", is_good=False)], 10)
    assert spans(rounds) == []
    rounds = play(rounds, [claim("a")], 40)
    assert spans(rounds) == [("a", 40, 60)]
    assert [each.number for each in rounds] == [1, 2], "the ledger's first rows stay as they are"


def test_premium_of_staff_comes_first_and_premium_for_good_covers_all():
    staff = Round("demo", 1, day(-5), day(20))
    assert spans(play([], [claim("a")], 0, staff)) == [("a", 20, 50)]
    rounds = play(play([], [claim("a", None)], 1), [claim("a", None), claim("b", since=2)], 2)
    assert spans(rounds) == [("a", 1, None), ("b", 2, 32)]
    forever = Round("staff", 1, day(-5), None)
    assert spans(play([], [claim("a")], 0, forever)) == [("a", 0, 30)]


def test_what_staff_took_back_stays_back():
    rounds = play([], [claim("a")], 0)
    taken = [Round("a", 1, day(0), day(30), revoked_at=day(3), is_final=True)]
    assert deeds([claim("a")], taken, [], day(4)) == []
    assert deeds([claim("a")], rounds, [], day(4)) == []


def test_used_up_claims_get_nothing_more():
    rounds = play([], [claim("a")], 0)
    assert deeds([claim("a")], rounds, [], day(31)) == []
    rounds = play(rounds, [claim("a", is_good=False)], 31)
    assert deeds([claim("a")], rounds, [], day(40)) == [], "its thirty days were used before it was disputed"


names = st.sampled_from(["a", "b", "c"])
steps = st.lists(st.tuples(names, st.booleans(), st.integers(0, 12)), max_size=12)


@given(steps)
def test_over_any_story_each_claim_gets_its_days_and_no_more(story):
    """Claims come, are taken back and given back at any time; each step is booked twice."""
    standing: dict[str, Claim] = {}
    rounds: list[Round] = []
    now = 0
    for name, is_good, later in story:
        now += later
        since = standing[name].since if name in standing else day(now)
        standing[name] = Claim(name, 10, is_good, since)
        booked = deeds(standing.values(), rounds, [], day(now))
        rounds = after(rounds, booked, day(now))
        assert deeds(standing.values(), rounds, [], day(now)) == [], "a repeat books nothing"
        check_rounds(rounds, standing, now)
    for name, each in standing.items():
        if each.is_good:
            assert total_of(rounds, name, day(10_000)) == timedelta(days=10)


def check_rounds(rounds: list[Round], standing: dict[str, Claim], now: int) -> None:
    open_now = [each for each in rounds if each.is_open]
    assert len({each.reference for each in open_now}) == len(open_now), "one open round for a claim at most"
    assert all(standing[each.reference].is_good for each in open_now)
    ahead = sorted((each for each in open_now if each.ends_at > day(now)), key=lambda each: each.starts_at)
    if ahead:
        assert ahead[0].starts_at <= day(now), "no gap while there is paid time left"
    for one, next_one in zip(ahead, ahead[1:], strict=False):
        assert one.ends_at == next_one.starts_at, "one after the other"
    for name in standing:
        assert total_of(rounds, name, day(10_000)) <= timedelta(days=10)


def total_of(rounds: list[Round], name: str, now: datetime) -> timedelta:
    return sum((each.used(now) for each in rounds if each.reference == name), timedelta(0))


def test_deeds_are_said_in_an_order_that_can_be_booked():
    rounds = play([], [claim("a"), claim("b", since=1)], 1)
    booked = deeds([claim("a", is_good=False), claim("b", since=1)], rounds, [], day(5))
    assert [type(each) for each in booked] == [Revoke, Revoke, Grant]
