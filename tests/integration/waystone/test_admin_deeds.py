"""What staff can do in the admin: each deed goes through a service and leaves an audit row."""

import secrets

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord, Entitlement
from accounts.rules import Edition
from accounts.selectors import edition_of
from characters.lines import begin_main_line
from characters.models import Character, Line, Version
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import World, WorldKey, ZoneCluster

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on"}


def page(row, name: str = "change") -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=[row.pk])


def add_page(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def deeds() -> list[tuple[str, str]]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", "target"))


def form_of(client, address: str) -> dict[str, object]:
    """Return what a browser would send back of a page's form, unchanged."""
    form = client.get(address).context["adminform"].form
    data: dict[str, object] = {}
    for bound in form:
        value = bound.value()
        if isinstance(value, bool):
            data |= {bound.html_name: "on"} if value else {}
        elif value is not None:
            data[bound.html_name] = value
    return data


def test_suspend_and_lift(client, staff):
    world = make_world("lantern")
    suspend, lift = page(world, "suspend"), page(world, "lift")
    assert "Suspend this world?" in client.get(suspend).content.decode()
    assert client.post(suspend, DIALOG | {"reason": ""}).status_code == 200
    assert World.objects.get().suspended_at is None and deeds() == []
    done = client.post(suspend, DIALOG | {"reason": "item dupes"})
    assert done["HX-Redirect"] == page(world)
    assert World.objects.get().suspended_at is not None
    assert client.post(suspend, DIALOG | {"reason": "again"}).status_code == 403
    client.post(lift, DIALOG | {"reason": "mended"})
    assert World.objects.get().suspended_at is None
    rows = AuditRecord.objects.order_by("pk").values_list("action", "account", "detail")
    assert list(rows) == [
        ("world_suspended", staff.pk, {"reason": "item dupes"}),
        ("world_suspension_lifted", staff.pk, {"reason": "mended"}),
    ]


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk"])
def test_others_suspend_nothing(client, role):
    world = make_world("lantern")
    if role != "anonymous":
        client.force_login(make_account("mallory", is_staff=role == "clerk"))
    response = client.post(page(world, "suspend"), DIALOG | {"reason": "mine now"})
    assert response.status_code == (403 if role == "clerk" else 302)
    assert World.objects.get().suspended_at is None and deeds() == []


def test_a_link_alone_suspends_nothing(client, staff):
    world = make_world("lantern")
    client.get(page(world, "suspend"), DIALOG | {"reason": "clicked"})
    assert World.objects.get().suspended_at is None


def test_a_foreign_form_suspends_nothing(staff):
    from django.test import Client  # noqa: PLC0415  (beside its one use)

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff)
    world = make_world("lantern")
    assert strict.post(page(world, "suspend"), DIALOG | {"reason": "forged"}).status_code == 403
    assert World.objects.get().suspended_at is None


def test_a_world_is_registered_and_changed_by_the_rules(client, staff):
    data = form_of(client, add_page(World)) | {
        "slug": "haven",
        "name": "Haven",
        "region": "eu",
        "max_players": "50",
        "placement": "proposed",
        "gateway_url": "wss://play.example.org/world-link/",
    }
    assert client.post(add_page(World), data | {"slug": "admin"}).status_code == 200
    assert client.post(add_page(World), data | {"gateway_url": "https://x/"}).status_code == 200
    assert not World.objects.exists()
    assert client.post(add_page(World), data).status_code == 302
    world = World.objects.get()
    assert (world.name_key, deeds()) == ("haven", [("world_registered", "haven")])
    assert (world.max_players, world.max_queue, world.placement) == (50, 500, "proposed")
    assert (
        "very similar name"
        in client.post(add_page(World), data | {"slug": "two", "name": "HAVEN!"}).content.decode()
    )
    change = form_of(client, page(world)) | {"name": "Safe Haven", "region": "north"}
    assert client.post(page(world), change).status_code == 302
    world.refresh_from_db()
    assert (world.name, world.name_key, world.tier, world.slug) == (
        "Safe Haven",
        "safehaven",
        "open",
        "haven",
    )
    record = AuditRecord.objects.get(action="world_changed_by_staff")
    assert record.account == staff
    assert record.before == {"name": "Haven", "region": "eu"}
    assert record.after == {"name": "Safe Haven", "region": "north"}


def test_saving_without_a_change_leaves_no_audit_row(client, staff):
    world = make_world("lantern", last_report_at=timezone.now())
    assert client.post(page(world), form_of(client, page(world))).status_code == 302
    assert deeds() == []


def test_keys_are_registered_and_revoked(client, staff):
    world, public = make_world("lantern"), secrets.token_bytes(32)
    for bad in ("00", "zz" * 32, "ab" * 31):
        response = client.post(add_page(WorldKey), {"world": world.pk, "public_key_hex": bad})
        assert response.status_code == 200 and not WorldKey.objects.exists()
    data = {"world": world.pk, "public_key_hex": public.hex()}
    assert client.post(add_page(WorldKey), data).status_code == 302
    key = WorldKey.objects.get()
    assert bytes(key.public_key) == public
    assert "registered already" in client.post(add_page(WorldKey), data).content.decode()
    client.post(page(key, "revoke"), DIALOG)
    assert WorldKey.objects.get().revoked_at is not None
    assert [action for action, _ in deeds()] == ["world_key_registered", "world_key_revoked"]


def test_entitlements_are_granted_and_taken_back_by_the_ledger(client, staff):
    alice = make_account("alice")
    data = {"account": alice.pk, "edition": "premium", "is_grant": "on", "reference": "ticket 7"}
    assert client.post(add_page(Entitlement), data).status_code == 302
    entry = Entitlement.objects.get()
    assert (entry.source, entry.created_by) == ("staff", staff)
    assert edition_of(alice, timezone.now()) is Edition.PREMIUM
    assert "booked already" in client.post(add_page(Entitlement), data).content.decode()
    unknown = data | {"reference": "ticket 8"}
    del unknown["is_grant"]
    assert "Nothing was granted" in client.post(add_page(Entitlement), unknown).content.decode()
    client.post(page(entry, "take_back"), DIALOG)
    client.post(page(entry, "take_back"), DIALOG)
    assert edition_of(alice, timezone.now()) is Edition.FREE
    assert list(Entitlement.objects.order_by("pk").values_list("is_grant", flat=True)) == [True, False]
    assert [action for action, _ in deeds()] == ["entitlement_granted", "entitlement_revoked"]


def test_an_account_is_banned_and_its_mail_and_password_are_out_of_reach(client, staff):
    alice = make_account("alice")
    data = form_of(client, page(alice))
    assert not {"email", "password", "uid"} & data.keys()
    until = {"until_0": "2099-01-01", "until_1": "00:00:00", "reason": "threats"}
    client.post(page(alice, "ban_it"), DIALOG | until)
    forged = {"email": "mallory@example.org", "password": "x", "banned_until_0": "2020-01-01"}
    assert client.post(page(alice), data | forged).status_code == 302
    before = alice.password
    alice.refresh_from_db()
    assert alice.banned_until is not None and alice.email == "alice@example.org" and alice.password == before
    assert deeds() == [("account_banned", str(alice.uid))]


def test_a_cluster_moves_port_and_keeps_its_name(client, staff):
    cluster = ZoneCluster.objects.create(world=make_world("lantern"), name="east", udp_port=0)
    data = form_of(client, page(cluster)) | {"udp_port": "40000", "name": "mine"}
    assert client.post(page(cluster), data).status_code == 302
    cluster.refresh_from_db()
    assert (cluster.udp_port, cluster.name) == (40000, "east")
    assert deeds() == [("zonecluster_changed_by_staff", "lantern/east")]


def test_a_session_is_ended(client, staff):
    store = SessionStore()
    store.create()
    alice = make_account("alice")
    session = UserSession.objects.create(
        user=alice, ip="127.0.0.1", session_key=store.session_key, user_agent="t"
    )
    client.post(page(session, "end"), DIALOG)
    assert not UserSession.objects.filter(pk=session.pk).exists()
    assert not SessionStore().exists(store.session_key)
    assert deeds() == [("session_ended_by_staff", str(alice.uid))]


def test_groups_are_for_superusers(client):
    account = make_account("clerk", is_staff=True)
    client.force_login(account)
    assert client.get(add_page(Group)).status_code == 403


def make_line() -> Line:
    character = Character.objects.create(account=make_account("alice"), name="Aria", name_key="aria")
    return begin_main_line(character=character, now=timezone.now())


def test_a_line_page_shows_state_and_that_its_chain_is_whole(client, staff):
    line = make_line()
    text = client.get(page(line)).content.decode()
    assert "whole: 1 versions checked" in text
    assert bytes(line.chain).hex() in text and "&quot;attributes&quot;" in text
    assert "&lt;a class" not in text and "&lt;td" not in text


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (
            lambda line: Version.objects.update(state=b'{"money":9}'),
            "v1: the state is not the one that was hashed",
        ),
        (
            lambda line: Version.objects.update(chain=bytes(32)),
            "v1: the chain does not follow from its parts",
        ),
        (lambda line: Line.objects.update(state=b'{"money":9}'), "the head (v1) is not the newest version"),
        (lambda line: Version.objects.all().delete(), "the head (v1) is not the newest version"),
    ],
)
def test_a_line_page_shows_where_its_history_is_broken(client, staff, tamper, fault):
    line = make_line()
    tamper(line)
    assert fault in client.get(page(line)).content.decode()


def test_no_page_shows_markup_as_text(client, staff):
    world = make_world("lantern", owner=staff, report={"clusters": [{"name": "<b>", "is_alive": True}]})
    for row in (world, staff, make_line().character):
        text = client.get(page(row)).content.decode()
        assert "&lt;a class" not in text and "<b>" not in text
