"""A world's own machine: its web process shows the admin and its log-in, and nothing of the master's."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from django.conf import settings as current
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from tests.integration.worlds.makers import make_account
from waystone.supervisor.deployment import Deployment
from waystone.supervisor.notifications import Notifications
from waystone.world_only import OPEN

pytestmark = pytest.mark.django_db
PLACEHOLDERS = {"slug": "lantern", "path": "x", "uidb36": "1", "key": "k"}


@pytest.fixture(autouse=True)
def world_only(settings) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:1],
        "waystone.world_only.WorldOnly",
        *settings.MIDDLEWARE[1:],
    ]


def patterns(resolver: URLResolver, namespaces: tuple[str, ...] = ()) -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each, (*namespaces, each.namespace) if each.namespace else namespaces)
        elif each.name and "admin" not in namespaces:
            yield ":".join((*namespaces, each.name)), each


def plain_addresses() -> list[str]:
    """Return every address of the site that needs no argument, and some that do."""
    found = {"/worlds/lantern/", "/api/v1/worlds/lantern/", "/api/v1/uplink/saves/", "/no/such/page/"}
    for name, pattern in patterns(get_resolver()):
        if (
            not pattern.pattern.converters
            and "(?P" not in str(pattern.pattern)
            and name not in OPEN | {"home"}
        ):
            with suppress(NoReverseMatch):  # what stands below a part with an argument
                found.add(reverse(name))
    return sorted(found)


def test_everything_but_the_admin_is_not_here(client):
    addresses = plain_addresses()
    assert len(addresses) > 25 and reverse("account_signup") in addresses
    for address in addresses:
        for method in (client.get, client.post):
            answer = method(address)
            if address == "/account/":  # allauth sends whoever meets a 404 there to the log-in, which is open
                assert answer.headers["Location"] == reverse("account_login")
            else:
                assert answer.status_code == 404, address


def test_the_staff_log_in_and_work(client):
    staff = make_account("alice", is_staff=True, is_superuser=True)
    staff.set_password("a good long passphrase")
    staff.save()
    assert client.get("/").headers["Location"] == "/admin/"
    page = client.get("/account/log-in/").content.decode()
    assert "Log in" in page and "/worlds/" not in page and "sign-up" not in page
    client.force_login(staff)
    assert client.get("/admin/").status_code == 200
    assert client.get(reverse("admin:worlds_restart_changelist")).status_code == 200
    assert client.get("/healthz").content == b"ok\n"


def test_players_get_nothing_of_the_admin(client):
    client.force_login(make_account("mallory"))
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("role", ["all", "master", "world"])
def test_each_role_has_web_worker_and_beat(role, tmp_path):

    notifications = Notifications()
    config = replace(current.CONFIG, role=role)
    specs = Deployment(config, tmp_path, {}, notifications).process_specs(["east"])
    notifications.close()
    own = {"gateway", "worlddaemon", "zonecluster-east"} if role != "master" else set()
    assert {spec.name for spec in specs} == {"web", "worker", "beat"} | own
