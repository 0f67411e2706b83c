"""World life in the admin: announcing, maintenance, the pace of time; who may not."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import Announcement, World

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "1", "reason": "test"}
DEEDS = {
    "announce_line": {"text": "The fair opens."},
    "maintain": {"text": "New stairs."},
    "end_the_maintenance": {},
    "set_rate": {"rate": "48"},
}


@pytest.fixture
def staff(client):
    account = make_account("alice", is_staff=True, is_superuser=True)
    client.force_login(account)
    return account


@pytest.fixture
def world():
    return make_world("lantern")


def page(world: World, lever: str) -> str:
    return reverse(f"admin:worlds_world_{lever}", args=[world.pk])


def test_levers_do_what_they_say_and_leave_audit_rows(client, staff, world):
    for lever, fields in DEEDS.items():
        if lever == "end_the_maintenance":
            world.refresh_from_db()
            assert (world.maintenance_text, world.maintenance_since is None) == ("New stairs.", False)
            shown = client.get(reverse("admin:worlds_world_change", args=[world.pk])).content.decode()
            assert "New stairs." in shown and "times as fast as a clock" in shown
        assert client.post(page(world, lever), DIALOG | fields).status_code == 200
    world.refresh_from_db()
    assert (world.maintenance_since, world.game_rate) == (None, 48.0)
    said = Announcement.objects.get()
    assert (said.text, said.by, said.said_at) == ("The fair opens.", staff, None)
    assert list(AuditRecord.objects.order_by("pk").values_list("action", "account")) == [
        ("announced", staff.pk),
        ("maintenance_begun", staff.pk),
        ("maintenance_ended", staff.pk),
        ("game_rate_set", staff.pk),
    ]


def test_bad_rate_is_refused_in_the_dialog(client, staff, world):
    client.post(page(world, "set_rate"), DIALOG | {"rate": "0"})
    world.refresh_from_db()
    assert world.game_rate == 24.0


def test_maintenance_is_ended_only_where_it_has_begun(client, staff, world):
    assert client.post(page(world, "end_the_maintenance"), DIALOG).status_code == 403


@pytest.mark.parametrize("role", ["anonymous", "player", "viewer"])
@pytest.mark.parametrize("lever", DEEDS)
def test_others_may_not(client, world, role, lever):
    World.objects.update(maintenance_since=timezone.now())
    if role != "anonymous":
        account = make_account("mallory", is_staff=role == "viewer")
        account.user_permissions.set(
            Permission.objects.filter(codename__in=["view_world", "view_announcement"])
        )
        client.force_login(account)
    assert client.post(page(world, lever), DIALOG | DEEDS[lever]).status_code in (302, 403)
    assert not AuditRecord.objects.exists() and not Announcement.objects.exists()
    world.refresh_from_db()
    assert world.maintenance_since is not None and world.game_rate == 24.0


def test_announcement_is_made_on_its_page_and_what_was_said_stays(client, staff, world):
    later = timezone.now() + timedelta(hours=2)
    asked = {"world": world.pk, "text": "Soon.", "at_0": f"{later:%Y-%m-%d}", "at_1": f"{later:%H:%M:%S}"}
    response = client.post(reverse("admin:worlds_announcement_add"), asked)
    assert response.status_code == 302
    row = Announcement.objects.get()
    assert (row.text, row.by, row.at > timezone.now()) == ("Soon.", staff, True)
    change = reverse("admin:worlds_announcement_change", args=[row.pk])
    assert client.post(change, {"text": "Mallory"}).status_code == 403
    delete = change.replace("/change/", "/delete/")
    Announcement.objects.update(said_at=timezone.now())
    assert client.post(delete, {"post": "yes"}).status_code == 403
    Announcement.objects.update(said_at=None)
    assert client.post(delete, {"post": "yes"}).status_code == 302 and not Announcement.objects.exists()


def test_text_with_control_characters_is_refused(client, staff, world):
    now = timezone.now()
    asked = {"world": world.pk, "text": "a\x07b", "at_0": f"{now:%Y-%m-%d}", "at_1": f"{now:%H:%M:%S}"}
    assert client.post(reverse("admin:worlds_announcement_add"), asked).status_code == 200
    assert not Announcement.objects.exists()
