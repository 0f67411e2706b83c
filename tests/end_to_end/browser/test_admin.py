"""The admin in a real browser: live figures, a world suspended by dialog, fit for a phone, light and dark."""

from uuid import UUID

import msgspec
import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account, AuditRecord
from characters.services import create_character
from tests.end_to_end.browser.looking import picture_admin
from worlds.models import World, Zone, ZoneCluster
from zonecluster.daemon.phases import PHASES
from zonecluster.protocol.figures import ClusterFigures, Consumer, InstanceFigures, PhaseFigures

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


def test_pages_fit_a_phone(visit, staff):
    character = create_character(account=staff, name="Tilda Fen", by=staff, now=timezone.now())
    line, zone = character.lines.get(), Zone.objects.get(slug="harbour")
    browser = visit(width=390)
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


def test_a_cluster_s_figures_renew_themselves_and_are_pictured(visit, staff):
    cluster = ZoneCluster.objects.filter(world__slug="lanternrest").first()
    note_status(cluster, players=1234, dilation=1.0, busy=1.0)
    browser = visit(reduced_motion="reduce")
    browser.log_in(staff.email)
    page = browser.open(f"/admin/worlds/zonecluster/{cluster.pk}/change/")
    time = page.locator("#figures .ws-figure", has_text="of full speed")
    expect(time.locator("strong")).to_have_text("100%")
    expect(page.locator(".ws-bar")).to_have_count(len(PHASES))
    picture_admin(page, "cluster")
    note_status(cluster, players=5000, dilation=0.47, busy=9.0)
    expect(time.locator("strong")).to_have_text("! 47%", timeout=30_000)  # asked for every 3 s
    expect(page.locator("#figures")).to_have_count(1)
    picture_admin(page, "cluster-slow")


def note_status(cluster: ZoneCluster, *, players: int, dilation: float, busy: float) -> None:
    """Write what the world daemon would."""
    shares = [0.8, 3.1, 0.1, 0.4, 0.9, 1.4, 4.2, 5.0, 4.4, 6.1, 0.2, 0.7, 1.1]
    phases = [PhaseFigures(name, s * busy, s * busy * 1.6) for name, s in zip(PHASES, shares, strict=True)]
    figures = ClusterFigures(
        phases=phases,
        tick_p50_ms=26.6 * busy,
        tick_p99_ms=31.0 * busy,
        tick_max_ms=38.2 * busy,
        interval_p99_ms=50.9 / dilation,
        late_p99_ms=0.9,
        instability=0.0031,
        ticks=720_451,
        skipped_ticks=12,
        entities=players + 300,
        sent_bytes_per_player_s=9340,
        received_bytes_per_player_s=1480,
        drops={"rate_limited": 40_211, "forged": 12, "flooding": 3},
        lost_datagrams=0,
        window=3.0,
        cpu_ms=100.0 * busy,
        unassigned_ms=21.0,
        instances=[InstanceFigures(number, players // 2, 150, 39.0 * busy, 880.0) for number in (1001, 2001)],
        consumers=[Consumer(UUID(int=7), "Mallory Vane", 3.5 * busy, 0.035, 41.0, 1001)],
        budget_refusals=17,
    )
    status = {
        "players": players,
        "dilation": dilation,
        "tick_ms": 26.6 * busy,
        "instances": [1001, 2001],
        "incarnation": "4611686018427387",
        "metrics": "127.0.0.1:9464",
        "figures": msgspec.to_builtins(figures),
    }
    ZoneCluster.objects.filter(pk=cluster.pk).update(last_seen_at=timezone.now(), status=status)
