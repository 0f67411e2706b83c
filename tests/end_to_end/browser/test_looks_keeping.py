"""How the pages of a kept world look, and a keeper's way through them by keyboard and without a script."""

import io
from datetime import timedelta

import msgspec
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image
from playwright.sync_api import expect

from accounts.models import Account
from tests.end_to_end.browser.looking import look_at, picture
from tests.integration.worlds.makers import make_account, make_line
from worlds.models import Pseudonym, World, WorldKeeper, WorldOrder
from worlds.operating import texts
from worlds.operating.keepers import invite_keeper
from worlds.operating.orders import give_order, note_ended
from worlds.operating.sanctions import sanction
from worlds.uplink.messages import ClusterReport, PlannedRestart, Report
from worlds.uplink.orders import Announce, Kick, OrderEnded, Policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = {
    "kept-players": "players/",
    "kept-page": "page/",
    "kept-restarts": "restarts/",
    "kept-keepers": "keepers/",
    "kept-history": "history/",
    "kept-world": "",  # last: it asks again by itself, which must not be cut off by the next one
}


@pytest.fixture
def haven(bob: Account) -> World:
    """Lanternrest, kept by Bob, with everything that its pages can show."""
    now = timezone.now()
    said = Report(
        "wss://play.example.org/world-link/",
        now - timedelta(days=3),
        [ClusterReport("east", True, 12, 4.2), ClusterReport("west", False, 0, 0.0)],
        restart=PlannedRestart(now + timedelta(hours=5), "rolling"),
        policy=Policy("off_peak", time_zone="Europe/Berlin"),
    )
    World.objects.filter(slug="lanternrest").update(
        owner=bob, last_report_at=now + timedelta(minutes=10), report=msgspec.to_builtins(said)
    )
    world = World.objects.get(slug="lanternrest")
    WorldKeeper.objects.create(world=world, account=make_account("moe"), role="moderator", since=now)
    invite_keeper(world=world, email="carol@example.org", role="manager", by=bob, now=now)
    lines = [
        make_line(make_account(f"p{name}"), name, holder=world, lease_until=now + timedelta(minutes=10))
        for name in ("Rowan", "Sorrel", "Tilda Fen")
    ]
    for line in lines:
        Pseudonym.objects.create(account=line.character.account, world=world)
    until = now + timedelta(days=1)
    mallory = lines[1].character
    about = {"character_name": mallory.name, "reason": "Shouting in the square.", "by": bob, "now": now}
    sanction(world=world, account=mallory.account, kind="mute", until=until, **about)
    out = io.BytesIO()
    Image.linear_gradient("L").resize((900, 300)).convert("RGB").save(out, "PNG")
    texts.set_banner(world=world, upload=SimpleUploadedFile("a.png", out.getvalue()), by=bob, now=now)
    done = give_order(world=world, deed=Announce("The fair opens."), about="The fair opens.", by=bob, now=now)
    note_ended(world, [OrderEnded(done.pk, True, "12 players heard it.")], now)
    give_order(world=world, deed=Kick(lines[0].character.pk), about="Rowan", by=bob, now=now)
    return world


def test_pages_of_a_kept_world_fit_pass_axe_and_are_pictured(visit, bob: Account, haven: World):
    browser = visit(reduced_motion="reduce")
    browser.log_in(bob.email).wait_for_load_state("networkidle")
    for name, path in PAGES.items():
        look_at(browser, name, f"/operate/lanternrest/{path}", keyboard=name == "kept-players")
    page = browser.open("/operate/lanternrest/players/")
    page.get_by_role("link", name="Kick, mute or ban Rowan").click()
    page.get_by_label("Ban:").check()
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text("Say why: the player is told.")).to_be_visible()
    picture(page, "kept-player-refused")


def test_a_keeper_puts_somebody_out_without_a_script(visit, bob: Account, haven: World):
    browser = visit(width=390, java_script_enabled=False)
    browser.log_in(bob.email)
    page = browser.open("/operate/lanternrest/players/")
    page.get_by_role("link", name="Kick, mute or ban Sorrel").click()
    page.get_by_label("Put out: saved").check()
    page.get_by_label("Reason").fill("Sleep it off.")
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text("Sent. The world does it")).to_be_visible()
    assert WorldOrder.objects.filter(about="Sorrel", kind="kick", outcome="waiting").exists()
