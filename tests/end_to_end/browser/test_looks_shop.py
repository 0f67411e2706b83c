"""How the shop looks, bought through as a person would; pictured in artifacts/pages/."""

import re

import pytest
from playwright.sync_api import expect

from accounts.models import Account
from tests.end_to_end.browser.looking import look_at, picture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_premium_is_bought_given_away_refunded_and_looked_at(visit, bob: Account):
    browser = visit(reduced_motion="reduce")
    look_at(browser, "premium", "/premium/", keyboard=True)
    look_at(browser, "checkout-stranger", "/premium/checkout/")
    browser.log_in(bob.email)
    browser.page.wait_for_load_state("networkidle")
    look_at(browser, "receipts-none", "/premium/payments/")

    page = look_at(browser, "checkout", "/premium/checkout/?product=month", keyboard=True)
    page.get_by_label("Somebody whose e-mail address I know").check()
    page.get_by_label("Their e-mail address").fill("carol@")
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_text("not a complete e-mail address").wait_for()
    assert page.get_by_label("Their e-mail address").input_value() == "carol@"
    picture(page, "checkout-wrong")
    page.get_by_label("Their e-mail address").fill("")
    page.get_by_label("Me, on this account").check()
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_role("heading", name="Pretend to pay").wait_for()
    picture(page, "try-payment")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("You have Premium until")).to_be_visible()
    picture(page, "payment-paid")
    page.get_by_role("button", name="Let the bank dispute it").click()
    expect(page.get_by_text("set aside")).to_be_visible()
    picture(page, "payment-disputed")
    page.get_by_role("button", name="Dispute won").click()
    page.get_by_role("button", name="Refund it").click()
    expect(page.get_by_text("It was paid back")).to_be_visible()
    picture(page, "payment-refunded")

    page = browser.open("/premium/checkout/")
    page.get_by_label("A gift code, to give away as I like").check()
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    code = page.locator(".secret").inner_text()
    assert re.fullmatch("([0-9A-Z]{4}-){3}[0-9A-Z]{4}", code)
    picture(page, "payment-code")
    page = look_at(browser, "redeem", "/premium/code/", keyboard=True)
    page.get_by_label("Gift code").fill("7K2M 9QXA")
    page.get_by_role("button", name="Redeem it").click()
    page.get_by_text("A code has sixteen letters").wait_for()
    picture(page, "redeem-wrong")
    page.get_by_label("Gift code").fill(code.lower().replace("-", " "))
    page.get_by_role("button", name="Redeem it").click()
    expect(page.get_by_text("The code is redeemed.")).to_be_visible()
    picture(page, "premium-mine")
    look_at(browser, "receipts", "/premium/payments/")
