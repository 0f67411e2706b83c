"""The admin in a real browser: live figures, a world suspended by dialog, fit for a phone, light and dark."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account, AuditRecord
from characters.services import create_character
from worlds.models import World, Zone

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def staff(bob: Account) -> Account:
    Account.objects.filter(pk=bob.pk).update(is_staff=True, is_superuser=True)
    return bob


def test_the_first_page_renews_itself(visit, staff):
    browser = visit()
    browser.log_in(staff.email)
    page = browser.open("/admin/")
    card = page.locator(".ws-figure", has_text="Characters")
    expect(card.locator("strong")).to_have_text("0")
    create_character(account=staff, name="Tilda Fen", by=staff, now=timezone.now())
    expect(card.locator("strong")).to_have_text("1", timeout=30_000)  # asked for every 5 s
    expect(page.locator("#now")).to_have_count(1)
    expect(page.get_by_role("link", name="Tilda Fen")).to_be_visible()


def test_a_world_is_suspended_and_let_go_on(visit, staff):
    world = World.objects.get(slug="lanternrest")
    browser = visit()
    browser.log_in(staff.email)
    page = browser.open(f"/admin/worlds/world/{world.pk}/change/")
    page.locator("a", has_text="Suspend").click()
    page.get_by_label("Reason").fill("item dupes")
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("Lanternrest is suspended.")).to_be_visible()
    browser.open("/admin/")
    expect(page.get_by_text("Lanternrest is suspended since")).to_be_visible()
    browser.open(f"/admin/worlds/world/{world.pk}/change/")
    page.locator("a", has_text="Lift suspension").click()
    page.get_by_label("Reason").fill("mended")
    page.get_by_role("button", name="Lift").click()
    expect(page.get_by_text("The suspension of Lanternrest is lifted.")).to_be_visible()
    reasons = AuditRecord.objects.filter(target="lanternrest").order_by("pk").values_list("detail", flat=True)
    assert [detail["reason"] for detail in reasons] == ["item dupes", "mended"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(visit, staff, scheme):
    character = create_character(account=staff, name="Tilda Fen", by=staff, now=timezone.now())
    line, zone = character.lines.get(), Zone.objects.get(slug="harbour")
    browser = visit(width=390, scheme=scheme)
    page = browser.log_in(staff.email)
    for path in (
        "/admin/",
        "/admin/worlds/world/",
        f"/admin/worlds/world/{zone.world_id}/change/",
        f"/admin/worlds/zone/{zone.pk}/change/",
        f"/admin/characters/line/{line.pk}/change/",
        f"/admin/accounts/account/{staff.pk}/change/",
        "/admin/characters/version/",
    ):
        browser.open(path)
        expect(page.locator("#content")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
