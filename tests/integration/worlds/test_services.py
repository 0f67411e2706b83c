"""Services of worlds: who may be called what, keys, suspension, clean-up."""

import uuid
from datetime import timedelta

import pytest
from celery import current_app
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from accounts.models import AuditRecord
from tests.integration.worlds.makers import make_account, make_play_session, make_world
from worlds import services, tasks
from worlds.models import PlaySession, StoredReceipt, World, WorldKey
from worlds.uplink.keys import key_pair

pytestmark = pytest.mark.django_db
GATEWAY = "wss://play.example.org/world-link/"


@pytest.fixture
def now():
    return timezone.now()


def register(now, slug="alices-haven", name="Alice's Haven", gateway_url=GATEWAY, **fields):
    return services.register_world(
        slug=slug, name=name, gateway_url=gateway_url, owner=None, by=None, now=now, **fields
    )


def actions():
    return list(AuditRecord.objects.order_by("pk").values_list("action", "target"))


def test_register_world(now):
    world = register(now, tagline="Quiet.")
    assert World.objects.get().tagline == "Quiet." and world.tier == World.Tier.OPEN
    assert actions() == [("world_registered", "alices-haven")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "admin"), ("slug", "Alice"), ("slug", "a"), ("slug", "waystone-two"), ("slug", "a--b"),
        ("name", "  "), ("name", "Hаven"), ("name", "A\u202eB C"), ("gateway_url", "https://example.org/"),
        ("gateway_url", "wss://user:word@example.org/"), ("gateway_url", "wss://[::1"),
    ],
)  # fmt: skip
def test_bad_registrations_name_the_field_and_leave_nothing(now, field, value):
    with pytest.raises(services.WorldRefused) as refusal:
        register(now, **{field: value})
    assert list(refusal.value.errors) == [field]
    assert not World.objects.exists() and not AuditRecord.objects.exists()


@pytest.mark.parametrize(
    "name", ["Alice's Haven", "ALICES HAVEN", "A1ice's Haven", "Älice's Haven", "Alice's-Haven!"]
)
def test_nobody_takes_over_a_name_or_one_that_looks_like_it(now, name):
    register(now)
    with pytest.raises(services.WorldRefused) as refusal:
        register(now, slug="mallory", name=name)
    assert list(refusal.value.errors) == ["name"]
    with pytest.raises(services.WorldRefused) as refusal:
        register(now, name="Something Else")
    assert list(refusal.value.errors) == ["slug"]
    assert World.objects.count() == 1 and len(actions()) == 1


def test_rename(now):
    world, other = register(now), register(now, slug="bobs", name="Bob's Bay")
    services.rename_world(world=world, name="Alice's Harbour", by=None, now=now)
    assert World.objects.get(pk=world.pk).name == "Alice's Harbour"
    with pytest.raises(services.WorldRefused):
        services.rename_world(world=other, name="ALICES HARBOUR", by=None, now=now)
    assert World.objects.get(pk=other.pk).name == "Bob's Bay"


def test_move_gateway_is_audited_only_when_it_moves(now):
    world = register(now)
    assert not services.move_gateway(world=world, gateway_url=GATEWAY, by=None, now=now)
    assert services.move_gateway(world=world, gateway_url="wss://new.example.org/", by=None, now=now)
    with pytest.raises(services.WorldRefused):
        services.move_gateway(world=world, gateway_url="ftp://example.org/", by=None, now=now)
    assert World.objects.get().gateway_url == "wss://new.example.org/"
    assert actions()[1:] == [("world_gateway_moved", "alices-haven")]


def test_suspension_and_its_end_happen_once_each(now):
    world, staff = register(now), make_account("staff", is_staff=True)
    assert services.suspend_world(world=world, reason="dupes", by=staff, now=now)
    assert not services.suspend_world(world=world, reason="again", by=staff, now=now + timedelta(seconds=1))
    assert World.objects.get().suspended_at == now
    assert services.lift_suspension(world=world, reason="mended", by=staff, now=now)
    assert not services.lift_suspension(world=world, reason="again", by=staff, now=now)
    assert World.objects.get().suspended_at is None
    rows = AuditRecord.objects.filter(account=staff).order_by("pk").values_list("action", "detail")
    assert list(rows) == [
        ("world_suspended", {"reason": "dupes"}), ("world_suspension_lifted", {"reason": "mended"}),
    ]  # fmt: skip


def test_a_key_is_registered_once_and_never_comes_back_after_it_was_revoked(now):
    world, public = register(now), key_pair(Ed25519PrivateKey.generate())
    key = services.register_world_key(world=world, public_key=public.public_bytes, by=None, now=now)
    again = services.register_world_key(world=world, public_key=public.public_bytes, by=None, now=now)
    assert key == again and key.kid == public.kid
    assert services.revoke_world_key(key=key, by=None, now=now)
    assert not services.revoke_world_key(key=key, by=None, now=now)
    with pytest.raises(services.KeyRefused, match="revoked"):
        services.register_world_key(world=world, public_key=public.public_bytes, by=None, now=now)
    assert actions()[1:] == [("world_key_registered", "alices-haven"), ("world_key_revoked", "alices-haven")]


def test_mallory_cannot_register_alices_key_for_his_world(now):
    alice, mallory = register(now), register(now, slug="mallory", name="Mallory")
    public = key_pair(Ed25519PrivateKey.generate()).public_bytes
    services.register_world_key(world=alice, public_key=public, by=None, now=now)
    with pytest.raises(services.KeyRefused, match="another world"):
        services.register_world_key(world=mallory, public_key=public, by=None, now=now)
    assert WorldKey.objects.get().world == alice


def test_a_key_of_the_wrong_length_is_refused(now):
    with pytest.raises(services.KeyRefused, match="31"):
        services.register_world_key(world=register(now), public_key=bytes(31), by=None, now=now)


def test_receipts_go_after_14_days_and_not_before(now):
    world = make_world("lantern")
    for days in (13, 15):
        StoredReceipt.objects.create(
            world=world, op_id=uuid.uuid4(), line=uuid.uuid4(), version=days, receipt="r", state=b"{}",
            at=now - timedelta(days=days),
        )  # fmt: skip
    tasks.delete_old_receipts()
    assert [receipt.version for receipt in StoredReceipt.objects.all()] == [13]


def test_play_sessions_go_30_days_after_their_end_and_open_ones_never(now, monkeypatch):
    monkeypatch.setattr(services, "DELETE_AT_ONCE", 1)
    world = make_world("lantern")
    for name, days in (("old", 31), ("older", 40), ("recent", 29), ("playing", None)):
        ended_at = None if days is None else now - timedelta(days=days)
        started_at = now - timedelta(days=90)
        make_play_session(world, "quay", started_at=started_at, ended_at=ended_at, character_name=name)
    tasks.delete_old_play_sessions()
    assert set(PlaySession.objects.values_list("character_name", flat=True)) == {"recent", "playing"}


def test_every_scheduled_task_exists():
    names = {entry["task"] for entry in tasks.BEAT_SCHEDULE.values()}
    deleting = {tasks.delete_old_receipts.name, tasks.delete_old_play_sessions.name}
    webhooks = {"worlds.tell_webhooks", "worlds.delete_old_webhook_deliveries"}
    assert {*deleting, *webhooks, tasks.plan_restarts.name, tasks.plan_placement.name} <= names
    assert names <= set(current_app.tasks)
