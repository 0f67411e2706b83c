"""Restarts in the admin: planned, put off, brought forward, called off; refused policies; who may not."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import Restart, RestartPolicy

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "1"}
LEVERS = ("postpone", "now", "cancel")


@pytest.fixture
def staff(client):
    account = make_account("alice", is_staff=True, is_superuser=True)
    client.force_login(account)
    return account


@pytest.fixture
def restart():
    now = timezone.now()
    world = make_world("lantern")
    return Restart.objects.create(world=world, kind="full", due_at=now + timedelta(hours=2), made_at=now)


def page(row: Restart, lever: str) -> str:
    return reverse(f"admin:worlds_restart_{lever}", args=[row.pk])


def add(model: str) -> str:
    return reverse(f"admin:worlds_{model}_add")


def policy_of(world, **fields) -> dict[str, object]:
    values = {
        "when": "fixed",
        "kind": "rolling",
        "at": "04:30",
        "time_zone": "Europe/Berlin",
        "min_uptime_h": 20,
    }
    return {"world": world.pk, "days": [0, 2], "blackout": "2026-12-24\n2026-12-25", **values} | fields


def test_levers_do_what_they_say_and_leave_audit_rows(client, staff, restart):
    due_at = restart.due_at
    client.post(page(restart, "postpone"), DIALOG | {"reason": "raid", "minutes": "45"})
    restart.refresh_from_db()
    assert restart.due_at == due_at + timedelta(minutes=45)
    client.post(page(restart, "now"), DIALOG | {"reason": "leak"})
    restart.refresh_from_db()
    assert restart.due_at < timezone.now() + timedelta(minutes=2)
    client.post(page(restart, "cancel"), DIALOG | {"reason": "no need"})
    restart.refresh_from_db()
    assert restart.state == "cancelled"
    deeds = AuditRecord.objects.order_by("pk").values_list("action", "account", "detail__reason")
    assert list(deeds) == [
        ("restart_postponed", staff.pk, "raid"),
        ("restart_brought_forward", staff.pk, "leak"),
        ("restart_cancelled", staff.pk, "no need"),
    ]


@pytest.mark.parametrize("lever", LEVERS)
def test_what_has_begun_has_no_levers(client, staff, restart, lever):
    Restart.objects.update(state="running")
    response = client.post(page(restart, lever), DIALOG | {"reason": "late", "minutes": "5"})
    assert response.status_code == 403
    assert not AuditRecord.objects.exists()


@pytest.mark.parametrize("role", ["anonymous", "player", "viewer"])
@pytest.mark.parametrize("lever", LEVERS)
def test_others_change_nothing(client, restart, lever, role):
    if role != "anonymous":
        mallory = make_account("mallory", is_staff=role == "viewer")
        mallory.user_permissions.add(Permission.objects.get(codename="view_restart"))
        client.force_login(mallory)
    response = client.post(page(restart, lever), DIALOG | {"reason": "mine now", "minutes": "5"})
    assert response.status_code == (403 if role == "viewer" else 302)
    before = restart.due_at
    restart.refresh_from_db()
    assert (restart.state, restart.due_at) == ("planned", before) and not AuditRecord.objects.exists()


def test_staff_plans_one_and_no_second(client, staff):
    world = make_world("lantern")
    at = timezone.localtime(timezone.now() + timedelta(hours=3))
    form = {"world": world.pk, "kind": "rolling", "reason": "new maps"}
    form |= {"due_at_0": f"{at:%Y-%m-%d}", "due_at_1": f"{at:%H:%M:%S}"}
    assert client.post(add("restart"), form).status_code == 302
    row = Restart.objects.get()
    assert (row.by, row.reason, row.state) == (staff, "new maps", "planned")
    answer = client.post(add("restart"), form)
    assert "planned or under way" in answer.content.decode() and Restart.objects.count() == 1


def test_a_policy_is_set_and_shows_what_comes_of_it(client, staff):
    world = make_world("lantern")
    assert client.post(add("restartpolicy"), policy_of(world)).status_code == 302
    policy = RestartPolicy.objects.get()
    assert policy.weekdays == 0b101 and policy.blackout_days == ["2026-12-24", "2026-12-25"]
    shown = client.get(reverse("admin:worlds_restartpolicy_change", args=[policy.pk])).content.decode()
    assert "at 04:30, Europe/Berlin, as set" in shown and "Nothing is known yet" in shown
    assert AuditRecord.objects.get().action == "restartpolicy_added_by_staff"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_zone": "Europe/Gotham"}, "no time zone"),
        ({"at": ""}, "needs the time"),
        ({"min_uptime_h": 1440}, "shorter than 60 days"),
        ({"blackout": "Christmas"}, "dates as"),
        ({"days": []}, "This field is required"),
        ({"min_uptime_h": -1}, "greater than or equal to 0"),
    ],
)
def test_a_policy_that_can_never_fire_is_refused_with_the_reason(client, staff, change, words):
    answer = client.post(add("restartpolicy"), policy_of(make_world("lantern"), **change))
    assert answer.status_code == 200 and words in answer.content.decode()
    assert not RestartPolicy.objects.exists()


def test_a_changed_policy_moves_what_it_had_planned(client, staff, restart):
    policy = RestartPolicy.objects.create(world=restart.world, when="off_peak")
    form = policy_of(restart.world, days=list(range(7)), blackout="")
    client.post(reverse("admin:worlds_restartpolicy_change", args=[policy.pk]), form)
    restart.refresh_from_db()
    assert restart.kind == "rolling" and restart.steps[-1]["what"] == "changed"


def test_the_history_is_shown_and_what_cannot_be_read_is_said(client, staff, restart):
    address = reverse("admin:worlds_restart_change", args=[restart.pk])
    at = timezone.now().isoformat()
    Restart.objects.update(steps=[{"at": at, "what": "cluster", "name": "<b>east</b>", "run": "7"}])
    shown = client.get(address).content.decode()
    assert "&lt;b&gt;east" in shown and "<b>east" not in shown
    Restart.objects.update(steps={"a": 1})
    assert "cannot be read" in client.get(address).content.decode()
