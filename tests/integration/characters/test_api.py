"""REST for players: own characters and tickets, by role."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import AuditRecord
from characters.models import Character, Line, Version
from characters.services import create_character
from worlds.models import World

pytestmark = pytest.mark.django_db

ENDPOINTS = [
    ("get", "/api/v1/characters/"),
    ("post", "/api/v1/characters/"),
    ("get", "/api/v1/characters/{hero}/"),
    ("delete", "/api/v1/characters/{hero}/"),
    ("post", "/api/v1/worlds/aurora/tickets/"),
]


def logged_in(account):
    client = Client()
    client.force_login(account)
    return client


def code_of(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def make(client, name):
    return client.post("/api/v1/characters/", {"name": name}, content_type="application/json")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_strangers_are_refused(aurora, hero, method, path):
    response = getattr(Client(), method)(path.format(hero=hero.id))
    assert code_of(response)[0] in (401, 403)
    assert Character.objects.filter(deleted_at=None).count() == 1


@pytest.mark.parametrize("role", ["mallory", "staff"])
def test_other_peoples_characters_do_not_exist(hero, make_account, role):
    client = logged_in(make_account(role, staff=role == "staff"))
    path = f"/api/v1/characters/{hero.id}/"
    assert client.get("/api/v1/characters/").json()["characters"] == []
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.get(f"/api/v1/characters/{uuid4()}/").status_code == 404
    assert Character.objects.get(id=hero.id).deleted_at is None


def test_a_new_character_has_a_main_line_and_a_first_version(alice, now):
    response = make(logged_in(alice), " O’Hara ")
    assert response.status_code == 201
    body = response.json()
    assert (body["name"], body["level"], body["is_locked"], body["places"]) == ("O'Hara", 1, False, {})
    assert (body["playing_in"], body["version"], body["forks"]) == (None, 1, [])
    line = Line.objects.get(character=body["id"])
    version = Version.objects.get(line=line)
    assert (version.kind, version.version, version.world, bytes(version.prev_chain)) == (
        "create",
        1,
        None,
        bytes(32),
    )
    assert bytes(line.state) == bytes(version.state)
    assert AuditRecord.objects.get(action="character_created").account == alice
    listed = logged_in(alice).get("/api/v1/characters/").json()
    assert (listed["edition"], listed["slots"], listed["free_slots"]) == ("free", 3, 2)
    assert listed["characters"] == [body]


def test_a_name_is_taken_on_all_worlds_until_its_owner_deletes_it(alice, mallory, hero, now):
    thief = logged_in(mallory)
    for name in ("Rowan", "rôwan", "Row-an"):
        assert code_of(make(thief, name)) == (409, "name_taken")
    assert logged_in(alice).delete(f"/api/v1/characters/{hero.id}/").status_code == 204
    assert AuditRecord.objects.filter(action="character_deleted", account=alice).count() == 1
    assert make(thief, "Rowan").status_code == 201
    assert Version.objects.filter(line__character=hero).count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x"}, {"name": "Adm1n"}, {"name": ["a"]}, {"name": "a" * 101}]
)
def test_a_bad_name_is_refused_by_field(alice, body):
    response = logged_in(alice).post("/api/v1/characters/", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"]["name"]
    assert not Character.objects.exists()


def test_slots_are_those_of_the_edition(alice, make_account, now):
    client = logged_in(alice)
    assert [make(client, name).status_code for name in ("Ash", "Birch", "Cedar")] == [201] * 3
    assert code_of(make(client, "Elder")) == (409, "no_free_slot")
    assert Character.objects.filter(account=alice).count() == 3
    premium = logged_in(make_account("bob", premium=True))
    assert [make(premium, name).status_code for name in ("Hazel", "Alder", "Maple", "Willow")] == [201] * 4


def test_a_character_in_a_world_is_not_deleted(aurora, alice, hero, now):
    aurora.acquire(hero, aurora.admit(alice, now), now)
    client = logged_in(alice)
    assert client.get(f"/api/v1/characters/{hero.id}/").json()["playing_in"] == "aurora"
    assert code_of(client.delete(f"/api/v1/characters/{hero.id}/")) == (409, "character_in_play")


def test_the_list_shows_forks_and_costs_two_queries(wilds, make_account, now, django_assert_num_queries):
    bob = make_account("bob", premium=True)
    for number, name in enumerate(("Ash", "Birch", "Cedar", "Elder")):
        create_character(account=bob, name=name, by=bob, now=now + timedelta(seconds=number))
    oldest = Character.objects.order_by("created_at")[0]
    wilds.acquire(oldest, wilds.admit(bob, now), now)
    client = logged_in(bob)
    with django_assert_num_queries(4):  # session, account, lines, entitlements
        listed = client.get("/api/v1/characters/").json()["characters"]
    assert [row["name"] for row in listed] == ["Ash", "Birch", "Cedar", "Elder"]
    assert [fork["world"] for fork in listed[0]["forks"]] == ["wilds"]
    bob.entitlements.create(edition="premium", is_grant=False, source="staff", reference="test")
    listed = client.get("/api/v1/characters/").json()["characters"]
    assert [row["is_locked"] for row in listed] == [False, False, False, True]


def test_a_ticket_by_rest(aurora, alice, now):
    response = logged_in(alice).post("/api/v1/worlds/aurora/tickets/")
    assert response.status_code == 201
    assert set(response.json()) == {"ticket", "gateway_url", "expires_at"}
    assert response.json()["gateway_url"] == "ws://127.0.0.1:1/"
    assert "no-store" in response["Cache-Control"]
    assert logged_in(alice).post("/api/v1/worlds/nowhere/tickets/").status_code == 404
    assert logged_in(alice).get("/api/v1/worlds/aurora/tickets/").status_code == 405


@pytest.mark.parametrize(
    ("world", "account", "expected"),
    [
        ({"last_report_at": None}, {}, (503, "world_offline")),
        ({"maintenance_since": "2026-01-01T00:00Z"}, {}, (503, "world_maintenance")),
        ({"suspended_at": "2026-01-01T00:00Z"}, {}, (403, "world_suspended")),
        ({"edition": "premium"}, {}, (403, "edition_needed")),
        ({}, {"banned_until": "2099-01-01T00:00Z"}, (403, "account_banned")),
    ],
)
def test_a_refused_ticket_says_why(aurora, alice, world, account, expected):
    World.objects.filter(pk=aurora.world.pk).update(**world)
    type(alice).objects.filter(pk=alice.pk).update(**account)
    response = logged_in(alice).post("/api/v1/worlds/aurora/tickets/")
    assert code_of(response) == expected
    assert response.json()["detail"]
