"""The admin's search over everything: by name, address and id; only what one may view; bounded."""

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from accounts.services import record_audit
from characters.services import create_character
from tests.integration.worlds.makers import make_account, make_world
from waystone import finding
from waystone.finding import Kind, find

pytestmark = pytest.mark.django_db


def everything(permission: str) -> bool:
    return True


def titles(text: str, may=everything) -> set[str]:
    return {found.kind.title for found in find(text, may)}


def test_finds_people_characters_worlds_and_deeds():
    alice = make_account("alice")
    hero = create_character(account=alice, name="Tilda Fen", by=alice, now=timezone.now())
    make_world("lantern", name="Lantern Rest")
    record_audit(action="world_renamed", target="lantern", now=timezone.now())
    assert titles("ALICE@") == {"Accounts"}
    assert titles("tilda") == {"Characters"}
    assert titles("lantern") == {"Worlds", "Audit record"}
    assert {"Accounts"} <= titles(str(alice.uid)) <= {"Accounts", "Audit record"}
    assert "Characters" in titles(str(hero.pk))


@pytest.mark.parametrize(
    "text", ["", " ", "a", "\x00\x01", "%_%_", "' OR 1=1 --", "9" * 300, "W-1", "::1", "é" * 99]
)
def test_odd_words_find_nothing_and_break_nothing(client, staff, text):
    assert titles(text) == set()
    assert client.get(reverse("admin:find"), {"q": text}).status_code == 200


def test_staff_sees_only_kinds_that_it_may_view(client):
    make_account("alice-lantern")
    make_world("lantern")
    clerk = make_account("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_world"))
    client.force_login(clerk)
    page = client.get(reverse("admin:find"), {"q": "lantern"}).content.decode()
    assert reverse("admin:worlds_world_changelist") in page or "Worlds" in page
    assert "alice-lantern" not in page


@pytest.mark.parametrize("role", ["anonymous", "player"])
def test_it_is_for_staff(client, role):
    if role == "player":
        client.force_login(make_account("mallory"))
    assert client.get(reverse("admin:find"), {"q": "alice"}).status_code == 302
    assert client.post(reverse("admin:find")).status_code in (302, 405)


def test_many_are_cut_and_take_no_more_queries(client, staff, django_assert_max_num_queries):
    for number in range(finding.SHOWN + 3):
        make_account(f"alice-{number}")
    (accounts,) = find("alice-", everything)
    assert (len(accounts.rows), accounts.has_more) == (finding.SHOWN, True)
    with django_assert_max_num_queries(90):
        page = client.get(reverse("admin:find"), {"q": "alice-"}).content.decode()
    assert reverse("admin:accounts_account_changelist") + "?q=alice-" in page


def test_what_takes_too_long_is_named(client, staff, monkeypatch):
    sleeps = RawSQL("pg_sleep(5)::text = ''", (), output_field=BooleanField())
    slow = Kind("Accounts", Account, lambda text: Q(sleeps))
    monkeypatch.setattr(finding, "KINDS", (slow,))
    monkeypatch.setattr(finding, "PATIENCE_MS", 50)
    assert find("alice", everything)[0].is_slow
    assert "Not looked through" in client.get(reverse("admin:find"), {"q": "alice"}).content.decode()


def test_a_database_that_is_down_is_not_called_slow(monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("waystone.finding.connection.cursor", fail)
    with pytest.raises(OperationalError, match="lost"):
        find("alice", everything)
