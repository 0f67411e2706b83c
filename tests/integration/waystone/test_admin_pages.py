"""Every page of the admin: opens for staff, is refused to others, and takes no more queries for more rows."""

import secrets
import uuid
from collections.abc import Iterator
from datetime import time, timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts.models import (
    Account,
    ApiToken,
    AuditRecord,
    Entitlement,
    GiftCode,
    Leaving,
    Payment,
    PaymentNotice,
)
from characters.lines import begin_main_line, fork_main_line
from characters.models import (
    Character,
    Fall,
    FormerName,
    Gain,
    Incarnation,
    Letter,
    Line,
    Reoffer,
    ThinnedVersions,
    TradeStop,
    Valuable,
    ValuableEvent,
    Version,
    WaitingOffer,
    WorldBudget,
)
from tests.integration.worlds.makers import make_account, make_play_session, make_world
from worlds.models import (
    Alarm,
    Announcement,
    Availability,
    Backup,
    ContentPack,
    CreatureKind,
    CreatureSpawn,
    Host,
    ItemKind,
    KeeperInvitation,
    PlacementPlan,
    PlaySession,
    PopulationHour,
    Pseudonym,
    Quarantine,
    Restart,
    RestartPolicy,
    SlowHandler,
    StoredReceipt,
    Ticket,
    WaitingPlayer,
    Webhook,
    WebhookDelivery,
    World,
    WorldBanner,
    WorldKeeper,
    WorldKey,
    WorldOrder,
    WorldSanction,
    WorldSetup,
    Zone,
    ZoneCluster,
    ZoneCost,
    ZoneLink,
)
from worlds.status.incidents import begin_incident, update_incident

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = [model for model in MODELS if model._meta.app_label in ("accounts", "characters", "worlds")]
IDS = [model._meta.label_lower for model in MODELS]


def make_everything() -> None:
    """Make a row of every model, with rows around it."""
    now, mark = timezone.now(), secrets.token_hex(3)
    alice = make_account(f"alice-{mark}")
    world = make_world(
        f"world-{mark}",
        owner=alice,
        last_report_at=now,
        report={"clusters": [{"name": "east", "is_alive": True}]},
    )
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True)
    UserSession.objects.create(
        user=alice, ip="127.0.0.1", session_key=secrets.token_hex(16), user_agent="test"
    )
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={"secret": "x"})
    Entitlement.objects.create(account=alice, edition="premium", source="gift", reference="x")
    AuditRecord.objects.create(account=alice, action="tested", target="x", detail={"a": 1})
    paid = Payment.objects.create(
        variant="dummy", buyer=alice, account=alice, recipient="buyer", product="month"
    )
    PaymentNotice.objects.create(
        payment=paid, provider="dummy", notice_id=mark, kind="paid", subject=mark, happened_at=now
    )
    GiftCode.objects.create(digest=mark, made_by=alice, payment=paid, redeemed_by=alice, redeemed_at=now)
    WorldKey.objects.create(world=world, kid=secrets.token_hex(16), public_key=secrets.token_bytes(32))
    Pseudonym.objects.create(account=alice, world=world)
    Ticket.objects.create(account=alice, world=world, issued_at=now, expires_at=now)
    _make_content(world, now)
    _make_characters(alice, world, now)
    _make_keeping(alice, world, mark, now)
    _make_platform(mark, now)


def _make_content(world: World, now) -> None:
    ContentPack.objects.create(world=world, name="p", version="1", digest="0" * 64, imported_at=now)
    runs = [{"name": "east", "state": "ready", "pid": 1, "generation": 0, "deaths": 0, "reason": ""}]
    machine = {"cores": 2.0, "memory_mb": 4096, "free_memory_mb": 1024, "load": 0.5, "clusters": runs}
    host = Host.objects.create(
        world=world, name="second", public_key=bytes(32), last_seen_at=now, status=machine
    )
    cluster = ZoneCluster.objects.create(
        world=world, name="east", host=host, udp_port=0, last_seen_at=now, status={"a": 1}
    )
    quay, hill = (
        Zone.objects.create(
            world=world,
            slug=slug,
            name=slug,
            description="a\nb",
            size=100,
            entry_x=1,
            entry_y=1,
            home_cluster=cluster,
        )
        for slug in ("quay", "hill")
    )
    ZoneLink.objects.create(
        zone=quay, slug="up", label="Up", x=1, y=90, target=hill, arrival_x=5, arrival_y=5
    )
    ZoneLink.objects.create(
        zone=hill, slug="down", label="Down", x=90, y=1, target=quay, arrival_x=5, arrival_y=5
    )
    kind = CreatureKind.objects.create(world=world, slug="gull", name="gull")
    CreatureSpawn.objects.create(zone=quay, kind=kind, count=3, x=50, y=50, radius=9)
    Alarm.objects.create(world=world, key="cluster_dead:east", text="east is dead", began_at=now, last_at=now)
    PopulationHour.objects.create(world=world, at=now, mean=2.5, most=4, samples=60)
    by = world.owner
    SlowHandler.objects.create(
        world=world, kind="look", cluster="east", p99_ms=7, worst_ms=60, runs=500, off_at=now, on_by=by
    )
    ZoneCost.objects.create(zone=quay, hour=7, cpu_ms=3.5, players=2, commands=1, updated_at=now)
    plan = PlacementPlan.objects.create(world=world, reason="one move", made_at=now)
    plan.moves.create(world=world, zone="quay", source="east", target="west", reason="full", asked_at=now)
    RestartPolicy.objects.create(world=world, when="fixed", at=time(4))
    Restart.objects.create(world=world, kind="full", due_at=now, made_at=now)
    ItemKind.objects.create(world=world, slug="bread", name="bread", stack_size=20)
    make_play_session(world, "quay", started_at=now)
    Announcement.objects.create(world=world, text="Hear!", at=now, by=by)
    WaitingPlayer.objects.create(
        world=world,
        pseudonym=uuid.uuid4(),
        admission=uuid.uuid4(),
        character=uuid.uuid4(),
        character_name="Bob",
        rank=2,
        arrival=1,
        since=now,
        resume_digest=bytes(32),
    )
    StoredReceipt.objects.create(
        world=world, op_id=uuid.uuid4(), line=uuid.uuid4(), version=1, receipt="r", state=b"{}", at=now
    )
    Quarantine.objects.create(
        world=world, character=uuid.uuid4(), session=uuid.uuid4(), stay=1, document=b"{}", digest=b"", at=now
    )


def _make_characters(alice: Account, world: World, now) -> None:
    name = secrets.token_hex(5)
    character = Character.objects.create(account=alice, name=name, name_key=name)
    main = begin_main_line(character=character, now=now)
    fork = fork_main_line(character=character, world=world, now=now)
    Line.objects.filter(pk=fork.pk).update(holder=world, lease_until=now + timedelta(minutes=1))
    asked = {"line": main, "epoch": 1, "version": 1, "prev_chain": bytes(32), "chain": bytes(32)}
    FormerName.objects.create(character=main.character, name="Old Name", until=now)
    Fall.objects.create(write=fork.versions.get(), reason="limited", **asked)
    ThinnedVersions.objects.create(line=main, first=5, last=6, links=bytes(96))
    incarnation, _ = Incarnation.objects.get_or_create(
        number=secrets.randbelow(10**6), defaults={"began_at": now, "reason": "test"}
    )
    Reoffer.objects.get_or_create(incarnation=incarnation, world=world)
    WaitingOffer.objects.create(line=uuid.uuid4(), world=world, version=7, state=b"{}")
    TradeStop.objects.create(world=world, item_kind="gem", reason="doubled")
    thing = Valuable.objects.create(thing=uuid.uuid4(), kind="crown", line=main)
    op_id = main.versions.get().op_id
    ValuableEvent.objects.create(valuable=thing, at=now, kind="made", world=world, line=main, op_id=op_id)
    Gain.objects.create(world=world, line=main, hour=now, xp=5)
    WorldBudget.objects.create(world=world)
    Letter.objects.create(
        id=uuid.uuid4(),
        sender=character,
        recipient=character,
        posted_by=world,
        subject="Hello",
        text="a\nb",
        items=[{"kind": "rope", "count": 2}],
        money=5,
        posted_at=now,
        digest=bytes(32),
        exchange=uuid.uuid4(),
    )


def _make_keeping(alice: Account, world: World, mark: str, now) -> None:
    later = now + timedelta(days=7)
    ApiToken.objects.create(
        account=alice, name="bot", hint="ws_", digest=mark, scopes=["worlds"], made_at=now, expires_at=later
    )
    Leaving.objects.create(account=alice, asked_at=now, due_at=later)
    keeper = make_account(f"keeper-{mark}")
    WorldKeeper.objects.create(world=world, account=keeper, role="moderator", since=now)
    KeeperInvitation.objects.create(
        world=world, email="bob@example.org", role="manager", by=alice, made_at=now, expires_at=later
    )
    sanction = {"character_name": "Mallory", "reason": "spam", "by": keeper, "made_at": now}
    WorldSanction.objects.create(world=world, account=alice, kind="ban", **sanction)
    WorldOrder.objects.create(
        world=world, kind="kick", body={"a": 1}, about="Mallory", by=keeper, made_at=now, expires_at=later
    )
    WorldBanner.objects.create(world=world, image=b"x", digest="d", width=4, height=1, made_at=now)
    WorldSetup.objects.create(world=world)
    incident = begin_incident(
        title=f"Slow {mark}", impact="minor", text="We see it.", worlds=[world], by=alice, now=now
    )
    update_incident(incident=incident, state="over", text="It is mended.", by=alice, now=now)
    Availability.objects.create(
        world=world,
        span="hour",
        at=now,
        last_at=now,
        samples=1,
        was_up=True,
        up=1,
        planned=0,
        players=3,
        most=3,
    )
    hook = Webhook.objects.create(
        world=world, url="https://example.org/", events=["world.online"], made_by=alice, made_at=now
    )
    WebhookDelivery.objects.create(
        webhook=hook, event="world.online", source=mark, body=b'{"a": 1}', made_at=now
    )


def _make_platform(mark: str, now) -> None:
    Group.objects.create(name=f"group-{mark}")
    interval = IntervalSchedule.objects.create(every=secrets.randbelow(10**6), period="seconds")
    CrontabSchedule.objects.create(minute=str(secrets.randbelow(60)), hour=str(secrets.randbelow(24)))
    ClockedSchedule.objects.create(clocked_time=now)
    SolarSchedule.objects.get_or_create(event="sunrise", latitude=secrets.randbelow(90), longitude=1)
    report = {"rows": 9, "invariants": 26}
    Backup.objects.create(name=f"b-{mark}", started_at=now, state="proven", proven_at=now, report=report)
    PeriodicTask.objects.create(name=f"task-{mark}", task="worlds.delete_old_receipts", interval=interval)


@pytest.fixture
def staff(client) -> Iterator[Account]:
    account = make_account("staff", is_staff=True, is_superuser=True)
    client.force_login(account)
    return account


def changelist(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def change_page(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def queries(client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(address)
    assert response.status_code == 200, address
    return len(captured)


def test_every_model_of_ours_is_in_the_admin():
    from django.apps import apps  # noqa: PLC0415  (models are complete only now)

    ours = {
        model
        for app in ("accounts", "characters", "worlds")
        for model in apps.get_app_config(app).get_models()
    }
    assert ours == set(OURS)


def test_lists_open_search_and_do_not_grow_in_queries(client, staff):
    make_everything()
    few = {}
    for model in MODELS:
        client.get(changelist(model))  # fills caches of content types and the like
        few[model] = queries(client, changelist(model))
    for _ in range(3):
        make_everything()
    many = {model: queries(client, changelist(model)) for model in MODELS}
    grown = {model._meta.label: (few[model], many[model]) for model in MODELS if many[model] > few[model]}
    assert grown == {}
    for model in MODELS:
        assert client.get(changelist(model), {"q": "a"}).status_code == 200, model


def test_every_row_has_a_page(client, staff):
    make_everything()
    for model in MODELS:
        assert model.objects.exists(), model
        for row in model.objects.all():
            assert client.get(change_page(row)).status_code == 200, model


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_adding_opens_or_is_refused_but_never_fails(client, staff, model):
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
    assert client.get(address).status_code in (200, 403)


@pytest.mark.parametrize("role", ["anonymous", "player", "staff without rights"])
def test_others_are_refused(client, role):
    make_everything()
    if role != "anonymous":
        client.force_login(make_account(role.replace(" ", "-"), is_staff=role != "player"))
    for model in MODELS:
        row = model.objects.first()
        assert row is not None, model
        for address in (changelist(model), change_page(row)):
            response = client.get(address)
            if role == "staff without rights":
                assert response.status_code == 403, address
            else:
                assert response.status_code == 302 and "/admin/login/" in response["Location"], address


SAFE = [
    *(
        Character,
        Line,
        Version,
        Fall,
        FormerName,
        ThinnedVersions,
        Incarnation,
        Reoffer,
        WaitingOffer,
        Letter,
        TradeStop,
        Valuable,
        ValuableEvent,
        Gain,
        Ticket,
        WorldKey,
        Pseudonym,
        Entitlement,
        AuditRecord,
        Payment,
        PaymentNotice,
        GiftCode,
    ),
    *(StoredReceipt, PlaySession, ContentPack, Zone, ZoneLink, Backup),
]


def test_what_carries_the_safety_cannot_be_edited_or_deleted_even_by_superusers(client, staff):
    make_everything()
    forged, gone = {"version": "999", "name": "Mallory"}, {"post": "yes"}
    for model in SAFE:
        row = model.objects.first()
        before = list(model.objects.order_by("pk").values())
        assert client.post(change_page(row), forged).status_code == 403, model
        delete = change_page(row).replace("/change/", "/delete/")
        assert client.post(delete, gone).status_code == 403, model
        client.post(changelist(model), {"action": "delete_selected", "_selected_action": [row.pk], **gone})
        assert list(model.objects.order_by("pk").values()) == before, model


def test_staff_with_view_rights_see_and_cannot_change(client):
    make_everything()
    account = make_account("viewer", is_staff=True)
    account.user_permissions.set(Permission.objects.filter(codename__in=["view_world", "view_account"]))
    client.force_login(account)
    world = World.objects.first()
    assert client.get(change_page(world)).status_code == 200
    assert client.post(change_page(world), {"name": "Mallory"}).status_code == 403
    assert client.get(changelist(Line)).status_code == 403
    page = client.get(reverse("admin:index")).content.decode()
    assert world.name in page and "Newest versions" not in page and "Newest deeds" not in page


def test_staff_cannot_promote_themselves(client):
    account = make_account("clerk", is_staff=True)
    account.user_permissions.set(Permission.objects.filter(codename__in=["view_account", "change_account"]))
    client.force_login(account)
    client.post(change_page(account), {"is_active": "on", "is_staff": "on", "is_superuser": "on"})
    account.refresh_from_db()
    assert not account.is_superuser


def test_the_first_page_shows_true_figures_in_bounded_queries(client, staff):
    make_everything()
    World.objects.update(suspended_at=timezone.now())
    client.get(reverse("admin:index"))
    few = queries(client, reverse("admin:index"))
    make_everything()
    world = World.objects.get(suspended_at__isnull=True)
    text = client.get(reverse("admin:index")).content.decode()
    assert queries(client, reverse("admin:index")) <= few
    assert "<strong>1 of 1</strong>" in text  # worlds online, of those listed
    assert f"{world} has no valid key" not in text and "is suspended since" in text
    assert "<title>" in text and str(Version.objects.count()) in text


@pytest.mark.parametrize("role", ["anonymous", "player"])
def test_the_first_page_is_for_staff(client, role):
    if role == "player":
        client.force_login(make_account("mallory"))
    assert client.get(reverse("admin:index")).status_code == 302


def test_a_session_key_is_never_shown(client, staff):
    make_everything()
    session = UserSession.objects.exclude(user=staff).first()
    assert session.session_key not in client.get(change_page(session)).content.decode()
    assert session.session_key not in client.get(changelist(UserSession)).content.decode()
