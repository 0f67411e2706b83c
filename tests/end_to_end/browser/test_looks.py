"""How the pages look: each fits, is light, passes axe, and is pictured in artifacts/pages/ (looking.py)."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account, Entitlement
from characters.services import create_character
from tests.end_to_end.browser.looking import PICTURES, look_at

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FOR_ALL = {
    "home": "/",
    "worlds": "/worlds/",
    "worlds-none": "/worlds/?search=nothing+like+this",
    "world": "/worlds/lanternrest/",
    "world-asleep": "/worlds/ember-hollow/",
    "how-to-play": "/how-to-play/",
    "sign-up": "/account/sign-up/",
    "log-in": "/account/log-in/",
    "lost-password": "/account/password/lost/",
    "letter-sent": "/account/password/lost/sent/",
    "bad-link": "/account/password/new/1-bad-link/",
    "bad-confirmation": "/account/e-mail/confirm/bad/",
    "confirm-sent": "/account/e-mail/sent/",
    "closed": "/account/closed/",
    "password-set": "/account/password/new/done/",
    "not-found": "/nothing/",
}
NOT_200 = {"not-found": 404}
FOR_BOB = {
    "my-characters": "/characters/",
    "account": "/account/",
    "change-password": "/account/password/",
    "log-out": "/account/log-out/",
    "world-logged-in": "/worlds/lanternrest/",
}


BY_KEYBOARD = {"home", "worlds", "world", "sign-up", "my-characters", "account"}


def test_every_page_fits_passes_axe_and_is_pictured(visit, bob: Account):
    browser = visit(reduced_motion="reduce")
    for name, path in FOR_ALL.items():
        look_at(browser, name, path, status=NOT_200.get(name, 200), keyboard=name in BY_KEYBOARD)
    browser.log_in(bob.email)
    look_at(browser, "my-characters-none", "/characters/")
    create_character(account=bob, name="Tilda Fen", by=bob, now=timezone.now())
    create_character(account=bob, name="Orrin", by=bob, now=timezone.now())
    for name, path in FOR_BOB.items():
        look_at(browser, name, path, keyboard=name in BY_KEYBOARD)
    go_over_the_slots(bob)
    look_at(browser, "my-characters-locked", "/characters/")
    look_at(browser, "characters-open", "/characters/open/", keyboard=True)


def go_over_the_slots(bob: Account) -> None:
    """Leave him with more characters than Free has open: he was Premium for a while."""
    now = timezone.now()
    row = {"account": bob, "edition": "premium", "source": "staff", "reference": "test"}
    Entitlement.objects.create(**row, is_grant=True, starts_at=now - timedelta(hours=1))
    for name in ("Aster", "Bryony", "Sorrel"):
        create_character(account=bob, name=name, by=bob, now=now)
    Entitlement.objects.create(**row, is_grant=False, starts_at=now)


def test_a_phone_s_menu_opens_and_closes_by_keyboard_without_a_script(visit):
    browser = visit(width=390, java_script_enabled=False, reduced_motion="reduce")
    page = browser.open("/how-to-play/")
    worlds = page.get_by_role("navigation", name="Site").get_by_role("link", name="Worlds")
    button = page.get_by_role("button", name="Menu")
    expect(worlds).to_be_hidden()
    button.focus()
    page.keyboard.press("Enter")
    expect(worlds).to_be_visible()
    page.screenshot(path=PICTURES / "menu-390-light.png")
    page.keyboard.press("Escape")
    expect(worlds).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(worlds).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/worlds/")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(worlds).to_be_visible()
    expect(button).to_be_hidden()
