"""What staff can do to worlds' writes in the admin: limit, bring back, roll back, export; nobody else can."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord
from characters.lines import Entry, append_version, begin_main_line
from characters.models import Character, Line, Version
from tests.integration.worlds.makers import make_account, make_world
from worlds.models import World
from zonecluster.protocol.character import CharacterState, decode_state, encode_state

pytestmark = pytest.mark.django_db
DIALOG = {"_form_submitted": "on"}
ROLLBACK = "/admin/characters/version/rollback/"
EXPORT = "/admin/characters/version/"


@pytest.fixture
def world() -> World:
    return make_world("lantern", tier="official")


@pytest.fixture
def line(world) -> Line:
    """A character with 5 coins, then 90 by the world."""
    now = timezone.now() - timedelta(hours=1)
    character = Character.objects.create(account=make_account("alice"), name="Rowan", name_key="rowan")
    line = begin_main_line(character=character, now=now)
    for money in (5, 90):
        now += timedelta(minutes=10)
        state = encode_state(CharacterState(money=money))
        append_version(line=line, entry=Entry("periodic", state, world, epoch=1), now=now)
    return line


def page(row, name: str = "change") -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=[row.pk])


def money_of(line: Line) -> int:
    return decode_state(bytes(Line.objects.get(pk=line.pk).state)).money


def deeds() -> list[str]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


def as_role(client, role: str) -> int:
    """Log in as somebody who may not; return the status that such a one gets."""
    if role == "anonymous":
        return 302
    account = make_account("mallory", is_staff=role != "player")
    if role == "viewer":
        rights = Permission.objects.filter(codename__in=["view_version", "view_line", "view_world"])
        account.user_permissions.set(rights)
    client.force_login(account)
    return 302 if role == "player" else 403


ROLES = pytest.mark.parametrize("role", ["anonymous", "player", "clerk", "viewer"])


def test_limit_and_lift(client, staff, world):
    limit, lift = page(world, "limit"), page(world, "lift_the_limit")
    assert "Limit this world?" in client.get(limit).content.decode()
    assert client.post(limit, DIALOG | {"reason": ""}).status_code == 200 and deeds() == []
    assert client.post(limit, DIALOG | {"reason": "too much gold"})["HX-Redirect"] == page(world)
    assert World.objects.get().limited_at is not None
    assert "limited" in client.get(page(world)).content.decode()
    assert client.post(limit, DIALOG | {"reason": "again"}).status_code == 403
    client.post(lift, DIALOG | {"reason": "mended"})
    assert World.objects.get().limited_at is None and deeds() == ["world_limited", "world_limit_lifted"]


@ROLES
def test_others_limit_nothing(client, world, role):
    status = as_role(client, role)
    assert client.post(page(world, "limit"), DIALOG | {"reason": "mine"}).status_code == status
    assert World.objects.get().limited_at is None and deeds() == []


def test_a_version_is_brought_back(client, staff, line):
    old = Version.objects.get(line=line, version=2)
    restore = page(old, "restore")
    assert "Bring this version back?" in client.get(restore).content.decode()
    assert money_of(line) == 90, "a link alone does nothing"
    done = client.post(restore, DIALOG | {"reason": "a bug took it"})
    made = Version.objects.get(line=line, version=4)
    assert done["HX-Redirect"] == page(made) and money_of(line) == 5
    assert deeds() == ["character_restored"]
    text = client.get(page(made)).content.decode()
    assert "money 90 → 5" in text
    assert "v2 again" in client.get(page(line)).content.decode()


def test_a_line_in_play_is_not_changed(client, staff, world, line):
    Line.objects.update(holder=world, lease_until=timezone.now() + timedelta(minutes=1))
    client.post(page(Version.objects.get(line=line, version=2), "restore"), DIALOG | {"reason": "x"})
    assert money_of(line) == 90 and deeds() == []
    assert "is in play in" in client.get(page(line)).content.decode()


@ROLES
def test_others_bring_nothing_back(client, line, role):
    old = Version.objects.get(line=line, version=2)
    status = as_role(client, role)
    assert client.post(page(old, "restore"), DIALOG | {"reason": "mine"}).status_code == status
    assert money_of(line) == 90 and deeds() == []


def since(line: Line) -> str:
    first = Version.objects.get(line=line, version=3)
    return f"{first.at - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"


def test_a_world_is_rolled_back_after_a_look(client, staff, world, line):
    assert client.get(ROLLBACK).status_code == 200
    asked = {"world": world.pk, "since": since(line)}
    text = client.get(ROLLBACK, asked).content.decode()
    assert "money 90 → 5" in text and "goes back" in text and "Do it" in text
    assert money_of(line) == 90 and deeds() == []
    refused = client.post(ROLLBACK, asked | {"reason": ""})
    assert refused.status_code == 400 and "This field is required" in refused.content.decode()
    assert money_of(line) == 90
    done = client.post(ROLLBACK, asked | {"reason": "dupes"}, follow=True)
    assert "1 lines went back" in done.content.decode() and "nothing to do" in done.content.decode()
    assert money_of(line) == 5 and deeds() == ["character_rolled_back", "world_rolled_back"]
    client.post(ROLLBACK, asked | {"reason": "dupes"})
    assert Line.objects.get(pk=line.pk).version == 4 and len(deeds()) == 2


@pytest.mark.parametrize("asked", [{"world": "x"}, {"world": 10**9, "since": "x"}, {"since": "2026-01-01"}])
def test_nonsense_shows_the_form_again(client, staff, line, asked):
    assert client.get(ROLLBACK, asked).status_code == 200
    assert client.post(ROLLBACK, asked | {"reason": "x"}).status_code == 400
    assert money_of(line) == 90


def test_a_large_rollback_is_for_the_command(client, staff, world, line, monkeypatch):
    monkeypatch.setattr("characters.rollback_page.MOST_LINES", 0)
    asked = {"world": world.pk, "since": since(line)}
    assert "manage.py rollbackworld lantern" in client.get(ROLLBACK, asked).content.decode()
    client.post(ROLLBACK, asked | {"reason": "dupes"})
    assert money_of(line) == 90


@ROLES
def test_others_roll_nothing_back(client, world, line, role):
    status = as_role(client, role)
    asked = {"world": world.pk, "since": since(line)}
    assert client.get(ROLLBACK, asked).status_code == status
    assert client.post(ROLLBACK, asked | {"reason": "mine"}).status_code == status
    assert money_of(line) == 90 and deeds() == []


def test_what_a_world_wrote_is_listed_and_exported(client, staff, world, line):
    listed = f"{EXPORT}?world__id__exact={world.pk}"
    assert listed.removeprefix("/admin") in client.get(page(world)).content.decode().replace("&amp;", "&")
    chosen = {"action": "export", "_selected_action": [row.pk for row in line.versions.all()]}
    answer = client.post(listed, chosen)
    documents = [json.loads(text) for text in answer.getvalue().decode().splitlines()]
    assert [one["state"]["money"] for one in documents] == [5, 90]
    assert answer["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize("role", ["anonymous", "player", "clerk"])
def test_others_export_nothing(client, line, role):
    status = as_role(client, role)
    chosen = {"action": "export", "_selected_action": [row.pk for row in line.versions.all()]}
    answer = client.post(EXPORT, chosen)
    assert answer.status_code == status and b"Rowan" not in answer.content
