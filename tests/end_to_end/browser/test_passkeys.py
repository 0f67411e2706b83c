"""Passkeys with Chromium's own virtual authenticator: made, shown, logged in by; the pages' looks."""

import pytest
from playwright.sync_api import Page, expect

from characters.services import create_character
from tests.end_to_end.browser.conftest import PASSWORD
from tests.end_to_end.browser.looking import look_at, picture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def give_authenticator(page: Page) -> None:
    """Put a device with a fingerprint reader, and a finger on it, into the browser."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def prove(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def test_a_passkey_is_made_and_then_opens_the_account_by_itself(visit, bob):
    bob.emailaddress_set.update(verified=True)
    character = create_character(account=bob, name="Tilda Fen", by=bob, now=bob.date_joined)
    one = visit(reduced_motion="reduce")
    look_at(one, "log-in", "/account/log-in/", keyboard=True)
    page = one.log_in(bob.email)
    give_authenticator(page)

    one.open("/account/security/passkeys/new/")
    picture(page, "is-it-still-you")
    prove(page)
    page.get_by_label("Name", exact=True).fill("My laptop")
    picture(page, "passkey-new")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    picture(page, "recovery-codes")
    look_at(one, "security", "/account/security/", keyboard=True)
    expect(page.get_by_role("heading", name="My laptop")).to_be_visible()
    look_at(one, "app-new", "/account/security/app/")
    look_at(one, "devices", "/account/devices/")
    look_at(one, "account-data", "/account/data/")
    look_at(one, "account-leave", "/account/leave/")
    look_at(one, "account-e-mail", "/account/e-mail/")
    look_at(one, "character-delete", f"/characters/{character.pk}/delete/")
    look_at(one, "character-rename", f"/characters/{character.pk}/rename/")

    one.open("/account/")
    page.get_by_role("button", name="Log out").click()
    one.open("/account/log-in/")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/characters/")

    one.open("/account/")
    page.get_by_role("button", name="Log out").click()
    one.open("/account/log-in/")
    page.get_by_label("E-mail address").fill(bob.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    picture(page, "second-step")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_text("That did not work")).to_be_visible()
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("**/characters/")
