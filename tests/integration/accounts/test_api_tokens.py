"""API tokens: what they open and what not, how they end; their page and REST; the allowance's headers."""

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import get_resolver
from django.utils import timezone

from accounts import allowances
from accounts.api_tokens import TokenRefused, make_token, revoke_all_tokens, revoke_token, tokens_of
from accounts.models import ApiToken, AuditRecord
from accounts.scopes import MAX_TOKENS, Scope, read_scopes
from tests.integration.worlds.makers import make_account

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/me/tokens/"


@pytest.fixture(autouse=True)
def _nothing_counted():
    cache.clear()
    allowances.own_memory.clear()


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def alice():
    return make_account("alice")


def key_of(account, *scopes, now, days=30):
    return make_token(account=account, name="bot", scopes=scopes, days=days, by=account, now=now).key


def ask(client, path, key, method="get", **body):
    headers = {"Authorization": f"Bearer {key}"}
    return getattr(client, method)(path, body, headers=headers, content_type="application/json")


def test_a_token_opens_what_its_scope_names_and_nothing_else(client, alice, now):
    key = key_of(alice, Scope.CHARACTERS_READ, now=now)
    assert ask(client, "/api/v1/characters/", key).status_code == 200
    refused = ask(client, "/api/v1/characters/", key, "post", name="Tilda Fen")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "characters:write" in refused.json()["detail"]
    assert ask(client, "/api/v1/me/", key).status_code == 403


def test_a_token_with_all_scopes_makes_no_tokens_and_ends_no_session(client, alice, now):
    key = key_of(alice, *Scope, now=now)
    for path, method in ((TOKENS, "get"), (TOKENS, "post"), ("/api/v1/sessions/current/", "delete")):
        answer = ask(client, path, key, method)
        assert (answer.status_code, answer.json()["code"]) == (403, "session_needed"), path
    assert ask(client, "/api/v1/me/", key).json()["email"] == "alice@example.org"


def views_of_rest():
    def walk(patterns):
        for pattern in patterns:
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns)
            elif hasattr(pattern.callback, "cls"):
                yield pattern.callback.cls

    return {view for view in walk(get_resolver().url_patterns) if not view.__module__.startswith("drf_")}


def test_every_scope_is_used_and_every_view_names_scopes_of_the_table():
    named = {scope for view in views_of_rest() for scope in getattr(view, "scopes", {}).values()}
    assert named == set(Scope)


@pytest.mark.parametrize("end", ["revoke", "revoke_all", "run_out", "close"])
def test_a_token_that_ended_is_refused_aloud(client, alice, now, end):
    key = key_of(alice, Scope.ACCOUNT_READ, now=now)
    token = ApiToken.objects.get()
    if end == "revoke":
        assert revoke_token(account=alice, token=token.pk, by=alice, now=now)
    elif end == "revoke_all":
        assert revoke_all_tokens(account=alice, by=alice, now=now) == 1
    elif end == "run_out":
        ApiToken.objects.update(expires_at=now - timedelta(seconds=1))
    else:
        alice.is_active = False
        alice.save()
    answer = ask(client, "/api/v1/me/", key)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_over")
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("key", ["wst_", "wst_x", "wst_" + "ü" * 40, "wst_" + "x" * 5000])
def test_forged_keys_are_refused(client, key):
    answer = client.get("/api/v1/me/", HTTP_AUTHORIZATION=f"Bearer {key}")
    assert answer.status_code == 401


def test_what_a_token_may_not_do_is_405_where_nobody_may(client, alice, now):
    assert ask(client, "/api/v1/me/", key_of(alice, Scope.ACCOUNT_READ, now=now), "put").status_code == 405


def test_the_key_itself_is_nowhere_in_the_database(alice, now):
    key = key_of(alice, Scope.TICKETS, now=now)
    row = ApiToken.objects.values().get()
    assert key not in str(row) and key.startswith(row["hint"])
    assert all(key not in str(record.detail) for record in AuditRecord.objects.all())


def test_use_is_noted_to_the_minute(client, alice, now):
    key = key_of(alice, Scope.ACCOUNT_READ, now=now)
    ask(client, "/api/v1/me/", key)
    first = ApiToken.objects.get().last_used_at
    ask(client, "/api/v1/me/", key)
    assert first is not None and ApiToken.objects.get().last_used_at == first


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 61}, "name"), ({"name": "a\x00b"}, "name"),
        ({"scopes": []}, "scopes"), ({"scopes": ["everything"]}, "scopes"), ({"days": 10_000}, "days"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(alice, now, fields, wrong):
    values = {"name": "bot", "scopes": [Scope.TICKETS], "days": 30, **fields}
    with pytest.raises(TokenRefused) as refused:
        make_token(account=alice, by=alice, now=now, **values)
    assert list(refused.value.errors) == [wrong]


def test_there_are_at_most_twenty(alice, now):
    for _ in range(MAX_TOKENS):
        key_of(alice, Scope.TICKETS, now=now)
    with pytest.raises(TokenRefused, match="20"):
        key_of(alice, Scope.TICKETS, now=now)


def test_scopes_are_read_in_the_tables_order():
    assert read_scopes(["tickets", "account:read", "tickets"]) == [Scope.ACCOUNT_READ, Scope.TICKETS]


def prove(client):
    """Make the client's session one that has just been logged in to."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session.save()


def test_rest_of_tokens(client, alice):
    client.force_login(alice)
    prove(client)
    made = client.post(TOKENS, {"name": "bot", "scopes": ["tickets"]}, content_type="application/json")
    assert made.status_code == 201 and made.headers["Cache-Control"] == "no-store"
    body = made.json()
    assert ask(client, "/api/v1/characters/", body["key"]).status_code == 403
    (listed,) = client.get(TOKENS).json()["results"]
    assert listed["id"] == body["id"] and "key" not in listed
    bad = client.post(TOKENS, {"name": "", "scopes": ["x"], "days": 1}, content_type="application/json")
    assert bad.status_code == 400 and set(bad.json()["errors"]) == {"name", "scopes", "days"}
    client.force_login(make_account("mallory"))
    assert client.get(TOKENS).json()["results"] == []
    assert client.delete(f"{TOKENS}{body['id']}/").status_code == 404
    assert client.delete(f"{TOKENS}99999999999999999999/").status_code == 404
    client.force_login(alice)
    assert client.delete(f"{TOKENS}{body['id']}/").status_code == 204
    assert not tokens_of(alice, timezone.now()).exists()
    client.logout()
    assert client.get(TOKENS).status_code == 401


def test_the_page_makes_shows_once_and_revokes(client, alice):
    page = "/account/api-tokens/"
    assert client.get(page).status_code == 302
    client.force_login(alice)
    made = client.post(page, {"name": "Guild <calendar>", "scopes": ["tickets"], "days": "90"})
    assert made.status_code == 201 and b"wst_" in made.content
    token = ApiToken.objects.get()
    again = client.get(page).content.decode()
    assert "Guild &lt;calendar&gt;" in again and again.count("wst_") == 1  # its hint
    bad = client.post(page, {"name": "Kept text", "days": "7"})
    assert bad.status_code == 400 and b"Kept text" in bad.content
    assert client.get(f"{page}{token.pk}/revoke/").status_code == 405
    client.force_login(make_account("mallory"))
    assert client.post(f"{page}{token.pk}/revoke/").status_code == 404
    client.force_login(alice)
    assert client.post(f"{page}{token.pk}/revoke/").status_code == 302
    assert not tokens_of(alice, timezone.now()).exists()


class TestAllowance:
    def test_headers_count_down_and_then_429(self, client, alice, now, settings):
        settings.API_ALLOWANCES = {"default": 2, "public": 2}
        key = key_of(alice, Scope.ACCOUNT_READ, now=now)
        answers = [ask(client, "/api/v1/me/", key) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]
        assert answers[0].headers["RateLimit-Policy"] == '"default";q=2;w=60'
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
        assert answers[2].json()["code"] == "throttled"
        other = key_of(make_account("bob"), Scope.ACCOUNT_READ, now=now)
        assert ask(client, "/api/v1/me/", other).status_code == 200

    def test_public_lists_are_counted_by_address(self, client, settings):
        settings.API_ALLOWANCES = {"default": 2, "public": 1}
        path = "/api/v1/worlds/"
        assert client.get(path, REMOTE_ADDR="2001:db8::1").status_code == 200
        assert (
            client.get(path, REMOTE_ADDR="2001:db8::2").status_code == 429
        )  # of the same network of 64 bits
        assert client.get(path, REMOTE_ADDR="2001:db8:1::1").status_code == 200
        assert client.get(path, REMOTE_ADDR="192.0.2.1").headers["RateLimit"].startswith('"public";r=0')

    def test_a_window_ends(self):
        spent = [
            allowances.spend(allowances.own_memory, "p", "bob", 1, clock) for clock in (59.0, 59.5, 60.0)
        ]
        assert [is_allowed for _, is_allowed in spent] == [True, False, True]
        assert spent[0][0].reset_s == 1 and spent[2][0].reset_s == 60
