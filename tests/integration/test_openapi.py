"""The whole REST API against its own description: no faults of ours, answers as described, methods too.

Endpoints come from the schema, so that a new one is covered as it appears. The uplink is not described there:
worlds speak it, and tests/integration/characters has it.
"""

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from schemathesis import checks

from accounts.services import register_account
from characters.services import create_character
from worlds.models import World

pytestmark = pytest.mark.django_db

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
]
FEW = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
PASSWORD = "lichen on the north side"  # noqa: S105  (of a person who exists only here)


django_application = get_wsgi_application()


def application(environ, start_response):
    """The site, called by somebody with an address, as any real server would say."""
    return django_application({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)


schema = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", application)


@pytest.fixture(autouse=True)
def _one_world(db, settings):
    """A world, quick passwords; and as with Django's test client, a request leaves the transaction open."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    World.objects.create(slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/world-link/")
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@FEW
def test_strangers_get_what_the_schema_says(case):
    case.call_and_validate(checks=CHECKS)


# Logging out would end the session of all further calls; test_api.py has it.
@schema.exclude(path="/api/v1/sessions/current/").parametrize()
@FEW
def test_players_get_what_the_schema_says(case, player_token):
    case.call_and_validate(checks=CHECKS, headers={"X-Session-Token": player_token})


@pytest.fixture
def player_token(client) -> str:
    bob = register_account(email="bob@example.org", password=PASSWORD, now=timezone.now())
    assert bob is not None
    create_character(account=bob, name="Tilda Fen", by=bob, now=timezone.now())
    client.force_login(bob)  # no request: Django's client would undo what _one_world did to the signals
    return client.session.session_key


def test_every_address_under_the_api_is_described(client):
    described = client.get("/api/v1/schema/?format=json").json()["paths"]
    assert {"/api/v1/accounts/", "/api/v1/sessions/", "/api/v1/worlds/", "/api/v1/characters/"} <= set(
        described
    )
    for path, operations in described.items():
        for method, operation in operations.items():
            assert operation["responses"], f"{method} {path}"
            assert any(status.startswith("2") for status in operation["responses"]), f"{method} {path}"


def test_the_schema_is_served_as_yaml_and_json(client):
    assert client.get("/api/v1/schema/").headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert client.get("/api/v1/schema/?format=json").json()["openapi"].startswith("3.1")


def test_an_address_that_leads_nowhere_is_a_problem_too(client):
    answer = client.get("/api/v1/nothing/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("put", "/api/v1/me/", 401, "application/json"),
        ("put", "/api/v1/worlds/", 405, "application/json"),
        ("post", "/api/v1/sessions/", 415, "text/plain"),
        ("post", "/api/v1/sessions/", 400, "application/json"),
        ("get", "/api/v1/worlds/nowhere/", 404, "application/json"),
        ("post", "/api/v1/me/tokens/", 401, "application/json"),
    ],
)  # fmt: skip
def test_every_error_is_a_problem(client, method, path, status, kind):
    answer = getattr(client, method)(path, b"{", content_type=kind) if method != "get" else client.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "code", "detail"} <= set(answer.json())


def test_a_fault_of_ours_is_a_problem_too(client, monkeypatch):
    monkeypatch.setattr("worlds.api.list_body", lambda *_: 1 / 0)
    client.raise_request_exception = False
    answer = client.get("/api/v1/worlds/?order=age")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert answer.headers["Content-Type"] == "application/problem+json"
