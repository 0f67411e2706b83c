"""What staff cannot do to those above them, see of secrets, or break by an address that they type."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.models import Account, AuditRecord
from accounts.staff_roles import sync_roles
from tests.integration.worlds.makers import make_account

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on", "reason": "asked by letter"}
SECRET = "gAAAA-the-secret-of-an-app"  # noqa: S105


@pytest.fixture
def boss(db: None) -> Account:
    return make_account("boss", is_staff=True, is_superuser=True)


@pytest.fixture
def support(db: None, client) -> Account:
    sync_roles()
    account = make_account("support", is_staff=True)
    account.groups.add(Group.objects.get(name="Support"))
    client.force_login(account)
    return account


def session_of(account: Account) -> UserSession:
    browser = Client()
    browser.force_login(account)
    now = timezone.now()
    return UserSession.objects.create(
        user=account,
        session_key=browser.session.session_key,
        ip="192.0.2.1",
        created_at=now,
        last_seen_at=now,
    )


def test_support_ends_sessions_of_players_and_not_of_staff(client, support, boss):
    mine, theirs = session_of(boss), session_of(make_account("bob"))
    end = "admin:usersessions_usersession_end"
    assert client.post(reverse(end, args=[mine.pk]), DIALOG).status_code == 403
    assert UserSession.objects.filter(pk=mine.pk).exists()
    assert client.post(reverse(end, args=[theirs.pk]), DIALOG).status_code == 200
    assert not UserSession.objects.filter(pk=theirs.pk).exists()
    (row,) = AuditRecord.objects.filter(action="session_ended_by_staff")
    assert row.account == support
    client.force_login(boss)
    assert client.post(reverse(end, args=[mine.pk]), DIALOG).status_code == 200
    assert not UserSession.objects.filter(pk=mine.pk).exists()


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}], ids=str)
def test_support_has_no_lever_on_who_has_rights(client, support, rights):
    other = make_account("other", **rights)
    for lever in ("ban_it", "sign_out", "close"):
        address = reverse(f"admin:accounts_account_{lever}", args=[other.pk])
        assert client.post(address, DIALOG | {"until_0": "2030-01-01", "until_1": "00:00"}).status_code == 403
    other.refresh_from_db()
    assert other.is_active and other.banned_until is None and other.session_epoch == 0


def test_support_cannot_give_itself_or_others_anything_by_the_form(client, support, boss):
    page = reverse("admin:accounts_account_change", args=[support.pk])
    group = Group.objects.get(name="Administrators")
    asked = {"is_superuser": "on", "is_staff": "on", "groups": [group.pk], "email": "boss@example.org"}
    client.post(page, {**asked, "password": "x", "user_permissions": ["1"]})
    client.post(reverse("admin:accounts_account_change", args=[boss.pk]), {"email": "mallory@example.org"})
    support.refresh_from_db()
    boss.refresh_from_db()
    assert not support.is_superuser and list(support.groups.values_list("name", flat=True)) == ["Support"]
    assert (support.email, boss.email) == ("support@example.org", "boss@example.org")
    for path in (page.replace("/change/", "/password/"), f"/admin/accounts/account/{boss.pk}/password/"):
        assert client.get(path).status_code in (302, 404)


def test_nobody_reads_or_changes_the_secrets_of_second_factors_in_the_admin(client, support, boss):
    factor = Authenticator.objects.create(
        user=boss, type=Authenticator.Type.TOTP, data={"secret": SECRET, "seed": SECRET}
    )
    pages = [reverse("admin:mfa_authenticator_change", args=[factor.pk])]
    pages += [reverse("admin:mfa_authenticator_changelist"), f"/admin/accounts/account/{boss.pk}/change/"]
    assert [client.get(page).status_code for page in pages] == [403, 403, 200]
    client.force_login(boss)
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200 and SECRET not in answer.content.decode(), page
    assert client.post(pages[0], {"user": boss.pk, "type": "totp", "data": "{}"}).status_code == 403
    assert client.get(reverse("admin:mfa_authenticator_add")).status_code == 403
    assert client.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk])).status_code == 403
    factor.refresh_from_db()
    assert factor.data["secret"] == SECRET


def test_what_is_no_number_of_a_row_is_not_found_at_any_page_or_lever(client, boss):
    """Levers ask who may by the row, before the row is looked for."""
    client.force_login(boss)
    client.raise_request_exception = False
    found = {}
    for model, row_admin in admin.site._registry.items():
        names = ["change", *getattr(row_admin, "actions_detail", ())]
        for name in names:
            for nonsense in ("nonsense", "9" * 30, "0"):
                try:
                    path = reverse(
                        f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=[nonsense]
                    )
                except NoReverseMatch:
                    continue
                found[path] = client.get(path).status_code
    assert len(found) > 100
    assert [path for path, status in found.items() if status >= 500] == []
