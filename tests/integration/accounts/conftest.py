"""People, and ways to call the API as them."""

import json
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from accounts.services import register_account

PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in tests)


@pytest.fixture(autouse=True)
def _no_leftovers() -> None:
    """Rate limits of another test are not this one's."""
    cache.clear()


def register(email: str) -> Account:
    account = register_account(email=email, password=PASSWORD, now=timezone.now())
    assert account is not None
    return account


@pytest.fixture
def bob(db: None) -> Account:
    return register("bob@example.org")


@pytest.fixture
def staff(db: None) -> Account:
    account = register("staff@example.org")
    account.is_staff = account.is_superuser = True
    account.save()
    return account


@pytest.fixture
def call() -> Callable:
    """Call the API with JSON and, if given, a session token; no cookies are kept."""

    def send(method: str, path: str, body: object = None, token: str | None = None, **headers: str):
        if token is not None:
            headers["X-Session-Token"] = token
        return Client().generic(
            method,
            path,
            b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return send


@pytest.fixture
def token_of(call: Callable) -> Callable[[Account], str]:
    def log_in(account: Account) -> str:
        answer = call("POST", "/api/v1/sessions/", {"email": account.email, "password": PASSWORD})
        assert answer.status_code == 201, answer.content
        return answer.json()["token"]

    return log_in
