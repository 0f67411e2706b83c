"""How the pages look on which a world is registered and set up, at each of its turns."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account
from tests.end_to_end.browser.looking import look_at, picture
from worlds.models import World, WorldKey, WorldSetup
from worlds.operating.registering import register_own_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_pages_of_setting_up_a_world(visit, bob: Account) -> None:
    browser = visit()
    browser.log_in(bob.email)
    look_at(browser, "operate-empty", "/operate/")
    look_at(browser, "operate-register", "/operate/register/", keyboard=True)
    browser.page.get_by_label("Name", exact=True).fill("Lanternrest")
    browser.page.get_by_label("In one line").fill("Ice, and what sleeps under it")
    browser.page.get_by_role("button", name="Register it").click()
    expect(browser.page.get_by_text("similar")).to_be_visible()
    expect(browser.page.get_by_label("In one line")).to_have_value("Ice, and what sleeps under it")
    picture(browser.page, "operate-register-refused")

    now = timezone.now()
    about = {"tagline": "Ice", "language": "en", "address": "play.northern-ice.example.org"}
    world = register_own_world(account=bob, slug="northern-ice", name="Northern Ice", now=now, **about)
    look_at(browser, "operate-setup-new", "/operate/northern-ice/setup/", keyboard=True)
    _set(
        world,
        called_at=now,
        checked_at=now,
        gateway_fault="The gateway did not answer in time: something on the way drops the connection.",
    )
    WorldKey.objects.create(world=world, kid="k" * 43, public_key=b"k" * 32)
    World.objects.filter(pk=world.pk).update(
        last_report_at=now + timedelta(hours=1),
        gateway_url="ws://play.northern-ice.example.org:8001/world-link/",
    )
    expect(browser.page.locator(".checks > .failed")).to_contain_text("gateway")  # it follows by itself
    look_at(browser, "operate-setup-failed", "/operate/northern-ice/setup/")
    _set(world, gateway_fault="", gateway_at=now, udp_at=now, udp_addresses="203.0.113.7:8004", zone_at=now)
    expect(browser.page.get_by_text("Northern Ice is open.")).to_be_visible()
    look_at(browser, "operate-setup-done", "/operate/northern-ice/setup/")
    look_at(browser, "operate-keys", "/operate/northern-ice/keys/", keyboard=True)
    browser.page.get_by_role("button", name="Show me how").click()
    expect(browser.page.get_by_text("--new-key")).to_be_visible()
    picture(browser.page, "operate-keys-new")
    look_at(browser, "operate", "/operate/")


def _set(world: World, **values: object) -> None:
    WorldSetup.objects.filter(world=world).update(code_used_at=timezone.now(), **values)
