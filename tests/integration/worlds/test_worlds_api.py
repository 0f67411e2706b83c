"""GET /api/v1/worlds/ and /api/v1/worlds/{slug}/."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.serializers import BaseSerializer

from tests.integration.worlds.makers import make_account, make_players, make_world
from worlds import api, public_answers
from worlds.models import World, Zone

pytestmark = pytest.mark.django_db
LIST = "/api/v1/worlds/"


@pytest.fixture(autouse=True)
def _nothing_kept():
    api.answers.clear()
    yield
    api.answers.clear()


@pytest.fixture
def now():
    return timezone.now()


def slugs(client, **parameters):
    response = client.get(LIST, parameters)
    assert response.status_code == 200, response.content
    return [row["slug"] for row in response.json()["results"]]


def test_an_empty_platform_has_an_empty_list(client):
    assert client.get(LIST).json() == {
        "count": 0, "page": 1, "page_size": 50, "next": None, "previous": None, "results": [],
    }  # fmt: skip


def test_players_are_leases_in_force(client, now):
    busy, quiet = make_world("busy", report={"players": 0}), make_world("quiet", report={"players": 999})
    make_players(busy, 3, now)
    make_players(busy, 2, now, lease_for=-1)
    make_players(quiet, 1, now)
    rows = {row["slug"]: row["players"] for row in client.get(LIST).json()["results"]}
    assert rows == {"busy": 3, "quiet": 1}


def test_online_is_a_report_within_15_seconds(client, now):
    make_world("fresh", last_report_at=now - timedelta(seconds=5))
    make_world("silent", last_report_at=now - timedelta(seconds=16))
    make_world("never")
    assert slugs(client, online="true") == ["fresh"]
    assert sorted(slugs(client, online="false")) == ["never", "silent"]
    assert {row["slug"]: row["is_online"] for row in client.get(LIST).json()["results"]} == {
        "fresh": True, "silent": False, "never": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("language", "de"), ("region", "eu"), ("ruleset", "pvp"), ("tier", "verified"), ("edition", "premium")],
)
def test_filters(client, name, value):
    make_world("plain")
    make_world("special", **{name: value})
    assert slugs(client, **{name: value}) == ["special"]


@pytest.mark.parametrize("search", ["stone", "STONE", "Standing St", "a%b", "under_score"])
def test_search_takes_text_literally(client, search):
    make_world("stones", name="Standing Stones", tagline="a%b", description="under_score")
    make_world("other", name="Other", tagline="axb", description="underXscore")
    assert slugs(client, search=search) == ["stones"]


def test_orders(client, now):
    for days, (slug, players) in enumerate([("cairn", 1), ("birch", 3), ("alder", 2)]):
        world = make_world(slug)
        World.objects.filter(pk=world.pk).update(created_at=now - timedelta(days=days))
        make_players(world, players, now)
    assert slugs(client, order="name") == ["alder", "birch", "cairn"]
    assert slugs(client, order="-name") == ["cairn", "birch", "alder"]
    assert slugs(client, order="players") == ["cairn", "alder", "birch"]
    assert slugs(client) == slugs(client, order="-players") == ["birch", "alder", "cairn"]
    assert slugs(client, order="age") == ["cairn", "birch", "alder"]
    assert slugs(client, order="-age") == ["alder", "birch", "cairn"]


def test_pages_are_linked_and_hold_everything_once(client):
    for number in range(5):
        make_world(f"world-{number}")
    seen, address = [], f"{LIST}?page_size=2&order=name&language=en"
    while address:
        body = client.get(address).json()
        assert (body["count"], body["page_size"]) == (5, 2)
        seen += [row["slug"] for row in body["results"]]
        last, address = body, body["next"]
    assert seen == [f"world-{number}" for number in range(5)]
    assert last["page"] == 3
    assert "page=2" in last["previous"] and last["previous"].startswith(LIST)


def test_links_do_not_repeat_the_host_of_the_request(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    make_world("one"), make_world("two")
    assert (
        "mallory"
        not in client.get(LIST, {"page_size": 1}, headers={"host": "mallory.example"}).content.decode()
    )


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=x", "page=1.5", "page=²", "page=99999999999999999999", "page_size=0",
        "page_size=101", "tier=golden", "edition=deluxe", "online=maybe", "order=password",
        "order=-created_at", "search=%00", "search=" + "x" * 81,
        "language=%07", "owner__password=x", "serach=stone",
    ],
)  # fmt: skip
def test_bad_parameters_are_named(client, query):
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 400
    assert response["Content-Type"].startswith("application/problem+json")
    assert list(response.json()["errors"]) == [query.split("=")[0]]


def test_a_page_past_the_last_is_not_found(client):
    response = client.get(LIST, {"page": 2})
    assert response.status_code == 404
    assert "last one is 1" in response.json()["detail"]


def test_unlisted_and_suspended_worlds_are_not_listed_but_have_pages(client, now):
    make_world("hidden", is_listed=False)
    make_world("stopped", suspended_at=now, last_report_at=now)
    assert slugs(client) == []
    assert client.get(f"{LIST}hidden/").json()["is_suspended"] is False
    stopped = client.get(f"{LIST}stopped/").json()
    assert (stopped["is_suspended"], stopped["is_online"]) == (True, False)


def test_world_page(client):
    world = make_world("lantern", description="A harbour.", motd="Hello.")
    Zone.objects.create(world=world, slug="quay", name="Quay", size=100, entry_x=1, entry_y=1, is_entry=True)
    body = client.get(f"{LIST}lantern/").json()
    assert (body["name"], body["description"], body["motd"]) == ("Lantern", "A harbour.", "Hello.")
    assert body["zones"] == [
        {"slug": "quay", "name": "Quay", "description": "", "size": 100.0, "is_entry": True}
    ]


def test_an_unknown_world_is_not_found(client):
    response = client.get(f"{LIST}nowhere/")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found" and "nowhere" in response.json()["detail"]


def test_nothing_private_is_told(client):
    make_world("lantern", owner=make_account("alice"))
    text = client.get(LIST).content.decode() + client.get(f"{LIST}lantern/").content.decode()
    assert "alice" not in text and "owner" not in text


@pytest.mark.parametrize("path", [LIST, f"{LIST}lantern/"])
def test_etag_and_cache_control(client, path):
    world = make_world("lantern")
    first = client.get(path)
    assert first["Cache-Control"] == "public, max-age=3"
    repeated = client.get(path, headers={"if-none-match": first["ETag"]})
    assert (repeated.status_code, repeated.content, repeated["ETag"]) == (304, b"", first["ETag"])
    api.answers.clear()
    World.objects.filter(pk=world.pk).update(tagline="New.")
    changed = client.get(path, headers={"if-none-match": first["ETag"]})
    assert changed.status_code == 200 and changed["ETag"] != first["ETag"]


def test_a_kept_answer_asks_the_database_nothing(client, django_assert_num_queries):
    make_world("lantern")
    client.get(LIST)
    with django_assert_num_queries(0):
        assert slugs(client) == ["lantern"]


def test_the_list_takes_two_queries_however_many_worlds(client, django_assert_num_queries):
    for number in range(12):
        make_world(f"world-{number}")
    with django_assert_num_queries(2):
        assert len(slugs(client)) == 12


@pytest.mark.parametrize("role", ["anonymous", "player", "staff", "stale token"])
def test_every_role_may_read(client, role):
    make_world("lantern")
    headers = {"x-session-token": "long-gone"} if role == "stale token" else {}
    if role in ("player", "staff"):
        client.force_login(make_account(role, is_staff=role == "staff"))
    assert client.get(LIST, headers=headers).status_code == 200
    assert client.get(f"{LIST}lantern/", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", [LIST, f"{LIST}lantern/"])
def test_nobody_may_write(client, method, path):
    make_world("lantern")
    client.force_login(make_account("staff", is_staff=True))
    assert getattr(client, method)(path).status_code == 405
    assert World.objects.count() == 1


def documented(serializer: type[BaseSerializer]) -> set[str]:
    return set(serializer().fields)


def test_the_schema_names_what_is_answered(client):
    world = make_world("lantern")
    Zone.objects.create(world=world, slug="quay", name="Quay", size=100, entry_x=1, entry_y=1)
    body, page = client.get(LIST).json(), client.get(f"{LIST}lantern/").json()
    assert set(body) == documented(api.WorldsSerializer)
    assert set(body["results"][0]) == documented(api.WorldSerializer)
    assert set(page) == documented(api.WorldPageSerializer)
    assert set(page["zones"][0]) == documented(api.ZoneSerializer)


def test_the_next_restart_is_told_as_the_world_reports_it(client, now):
    at = (now + timedelta(minutes=9, seconds=30)).isoformat()
    make_world("soon", last_report_at=now, report={"restart": {"at": at, "kind": "full"}})
    later = (now + timedelta(hours=5)).isoformat()
    make_world("later", last_report_at=now, report={"restart": {"at": later, "kind": "rolling"}})
    rows = {row["slug"]: row["restart"] for row in client.get(LIST).json()["results"]}
    assert (rows["soon"]["kind"], rows["soon"]["minutes"]) == ("full", 10)
    assert (rows["later"]["kind"], rows["later"]["minutes"]) == ("rolling", None)
    assert client.get(LIST + "soon/").json()["restart"]["minutes"] == 10
    assert "Restarts in 10 min" in client.get("/worlds/").content.decode()
    page = client.get("/worlds/soon/").content.decode()
    assert "This world restarts in 10 minutes." in page and "Nobody can enter in the last minute" in page
    assert "without a pause" in client.get("/worlds/later/").content.decode()


@pytest.mark.parametrize(
    "said",
    [
        None,
        7,
        "soon",
        [],
        {},
        {"at": "soon", "kind": "full"},
        {"at": "2026-11-23T20:00:00", "kind": "full"},
        {"at": "9999-99-99T00:00:00Z", "kind": "full"},
        {"at": "2126-11-23T20:00:00Z", "kind": "<b>"},
        {"at": "2020-01-01T00:00:00Z", "kind": "full"},
    ],
)
def test_a_world_that_tells_nonsense_of_its_restart_tells_nothing(client, now, said):
    make_world("odd", last_report_at=now, report={"restart": said})
    assert client.get(LIST + "odd/").json()["restart"] is None
    assert client.get("/worlds/odd/").status_code == 200


def test_a_fresh_answer_is_given_out_without_a_query_a_view_or_a_session(client, django_assert_num_queries):
    make_world("lantern")
    first = client.get(LIST, {"order": "name"})
    client.cookies["sessionid"] = "somebody"
    with django_assert_num_queries(0):
        again = client.get(LIST, {"order": "name"})
        known = client.get(LIST, {"order": "name"}, headers={"if-none-match": first["ETag"]})
        since = client.get(LIST, {"order": "name"}, headers={"if-modified-since": first["Last-Modified"]})
    assert again.content == first.content
    assert again["Content-Length"] == str(len(again.content))
    assert (again["ETag"], again["Access-Control-Allow-Origin"]) == (first["ETag"], "*")
    assert {"Content-Security-Policy", "X-Content-Type-Options", "RateLimit"} <= set(again.headers)
    assert "Vary" not in again.headers and not again.cookies
    assert (known.status_code, known.content) == (since.status_code, since.content) == (304, b"")
    assert known["Access-Control-Allow-Origin"] == since["Access-Control-Allow-Origin"] == "*"
    assert client.post(f"{LIST}?order=name").status_code == 405


def test_last_modified_stays_while_the_answer_does(client, monkeypatch):
    make_world("lantern")
    first = client.get(LIST)["Last-Modified"]
    later = time.time() + 60
    monkeypatch.setattr(public_answers.time, "time", lambda: later)
    assert client.get(LIST)["Last-Modified"] == first
    make_world("other")
    later += 60
    assert client.get(LIST)["Last-Modified"] != first
