"""The page of backups: what it shows, and the lever that makes one, for those who may."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account
from waystone import tasks
from waystone.backups.cycle import age_words
from worlds.models import Backup

pytestmark = pytest.mark.django_db
LIST = "admin:worlds_backup_changelist"
MAKE_NOW = "admin:worlds_backup_make_now"
DIALOG = {"_form_submitted": "on", "reason": "before the update"}


@pytest.fixture
def begun(monkeypatch) -> list[dict[str, object]]:
    """Return what was sent to the worker."""
    sent: list[dict[str, object]] = []
    monkeypatch.setattr(tasks.back_up_now, "apply_async", lambda **options: sent.append(options))
    return sent


def staff_with(*rights: str):
    account = make_account("-".join(["clerk", *rights]), is_staff=True)
    account.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return account


def test_the_list_says_how_old_the_last_proof_is(client):
    client.force_login(staff_with("view_backup"))
    assert "none has been proven yet" in client.get(reverse(LIST)).content.decode()
    now = timezone.now()
    Backup.objects.create(name="a", started_at=now, state="proven", proven_at=now, size=1_500_000)
    page = client.get(reverse(LIST)).content.decode()
    assert "last proven 0 min ago" in page and "1.4" in page and "on this machine only" in page
    assert age_words(now + timezone.timedelta(hours=5)) == "last proven 5 h ago"


def test_who_may_makes_one_now_and_it_is_audited(client, begun):
    client.force_login(staff_with("view_backup", "add_backup"))
    assert "Make a backup now?" in client.get(reverse(MAKE_NOW)).content.decode()
    assert begun == []
    client.post(reverse(MAKE_NOW), DIALOG)
    assert begun == [{"retry": False}]
    deed = AuditRecord.objects.get(action="backup_asked_for")
    assert deed.detail == {"reason": "before the update"} and deed.account.email.startswith("clerk")


@pytest.mark.parametrize("role", ["anonymous", "player", "viewer"])
def test_others_are_refused(client, begun, role):
    if role == "player":
        client.force_login(make_account("mallory"))
    if role == "viewer":
        client.force_login(staff_with("view_backup"))
    response = client.post(reverse(MAKE_NOW), DIALOG)
    assert response.status_code == (403 if role == "viewer" else 302)
    assert begun == [] and not AuditRecord.objects.filter(action="backup_asked_for").exists()


def test_without_redis_it_says_so_and_begins_nothing(client, monkeypatch):
    def refuse(**options: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.back_up_now, "apply_async", refuse)
    client.force_login(staff_with("view_backup", "add_backup"))
    client.post(reverse(MAKE_NOW), DIALOG)
    assert "Nothing was begun" in client.get(reverse(LIST)).content.decode()
    assert not AuditRecord.objects.filter(action="backup_asked_for").exists()


def test_without_a_reason_nothing_is_begun(client, begun):
    client.force_login(staff_with("view_backup", "add_backup"))
    client.post(reverse(MAKE_NOW), {"_form_submitted": "on", "reason": ""})
    assert begun == []
