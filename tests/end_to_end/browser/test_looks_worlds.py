"""The live world list, a world's page, the status pages: how they look, and that they live."""

from datetime import UTC, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.end_to_end.browser.looking import look_at, picture
from worlds.models import World
from worlds.status.incidents import begin_incident, update_incident
from worlds.status.rules import DAYS_SHOWN
from worlds.status.sampling import Sample, keep

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def past(site: str) -> None:
    """Give the worlds 90 days of a past, with good and bad days, and two incidents."""
    now = timezone.now().astimezone(UTC)
    lantern, ember = World.objects.get(slug="lanternrest"), World.objects.get(slug="ember-hollow")
    World.objects.filter(pk=lantern.pk).update(
        tags=["beginners", "story", "co-op"],
        house_rules="Be kind to who is new.\n\nWhat is said at the fire stays at the fire.",
    )
    World.objects.filter(pk=ember.pk).update(
        tags=["hardcore"], region="eu", language="de", last_report_at=now - timedelta(hours=3)
    )
    for back in range(DAYS_SHOWN):
        at = now - timedelta(days=back)
        for minute in range(4):  # so many stand for the day's minutes
            then = at - timedelta(minutes=minute)
            bad = back in (12, 13, 40) and minute < 3
            samples = [
                Sample(lantern.pk, "", not bad, back == 40, 20 + back % 7),
                Sample(ember.pk, "", back % 5 > 0, False, 2),
                Sample(None, "site", True, False, 22),
            ]
            if back == 0:
                samples.append(Sample(None, "background", True, False, 22))
            if back < 60:
                keep(samples, then)
    for back in range(48):
        keep([Sample(lantern.pk, "", True, False, 6 + (back * 7) % 13)], now - timedelta(hours=back))
    begin_incident(
        title="Letters arrive late",
        impact="minor",
        text="Some letters take up to ten minutes. Nothing is lost; we are looking for the cause.",
        worlds=[lantern],
        by=None,
        now=now - timedelta(minutes=40),
    )
    over = begin_incident(
        title="Nobody could log in",
        impact="major",
        text="Logging in failed for everybody. Whoever played went on playing.",
        worlds=[],
        by=None,
        now=now - timedelta(days=3, hours=2),
    )
    update_incident(
        incident=over,
        state="over",
        text="A disk was full. It is larger now, and an alarm tells us before it happens again.",
        by=None,
        now=now - timedelta(days=3),
    )


def test_lists_pages_and_status_are_pictured(visit, past):
    browser = visit(reduced_motion="reduce")
    look_at(browser, "worlds", "/worlds/", keyboard=True)
    look_at(browser, "worlds-narrowed", "/worlds/?region=eu&tag=hardcore")
    look_at(browser, "world", "/worlds/lanternrest/", keyboard=True)
    look_at(browser, "status", "/status/", keyboard=True)
    look_at(browser, "status-world", "/status/lanternrest/")
    expect(browser.page.get_by_role("button", name="Copy").first).to_be_visible()


def test_the_list_lives_and_measures_a_ping_when_asked(visit, site, live_server):
    World.objects.update(gateway_url=live_server.url.replace("http", "ws"))
    browser = visit(width=390)
    page = browser.open("/worlds/")
    ping = page.locator("#results [data-ping]").first
    expect(page.get_by_text("2 worlds")).to_be_visible()
    expect(ping).to_be_hidden()
    button = page.get_by_role("button", name="Measure my ping")
    button.click()
    expect(page.get_by_text(" ms").first).to_be_visible()
    picture(page, "worlds-ping")
    World.objects.create(slug="third", name="Third", name_key="third")
    expect(page.get_by_text("3 worlds")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(" ms").first).to_be_visible()
