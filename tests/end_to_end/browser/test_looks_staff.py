"""How the admin looks: what staff works with, at both widths, light and dark, in artifacts/pages/."""

from datetime import time, timedelta

import pytest
from django.utils import timezone

from accounts.models import Account, AuditRecord
from accounts.sealing import seal_audit
from accounts.services import record_audit
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

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def staff(bob: Account) -> Account:
    Account.objects.filter(pk=bob.pk).update(is_staff=True, is_superuser=True)
    return bob


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
    rows = (alarm, backup, host, handler, plan, move, policy, restart, said)
    for row in rows:
        name = row._meta.model_name
        pages[f"{name}s"] = f"/admin/worlds/{name}/"
        pages[name] = f"/admin/worlds/{name}/{row.pk}/change/"
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
