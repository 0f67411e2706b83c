"""What a person does on the site, in a real browser: by mouse, by keyboard alone, without JavaScript."""

import re

import pytest
from django.core import mail
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Account
from characters.models import Character
from characters.services import create_character
from tests.end_to_end.browser.conftest import PASSWORD
from worlds.models import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_up(page: Page, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()


def test_from_a_stranger_to_a_character(visit):
    browser = visit()
    page = browser.open("/")
    page.get_by_role("link", name="Make a character").click()
    sign_up(page, "alice@example.org")
    expect(page.get_by_role("status")).to_contain_text("log in with the password you just chose")
    expect(page.get_by_label("E-mail address")).to_have_value("alice@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Nobody here yet")).to_be_visible()
    page.get_by_label("Name").fill("Tilda Fen")
    page.get_by_role("button", name="Make this character").click()
    expect(page.get_by_role("heading", name="Tilda Fen")).to_be_visible()
    expect(page.get_by_text("1 of 3 places taken")).to_be_visible()
    page.get_by_role("link", name="Choose one").click()
    page.get_by_role("link", name="Lanternrest").click()
    expect(page.get_by_text(re.compile("manage.py play .*--world lanternrest"))).to_be_visible()
    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert Character.objects.get().account.email == "alice@example.org"
    assert [letter.to for letter in mail.outbox] == [["alice@example.org"]]


def test_the_whole_way_works_without_javascript(visit):
    browser = visit(java_script_enabled=False)
    page = browser.open("/account/sign-up/")
    sign_up(page, "alice@example.org")
    browser.log_in("alice@example.org")
    page.get_by_label("Name").fill("Tilda Fen")
    page.get_by_role("button", name="Make this character").click()
    expect(page.get_by_role("heading", name="Tilda Fen")).to_be_visible()
    browser.open("/worlds/")
    page.get_by_label("Search").fill("choir")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("link", name="Ember Hollow")).to_be_visible()
    expect(page.get_by_role("link", name="Lanternrest")).to_have_count(0)


def test_by_keyboard_alone(visit, bob: Account):
    browser = visit()
    page = browser.open("/account/log-in/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "login")
    page.keyboard.type(bob.email)
    tab_to(page, "password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/characters/"))
    tab_to(page, "name")
    assert ring_width(page) >= 2, "where the focus is must be seen"
    page.keyboard.type("Tilda Fen")
    page.keyboard.press("Tab")
    assert ring_width(page) >= 2
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tilda Fen")).to_be_visible()


def tab_to(page: Page, name: str) -> None:
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            return
    pytest.fail(f"no field {name} by keyboard")


def ring_width(page: Page) -> float:
    return float(page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)"))


def test_a_wrong_password_says_what_to_do(visit, bob: Account):
    page = visit().open("/account/log-in/")
    page.get_by_label("E-mail address").fill(bob.email)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="do not belong together")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_have_value(bob.email)


def test_a_taken_name_says_so_and_keeps_what_was_typed(visit, bob: Account):
    create_character(account=bob, name="Tilda Fen", by=bob, now=timezone.now())
    browser = visit()
    page = browser.log_in(bob.email)
    page.get_by_label("Name").fill("Tílda Fen")
    page.get_by_role("button", name="Make this character").click()
    expect(page.get_by_text("is taken, or looks like one that is")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Tílda Fen")


def test_the_list_follows_the_search_as_one_types(visit):
    page = visit().open("/worlds/")
    page.get_by_label("Search").press_sequentially("choir")
    expect(page.get_by_role("link", name="Lanternrest")).to_have_count(0)
    expect(page.get_by_role("link", name="Ember Hollow")).to_be_visible()
    expect(page).to_have_url(re.compile(r"search=choir"))
    page.reload()
    expect(page.get_by_role("link", name="Lanternrest")).to_have_count(0)


def test_the_home_page_counts_anew_by_itself(visit):
    page = visit().open("/")
    expect(page.get_by_text("in 1 of 2 worlds")).to_be_visible()
    World.objects.create(slug="third", name="Third", gateway_url="ws://127.0.0.1:1/", name_key="third")
    expect(page.get_by_text("in 1 of 3 worlds")).to_be_visible(timeout=30_000)


def test_the_api_browser_works_from_our_own_files(visit):
    page = visit().open("/api/v1/docs/")
    expect(page.get_by_text("/api/v1/sessions/").first).to_be_visible()
