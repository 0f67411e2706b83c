"""A character's history, and the admin's page for rolling a world back: how they look and work."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account
from characters.lines import Entry, append_version, fork_again, fork_main_line
from characters.models import Line
from characters.services import create_character
from tests.end_to_end.browser.looking import HEIGHT, WIDTHS, look_at, picture_admin
from worlds.models import World
from worlds.services import limit_world
from zonecluster.protocol.character import CharacterState, Item, Place, encode_state

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def staff(bob: Account) -> Account:
    Account.objects.filter(pk=bob.pk).update(is_staff=True, is_superuser=True)
    return bob


def make_history(account: Account, world: World) -> Line:
    """Make a character that played for a while; then its world was limited. Returns: main."""
    now = timezone.now() - timedelta(hours=30)
    main = create_character(account=account, name="Tilda Fen", by=account, now=now).lines.get()
    for number in range(1, 26):
        zone = "harbour" if number % 4 else "old-mill"
        state = CharacterState(
            attributes={"level": 1 + number // 5},
            bags={"pack": [Item("iron-sword"), Item("arrow", 40 - number)]},
            money=number * 7,
            quests={"lost-lamp": "search-the-mill"} if number > 9 else {},
            places={world.slug: Place(zone, (float(number), 2.0, 0.0))},
        )
        kind = "quest" if number == 10 else "handoff" if number % 4 < 2 else "periodic"
        now += timedelta(minutes=11)
        append_version(line=main, entry=Entry(kind, encode_state(state), world, epoch=1), now=now)
    limit_world(world=world, reason="a look at it", by=None, now=now)
    fork = fork_main_line(character=main.character, world=world, now=now)
    fork_again(fork=fork, main=main, world=world, now=now)
    return main


def test_a_history_fits_and_is_pictured(visit, bob: Account):
    main = make_history(bob, World.objects.get(slug="lanternrest"))
    browser = visit(reduced_motion="reduce")
    page = browser.log_in(bob.email)
    page.get_by_role("link", name="history").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tilda Fen")
    address = f"/characters/{main.character_id}/history/"
    look_at(browser, "history", address)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("Version 1", exact=True)).to_be_visible()
    look_at(browser, "history-fork", f"{address}?line=lanternrest")
    expect(page.get_by_text("has limited Lanternrest")).to_be_visible()


def test_a_rollback_is_looked_at_then_done(visit, bob: Account, staff: Account):
    world = World.objects.get(slug="lanternrest")
    main = make_history(bob, world)
    browser = visit(reduced_motion="reduce")
    browser.log_in(staff.email)
    since = timezone.now() - timedelta(days=2)
    page = browser.open(
        f"/admin/characters/version/rollback/?world={world.pk}&since={since:%Y-%m-%d+%H:%M:%S}"
    )
    expect(page.get_by_text("goes back", exact=False).last).to_be_visible()
    table = page.locator(".ws-scroll").last  # on a phone its rows are cards: nothing is scrolled sideways
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert table.evaluate("each => each.scrollWidth <= each.clientWidth"), width
    picture_admin(page, "rollback")
    page.get_by_label("Reason").fill("item dupes")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("1 lines went back")).to_be_visible()
    main.refresh_from_db()
    assert main.version == 27
    browser.open(f"/admin/characters/line/{main.pk}/change/")
    expect(page.get_by_text("v1 again")).to_be_visible()
    picture_admin(page, "line")
