"""How the admin looks: what staff works with, at both widths, light and dark, in artifacts/pages/."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account, AuditRecord, Entitlement, GiftCode, Payment
from accounts.sealing import seal_audit
from accounts.services import record_audit
from accounts.shop.booking import take_notices
from accounts.shop.buying import open_payment
from accounts.shop.dummy_till import DummyTill
from accounts.shop.till import prices
from characters.services import create_character
from tests.end_to_end.browser.looking import picture_admin
from worlds.models import (
    Alarm,
    Announcement,
    Backup,
    Host,
    PlacementPlan,
    Restart,
    RestartPolicy,
    SlowHandler,
    World,
    ZoneCluster,
)
from worlds.status.incidents import begin_incident

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def staff(bob: Account) -> Account:
    Account.objects.filter(pk=bob.pk).update(is_staff=True, is_superuser=True)
    return bob


def buy(staff: Account, recipient: str, *outcomes: str) -> Payment:
    """Buy a month at the till that pretends, and let the bank say so much of it."""
    now, product, place = timezone.now(), prices().product("month"), DummyTill()
    assert product is not None
    payment = open_payment(product=product, buyer=staff, email=staff.email, recipient=recipient, now=now)
    place.begin(payment)
    for outcome in outcomes:
        take_notices(provider=place.name, told=place.play(payment, outcome, now), now=now)
        payment.refresh_from_db()
    return payment


def sold(staff: Account) -> list[Any]:
    """Return a row of each kind that the shop makes."""
    payment = buy(staff, Payment.Recipient.BUYER, "paid", "dispute")
    buy(staff, Payment.Recipient.CODE, "paid")
    buy(staff, Payment.Recipient.BUYER, "less")
    return [
        payment,
        payment.notices.get(kind="paid"),
        GiftCode.objects.get(),
        Entitlement.objects.earliest("id"),
    ]


def fill(staff: Account) -> dict[str, str]:
    """Make what staff looks at. Returns: name of the picture → address."""
    now = timezone.now()
    world = World.objects.get(slug="lanternrest")
    world.report = {"clusters": [{"name": "east", "is_alive": True, "players": 41, "tick_ms": 7.25}]}
    world.last_report_at = now + timedelta(hours=1)
    world.save(update_fields=["report", "last_report_at"])
    create_character(account=staff, name="Tilda Fen", by=staff, now=now)
    deed = record_audit(
        action="world_tier_set",
        account=staff,
        target=world.slug,
        detail={"reason": "thirty quiet days"},
        before={"tier": "open"},
        after={"tier": "official"},
        now=now,
    )
    seal_audit()
    alarm = Alarm.objects.create(
        world=world,
        key="cluster_dead:east",
        text="The cluster east of Lanternrest has died three times in ten minutes.",
        began_at=now,
        last_at=now,
    )
    backup = Backup.objects.create(
        name="waystone-2026-11-23T04-20", started_at=now, state="proven", proven_at=now, size=73_400_320,
        sha256="5f" * 32, report={"rows": 104_233, "invariants": 26},
    )  # fmt: skip
    runs = [{"name": "east", "state": "ready", "pid": 4711, "generation": 3, "deaths": 1, "reason": ""}]
    machine = {"cores": 8.0, "memory_mb": 16_384, "free_memory_mb": 9_102, "load": 1.5, "clusters": runs}
    host = Host.objects.create(
        world=world, name="second", public_key=bytes(32), last_seen_at=now, status=machine
    )
    ZoneCluster.objects.filter(world=world).update(host=host)
    handler = SlowHandler.objects.create(
        world=world, kind="look", cluster="east", p99_ms=7, worst_ms=60, runs=500, off_at=now, on_by=staff
    )
    plan = PlacementPlan.objects.create(world=world, reason="east is at 94% in the evening", made_at=now)
    move = plan.moves.create(
        world=world, zone="harbour", source="east", target="west", reason="west has room", asked_at=now
    )
    policy = RestartPolicy.objects.create(world=world, when="fixed", at=time(4))
    restart = Restart.objects.create(world=world, kind="full", due_at=now + timedelta(hours=5), made_at=now)
    said = Announcement.objects.create(world=world, text="The fog lifts at eight.", at=now, by=staff)
    pages = {
        "now": "/admin/",
        "find": "/admin/find/?q=lantern",
        "find-nothing": "/admin/find/?q=nothing+like+this",
        "accounts": "/admin/accounts/account/",
        "account": f"/admin/accounts/account/{staff.pk}/change/",
        "audit": "/admin/accounts/auditrecord/",
        "deed": f"/admin/accounts/auditrecord/{deed.pk}/change/",
        "worlds": "/admin/worlds/world/",
        "world": f"/admin/worlds/world/{world.pk}/change/",
        "groups": "/admin/auth/group/",
    }
    incident = begin_incident(
        title="Letters arrive late",
        impact="minor",
        text="Some letters take up to ten minutes. Nothing is lost; we are looking for the cause.",
        worlds=[world],
        by=staff,
        now=now - timedelta(minutes=40),
    )
    rows = (alarm, backup, host, handler, plan, move, policy, restart, said, incident, *sold(staff))
    for row in rows:
        name, base = row._meta.model_name, f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
        pages |= {f"{name}s": base, name: f"{base}{row.pk}/change/"}
    return pages


def test_the_admin_fits_and_is_pictured(visit, staff):
    pages = fill(staff)
    assert AuditRecord.objects.exists()
    browser = visit(reduced_motion="reduce")
    page = browser.log_in(staff.email)
    for name, address in pages.items():
        answer = page.goto(browser.site + address)
        assert answer is not None and answer.status == 200, name
        picture_admin(page, name)
