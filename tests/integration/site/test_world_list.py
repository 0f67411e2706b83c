"""The world list: what narrows it, and where its browser may measure a ping."""

import pytest

from tests.integration.site.conftest import make_world
from waystone.ping import ping_origin, policy_with
from waystone.site import live
from worlds.models import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> None:
    live.clear()


@pytest.fixture
def worlds(lanternrest: World) -> None:
    for slug, values in {
        "ember": {"edition": "premium", "language": "de", "region": "eu", "ruleset": "pvp"},
        "marsh": {"tier": "verified", "tags": ["story"], "region": "eu"},
    }.items():
        make_world(slug, **values)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"Ember", "Lanternrest", "Marsh"}),
        ("search=ember", {"Ember"}),
        ("tag=story", {"Lanternrest", "Marsh"}),
        ("region=eu", {"Ember", "Marsh"}),
        ("region=eu&language=de", {"Ember"}),
        ("ruleset=pvp", {"Ember"}),
        ("tier=official", {"Lanternrest"}),
        ("edition=premium", {"Ember"}),
        ("online=on", {"Lanternrest"}),
        ("region=moon&tag=nothing&order=-1%20OR%201", {"Ember", "Lanternrest", "Marsh"}),
        ("page=9999", {"Ember", "Lanternrest", "Marsh"}),
        ("search=%00%ff", {"Ember", "Lanternrest", "Marsh"}),
    ],
)
def test_a_list_is_narrowed_by_what_there_is(client, worlds, query, found):
    answer = client.get(f"/worlds/?{query}")
    assert answer.status_code == 200
    assert {row.name for row, _ in answer.context["worlds"]} == found


def test_the_form_offers_what_worlds_have(client, worlds):
    form = client.get("/worlds/").context["form"]
    assert [value for value, _ in form.fields["region"].choices] == ["", "eu", "local"]
    assert ("story", "Story") in form.fields["tag"].choices


def test_results_alone_keep_asking_for_the_same(client, worlds):
    answer = client.get("/worlds/?tag=story", headers={"HX-Request": "true", "HX-Target": "results"})
    html = answer.content.decode()
    assert 'hx-get="/worlds/?tag=story"' in html
    assert "<h1" not in html


def test_the_page_may_connect_to_the_gateways_of_its_worlds_only(client, worlds):
    policy = client.get("/worlds/")["Content-Security-Policy"]
    assert "connect-src 'self' http://127.0.0.1:1 https://lantern.example:8443;" in policy
    one = client.get("/worlds/lanternrest/")["Content-Security-Policy"]
    assert "connect-src 'self' https://lantern.example:8443;" in one
    assert "lantern.example" not in client.get("/")["Content-Security-Policy"]


@pytest.mark.parametrize(
    "url",
    [
        "ws://a;script-src *:1/",
        "wss://a b/",
        "wss://*/",
        "wss://a,b/",
        "wss://'self'/",
        "https://a.example/",
        "javascript:alert(1)",
        "wss://[::1/",
        "wss://a.example:99999/",
        "",
    ],
)
def test_an_address_that_a_policy_could_not_name_is_not_pinged(url):
    assert ping_origin(url) == ""
    assert policy_with([ping_origin(url)]).count("connect-src 'self';") == 1


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("wss://Play.Example.org/world-link/", "https://play.example.org"),
        ("ws://[::1]:8001/world-link/", "http://[::1]:8001"),
    ],
)
def test_an_address_is_pinged_over_http(url, origin):
    assert ping_origin(url) == origin
