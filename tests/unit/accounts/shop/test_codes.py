"""Gift codes, prices, Stripe's events: what is read of what people and programs write."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.shop.codes import ALPHABET, code_for, digest_of, read_code
from accounts.shop.prices import BadPrices, from_smallest_units, in_smallest_units, read_prices
from accounts.shop.standing import Kind
from accounts.shop.stripe_notices import BadEvent, read_event

UID = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
GOOD = """currency = "EUR"
[[product]]
slug = "month"
title = "Premium for 30 days"
days = 30
amount = "5.00"
"""


@given(st.uuids())
def test_a_code_is_read_however_it_is_typed(uid):
    code = code_for(uid, "secret")
    assert len(code) == 19 and set(code) <= {*ALPHABET, "-"}
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert read_code(typed) == code
    assert read_code(f"\u00a0{code.replace('-', '–')} ") == code


def test_codes_differ_by_row_and_by_secret():
    assert code_for(UID, "one") != code_for(UID, "two")
    assert code_for(UID, "one") != code_for(uuid4(), "one")
    assert digest_of(code_for(UID, "one")) == digest_of(code_for(UID, "one"))


@pytest.mark.parametrize("typed", ["", "7K2M", "7K2M-9QXA-4DTR-HW3", "ÄÄÄÄ" * 4, "U" * 16])
def test_what_can_be_no_code(typed):
    assert read_code(typed) is None


@given(st.text(max_size=80))
def test_any_text_is_a_code_or_none(typed):
    code = read_code(typed)
    assert code is None or len(code) == 19


def test_prices_are_read_as_they_are_written():
    prices = read_prices(GOOD + '[[product]]\nslug = "ever"\ntitle = "Premium"\namount = "60"\n', "prices")
    assert prices.product("month").amount == Decimal("5.00")
    assert prices.product("ever").days is None
    assert prices.product("nothing") is None
    taxed = read_prices('tax_percent = "19"\n' + GOOD, "prices")
    assert taxed.tax_in(Decimal("5.00")) == Decimal("0.80")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "currency"),
        ("currency = 5", "currency"),
        ('currency = "EUR"', "at least one"),
        (GOOD.replace('"5.00"', "5.00"), "in quotes"),
        (GOOD.replace('"5.00"', '"0.00"'), "amount"),
        (GOOD.replace('"5.00"', '"-5"'), "amount"),
        (GOOD.replace('"5.00"', '"5.001"'), "in steps of 0.01"),
        (GOOD.replace('"5.00"', '"NaN"'), "no number"),
        (GOOD.replace('"EUR"', '"JPY"').replace('"5.00"', '"5.50"'), "in steps of 1"),
        (GOOD.replace('"5.00"', '"100000"'), "9999"),
        (GOOD.replace("days = 30", "days = 0"), "days"),
        (GOOD.replace("days = 30", "days = true"), "days"),
        (GOOD.replace("days", "day"), "unknown: day"),
        (GOOD.replace('"month"', '"A Month"'), "slug"),
        (GOOD + GOOD.partition("\n")[2], "same slug"),
        ('tax_percent = "99"\n' + GOOD, "from 0 to 50"),
        ("currency = ", "prices"),
    ],
)
def test_a_slip_in_the_price_list_is_named(text, complaint):
    with pytest.raises(BadPrices, match=complaint):
        read_prices(text, "prices")


@given(st.integers(0, 10**9), st.sampled_from(["EUR", "JPY", "usd"]))
def test_amounts_survive_the_way_to_the_provider_and_back(count, currency):
    assert in_smallest_units(from_smallest_units(count, currency), currency) == count


def event(kind: str, subject: object, **changes: object) -> dict:
    return {"id": "evt_1", "type": kind, "created": 1772323200, "data": {"object": subject}, **changes}


SESSION = {
    "object": "checkout.session",
    "id": "cs_1",
    "payment_intent": "pi_1",
    "payment_status": "paid",
    "status": "complete",
    "amount_total": 500,
    "currency": "eur",
    "client_reference_id": str(UID),
}


def test_what_stripe_tells_of_a_checkout():
    told = read_event(event("checkout.session.completed", SESSION))
    assert (told.token, told.intent, told.notice.kind) == (str(UID), "pi_1", Kind.PAID)
    assert (told.notice.amount, told.notice.currency) == (Decimal("5.00"), "EUR")
    assert told.notice.happened_at == datetime(2026, 3, 1, tzinfo=UTC)
    unpaid = {**SESSION, "payment_status": "unpaid"}
    assert read_event(event("checkout.session.completed", unpaid)).notice.kind is Kind.PENDING
    assert read_event(event("checkout.session.async_payment_failed", unpaid)).notice.kind is Kind.FAILED
    gone = {**unpaid, "status": "expired", "payment_intent": None}
    assert read_event(event("checkout.session.expired", gone)).notice.subject == "cs_1"
    assert read_event(event("customer.created", {"object": "customer"})) is None


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"id": 5, "type": "refund.created"},
        event("refund.created", "re_1"),
        event("refund.created", {"object": "refund", "id": "re_1", "amount": "500", "currency": "eur"}),
        event("refund.created", {"object": "refund", "id": "re_1", "amount": -1, "currency": "eur"}),
        event("refund.created", {"object": "refund", "id": "re_1", "amount": 10**12, "currency": "eur"}),
        event("refund.created", {"object": "refund", "id": "re_1", "amount": 5, "currency": "€"}),
        event("charge.dispute.closed", {"object": "dispute", "id": "du_1", "amount": 5, "currency": "eur"}),
        event("charge.dispute.closed", {"object": "dispute"}, created="now"),
        event("checkout.session.completed", {**SESSION, "amount_total": None}),
    ],
)
def test_an_event_of_another_form_is_refused(broken):
    with pytest.raises(BadEvent):
        read_event(broken)


def test_a_token_that_is_none_of_ours_names_no_payment():
    for foreign in ("order 17", 5, None, ["x"]):
        told = read_event(event("checkout.session.completed", {**SESSION, "client_reference_id": foreign}))
        assert told.token == ""
