"""Staff roles: what each may and may not, by the table and through the pages; and the second factor."""

from datetime import timedelta

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, AuditRecord, Entitlement
from accounts.staff_roles import ROLES, rights_of, sync_roles
from tests.integration.worlds.makers import make_account, make_world

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on", "reason": "asked by letter"}

# Page or lever → the roles that may open it; 200 or 302 for them, 403 for the others.
MAY = {
    "accounts_account": {"Support", "Game masters", "Treasury", "Administrators"},
    "accounts_entitlement": {"Support", "Treasury", "Administrators"},
    "accounts_auditrecord": {"Support", "Game masters", "Treasury", "Administrators"},
    "usersessions_usersession": {"Support", "Administrators"},
    "characters_character": {"Support", "Game masters", "Administrators"},
    "characters_version": {"Support", "Game masters", "Administrators"},
    "worlds_world": {"Support", "Game masters", "Administrators"},
    "worlds_worldkey": {"Administrators"},
    "worlds_backup": {"Administrators"},
    "worlds_host": {"Administrators"},
    "worlds_playsession": {"Game masters", "Administrators"},
    "auth_group": set(),
    "django_celery_beat_periodictask": set(),
}


@pytest.fixture(autouse=True)
def roles(db) -> None:
    sync_roles()


def staff_with(role: str) -> Account:
    account = make_account(role.lower().replace(" ", "-"), is_staff=True)
    account.groups.add(Group.objects.get(name=role))
    return account


def test_the_groups_are_the_table_s_and_name_only_what_there_is():
    assert set(ROLES) <= set(Group.objects.values_list("name", flat=True))
    known = set(Permission.objects.values_list("content_type__app_label", "content_type__model", "codename"))
    for role in ROLES:
        for label, verbs in rights_of(role).items():
            app, model = label.split(".")
            assert {(app, model, f"{verb}_{model}") for verb in verbs} <= known, (role, label)


def test_a_group_that_was_changed_is_set_again():
    group = Group.objects.get(name="Support")
    before = set(group.permissions.all())
    group.permissions.clear()
    assert (sync_roles(), sync_roles()) == (1, 0)
    assert set(group.permissions.all()) == before


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_its_lists_and_no_others(client, role):
    client.force_login(staff_with(role))
    for name, roles in MAY.items():
        expected = 200 if role in roles else 403
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == expected, name


@pytest.mark.parametrize("role", ROLES)
def test_each_role_does_its_deeds_and_no_others(client, role):
    """Levers and forms on rows of others."""
    client.force_login(staff_with(role))
    bob, world = make_account("bob"), make_world("lantern")
    until = {"until_0": "2040-01-01", "until_1": "00:00"}
    deeds = {
        reverse("admin:accounts_account_ban_it", args=[bob.pk]): (
            {"Support", "Game masters", "Administrators"},
            DIALOG | until,
        ),
        reverse("admin:worlds_world_suspend", args=[world.pk]): ({"Administrators"}, DIALOG),
        reverse("admin:worlds_world_change_tier", args=[world.pk]): (
            {"Administrators"},
            DIALOG | {"tier": "official"},
        ),
        reverse("admin:accounts_entitlement_add"): (
            {"Treasury", "Administrators"},
            {"account": bob.pk, "edition": "premium", "is_grant": "on", "reference": "goodwill"},
        ),
    }
    for address, (roles, data) in deeds.items():
        status = client.post(address, data).status_code
        assert status in ((200, 302) if role in roles else (403,)), address
    bob.refresh_from_db()
    world.refresh_from_db()
    may = {address: role in roles for address, (roles, _) in deeds.items()}
    banned, suspended, official, granted = may.values()
    assert (bob.banned_until is not None) == banned
    assert (world.suspended_at is not None) == suspended
    assert (world.tier == "official") == official
    assert Entitlement.objects.filter(account=bob).exists() == granted


def test_only_superusers_have_levers_on_staff(client):
    client.force_login(staff_with("Support"))
    boss = make_account("boss", is_staff=True, is_superuser=True)
    for lever in ("ban_it", "close", "sign_out"):
        address = reverse(f"admin:accounts_account_{lever}", args=[boss.pk])
        assert client.post(address, DIALOG | {"until_0": "2040-01-01", "until_1": "00:00"}).status_code == 403
    boss.refresh_from_db()
    assert boss.is_active and boss.banned_until is None


def test_ban_close_and_back_with_before_and_after(client, staff):
    bob = make_account("bob")
    lever = {name: reverse(f"admin:accounts_account_{name}", args=[bob.pk]) for name in (
        "ban_it", "lift_the_ban", "close", "reopen"
    )}  # fmt: skip
    past = client.post(lever["ban_it"], DIALOG | {"until_0": "2020-01-01", "until_1": "00:00"})
    assert "The end must lie in the future." in past.content.decode()
    client.post(lever["ban_it"], DIALOG | {"until_0": "2040-01-01", "until_1": "00:00"})
    page = client.get(reverse("admin:accounts_account_change", args=[bob.pk])).content.decode()
    assert "account_banned" in page and "asked by letter" in page
    client.post(lever["lift_the_ban"], DIALOG)
    client.post(lever["close"], DIALOG)
    bob.refresh_from_db()
    assert not bob.is_active and bob.banned_until is None
    client.post(lever["reopen"], DIALOG)
    changes = AuditRecord.objects.filter(target=str(bob.uid), before__isnull=False).order_by("pk")
    assert list(changes.values_list("action", "before", "after")) == [
        ("account_banned", {"banned_until": None}, {"banned_until": "2040-01-01T00:00:00+00:00"}),
        ("account_ban_lifted", {"banned_until": "2040-01-01T00:00:00+00:00"}, {"banned_until": None}),
        ("account_closed", {"is_active": True}, {"is_active": False}),
        ("account_reopened", {"is_active": False}, {"is_active": True}),
    ]


def test_verified_asks_for_what_the_design_asks_for(client, staff):
    alice = make_account("alice")
    world = make_world("lantern", owner=alice, tier="open")
    address = reverse("admin:worlds_world_change_tier", args=[world.pk])

    def try_it() -> str:
        client.post(address, DIALOG | {"tier": "verified"})
        world.refresh_from_db()
        return world.tier

    assert try_it() == "open"  # registered today
    type(world).objects.update(created_at=timezone.now() - timedelta(days=31))
    assert try_it() == "open"  # no second factor
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={})
    assert try_it() == "verified"
    deed = AuditRecord.objects.get(action="world_tier_set")
    assert (deed.before, deed.after) == ({"tier": "open"}, {"tier": "verified"})


class TestSecondFactor:
    @pytest.fixture(autouse=True)
    def required(self, settings) -> None:
        settings.STAFF_MFA_REQUIRED = True

    def prove(self, client, account: Account) -> None:
        """Write into the session what allauth writes when a code was right."""
        session = client.session

        class Request:
            pass

        request = Request()
        request.session = session
        record_authentication(request, account, "mfa", type="totp")
        session.save()

    def test_staff_without_one_is_led_to_set_it_up(self, client, staff):
        answer = client.get(reverse("admin:worlds_world_changelist"))
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("mfa_activate_totp") + "?next=%2Fadmin%2Fworlds")
        part = client.get(reverse("admin:index"), headers={"HX-Request": "true"})
        assert part["HX-Redirect"] == reverse("mfa_activate_totp") and part.content == b""

    def test_staff_with_one_proves_it_in_each_session(self, client, staff):
        Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
        answer = client.get(reverse("admin:index"))
        assert answer["Location"] == reverse("mfa_reauthenticate") + "?next=%2Fadmin%2F"
        self.prove(client, staff)
        assert client.get(reverse("admin:index")).status_code == 200
        assert client.get(reverse("admin:worlds_world_changelist")).status_code == 200

    def test_no_deed_gets_past_it(self, client, staff):
        world = make_world("lantern")
        address = reverse("admin:worlds_world_suspend", args=[world.pk])
        assert client.post(address, DIALOG).status_code == 302
        world.refresh_from_db()
        assert world.suspended_at is None

    def test_what_another_account_proved_in_this_browser_does_not_count(self, client, staff):
        self.prove(client, make_account("bob"))
        assert client.get(reverse("admin:index")).status_code == 302

    def test_every_address_of_the_admin_is_behind_it(self, client, staff):
        for address in (
            "/admin/find/?q=x",
            "/admin/no/such/page/",
            "/admin/auth/",
            "/admin/r/1/1/",
        ):
            assert client.get(address)["Location"].startswith("/account/security/"), address

    def test_others_are_told_what_they_were_told_before(self, client):
        assert client.get(reverse("admin:index"))["Location"].startswith("/admin/login/")
        client.force_login(make_account("bob"))
        assert client.get(reverse("admin:index")).status_code == 302


def test_a_local_deployment_s_staff_works_by_password(client, staff, settings):
    settings.STAFF_MFA_REQUIRED = False
    assert client.get(reverse("admin:index")).status_code == 200
