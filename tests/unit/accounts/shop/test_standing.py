"""How a payment stands: the same for every order and any repeats of what is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.shop.standing import Kind, Notice, Price, Standing, outcome_of

START = datetime(2026, 3, 1, tzinfo=UTC)
PRICE = Price(Decimal("5.00"), "EUR")


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def paid(amount: str = "5.00", currency: str = "EUR", subject: str = "pi_1", minutes: int = 1) -> Notice:
    return Notice(Kind.PAID, subject, at(minutes), "", Decimal(amount), currency)


def refund(amount: str, status: str = "succeeded", subject: str = "re_1", minutes: int = 2) -> Notice:
    return Notice(Kind.REFUND, subject, at(minutes), status, Decimal(amount), "EUR")


def total(amount: str, minutes: int = 2) -> Notice:
    return Notice(Kind.REFUND_TOTAL, "ch_1", at(minutes), "", Decimal(amount), "EUR")


def dispute(status: str, subject: str = "du_1", minutes: int = 3) -> Notice:
    return Notice(Kind.DISPUTE, subject, at(minutes), status, Decimal("5.00"), "EUR")


FAILED = Notice(Kind.FAILED, "pi_1", at(5))
PENDING = Notice(Kind.PENDING, "pi_1", at(0))
ACCEPTED = Notice(Kind.ACCEPTED, "staff", at(9))

STORIES = [
    ([], Standing.OPEN, False),
    ([PENDING], Standing.PENDING, False),
    ([PENDING, FAILED], Standing.FAILED, False),
    ([PENDING, paid()], Standing.PAID, True),
    ([FAILED, paid(minutes=9)], Standing.PAID, True),  # late, after the checkout had run out
    ([paid(), paid()], Standing.PAID, True),
    ([paid("4.99")], Standing.HELD, False),
    ([paid("5.00", "USD")], Standing.HELD, False),
    ([paid("0.00")], Standing.OPEN, False),
    ([paid("9.00")], Standing.PAID, True),
    ([paid("4.99"), ACCEPTED], Standing.PAID, True),
    ([ACCEPTED], Standing.OPEN, False),  # nothing came that could be accepted
    ([paid("2.50"), paid("2.50", subject="pi_2")], Standing.PAID, True),
    ([paid(), refund("5.00")], Standing.REFUNDED, False),
    ([paid(), refund("5.00", "pending")], Standing.REFUNDED, False),
    ([paid(), refund("5.00"), refund("5.00", "failed", minutes=8)], Standing.PAID, True),
    ([paid(), refund("2.00")], Standing.PAID, True),
    ([paid(), refund("2.00"), refund("3.00", subject="re_2")], Standing.REFUNDED, False),
    ([paid(), total("5.00")], Standing.REFUNDED, False),
    ([paid(), total("5.00"), refund("5.00")], Standing.REFUNDED, False),
    ([paid(), total("5.00"), refund("5.00", "failed")], Standing.PAID, True),
    ([paid(), total("2.00"), total("5.00", minutes=4)], Standing.REFUNDED, False),
    ([paid(), dispute("needs_response")], Standing.DISPUTED, False),
    ([paid(), dispute("warning_needs_response")], Standing.PAID, True),  # an inquiry takes no money
    ([paid(), dispute("needs_response"), dispute("won", minutes=7)], Standing.PAID, True),
    ([paid(), dispute("needs_response"), dispute("lost", minutes=7)], Standing.CHARGED_BACK, False),
    ([paid(), dispute("won"), dispute("needs_response", "du_2", 9)], Standing.DISPUTED, False),
    ([paid(), dispute("a word of next year")], Standing.DISPUTED, False),
    ([paid("9.00"), refund("4.00")], Standing.PAID, True),
    ([refund("5.00")], Standing.OPEN, False),  # known before the payment itself
]


@pytest.mark.parametrize(("notices", "standing", "grants"), STORIES)
def test_every_story_ends_as_it_should(notices, standing, grants):
    outcome = outcome_of(notices, PRICE)
    assert (outcome.standing, outcome.grants) == (standing, grants)


@given(st.sampled_from([story for story, _, _ in STORIES]), st.data())
def test_no_order_and_no_repeats_make_a_difference(story, data):
    expected = outcome_of(story, PRICE)
    told = data.draw(st.permutations([*story, *data.draw(st.lists(st.sampled_from(story or [PENDING])))]))
    if story or not told:
        assert outcome_of(told, PRICE) == expected


amounts = st.integers(0, 1200).map(lambda cents: Decimal(cents) / 100)
notices = st.builds(
    Notice,
    kind=st.sampled_from(Kind),
    subject=st.sampled_from(["a", "b"]),
    happened_at=st.integers(0, 5).map(at),
    status=st.sampled_from(
        ["", "succeeded", "pending", "failed", "needs_response", "warning_closed", "won", "lost", "nonsense"]
    ),
    amount=amounts,
    currency=st.sampled_from(["EUR", "USD", ""]),
)


@given(st.lists(notices, max_size=9), st.randoms())
def test_whatever_is_told_the_order_is_none_of_it(told, rng):
    shuffled = [*told, *told[:3]]
    rng.shuffle(shuffled)
    assert outcome_of(shuffled, PRICE) == outcome_of(told, PRICE)


@given(st.lists(notices, max_size=9))
def test_nothing_is_granted_that_was_not_paid_for(told):
    outcome = outcome_of(told, PRICE)
    came = sum((notice.amount for notice in told if notice.kind is Kind.PAID), Decimal(0))
    was_accepted = any(notice.kind is Kind.ACCEPTED for notice in told)
    if outcome.grants:
        assert outcome.standing is Standing.PAID
        assert came >= PRICE.amount or (was_accepted and came > 0)
    assert outcome.refunded >= 0
    assert len(outcome.concern) <= 200


def test_staff_is_told_what_to_look_at():
    assert "asked for were 5.00" in outcome_of([paid("4.99")], PRICE).concern
    assert "USD" in outcome_of([paid("5.00", "USD")], PRICE).concern
    assert "too much" in outcome_of([paid("9.00")], PRICE).concern
    assert outcome_of([paid("9.00"), refund("4.00")], PRICE).concern == ""
    assert "answer at the provider" in outcome_of([paid(), dispute("needs_response")], PRICE).concern


@pytest.mark.parametrize("decided", [[], [ACCEPTED]], ids=["held", "accepted"])
def test_another_currency_that_went_back_whole_is_refunded(decided):
    """Accepted by staff and paid back at the provider, it must not go on granting."""
    came = [paid("6.00", "USD"), *decided]
    part = Notice(Kind.REFUND, "re_1", at(10), "succeeded", Decimal("2.00"), "USD")
    rest = Notice(Kind.REFUND, "re_2", at(11), "succeeded", Decimal("4.00"), "USD")
    before = Standing.PAID if decided else Standing.HELD
    assert outcome_of([*came, part], PRICE).standing is before
    outcome = outcome_of([*came, part, rest], PRICE)
    assert (outcome.standing, outcome.grants) == (Standing.REFUNDED, False)
