"""Who got into an account once does not come back by what was left there: tokens, addresses that wait."""

import re
import time
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from accounts.api_tokens import TokenRefused, make_token
from accounts.freshness import proved_at
from accounts.leaving import GRACE, ask_to_leave, finish_due
from accounts.models import Account, ApiToken, AuditRecord
from accounts.personal_data import Holding, holdings
from accounts.scopes import Scope
from accounts.sessions import end_sessions
from characters.naming import rename_character
from characters.services import create_character, delete_character
from tests.integration.accounts.conftest import PASSWORD, register
from worlds.models import (
    KeeperInvitation,
    PlaySession,
    Quarantine,
    WaitingPlayer,
    Webhook,
    World,
    WorldOrder,
)
from worlds.quarantines import let_in_again

pytestmark = pytest.mark.django_db

PAGE = "/account/api-tokens/"
TOKENS = "/api/v1/me/tokens/"
WANTED = {"name": "Guild calendar", "scopes": ["characters:read", "tickets"], "days": "90"}
NEW = {"password1": "moss on the south side", "password2": "moss on the south side"}
LINK = r"^https?://[^/]+(/account/{}/\S+)$"


@pytest.fixture
def alice(db: None) -> Account:
    return register("alice@example.org")


def token_for(account: Account) -> str:
    values = {"name": "left behind", "scopes": list(Scope), "days": 365}
    return make_token(account=account, by=account, now=timezone.now(), **values).key


def opens(key: str) -> bool:
    return Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def logged_in(account: Account) -> Client:
    client = Client()
    client.post("/account/log-in/", {"login": account.email, "password": PASSWORD})
    return client


def waiting_address(browser: Client, email: str) -> str:
    """Ask for another address of the account. Returns: the path that its letter leads to."""
    browser.post("/account/again/", {"password": PASSWORD})
    browser.post("/account/e-mail/", {"email": email, "action_add": "1"})
    assert mail.outbox[-1].to == [email]
    return re.findall(LINK.format("e-mail/confirm"), mail.outbox[-1].body, re.M)[0]


def by_letter(account: Account, own: Client) -> None:
    browser = Client()
    browser.post("/account/password/lost/", {"email": account.email})
    path = re.findall(LINK.format("password/new"), mail.outbox[-1].body, re.M)[0]
    page = browser.get(path, follow=True)
    assert browser.post(page.request["PATH_INFO"], NEW).status_code == 302


def on_the_page(account: Account, own: Client) -> None:
    assert own.post("/account/password/", {"oldpassword": PASSWORD, **NEW}).status_code == 302


@pytest.mark.parametrize("set_anew", [by_letter, on_the_page])
def test_a_new_password_closes_what_mallory_left_open(alice, set_anew):
    """Mallory had the password, or registered the address before Alice came."""
    mallory, key = logged_in(alice), token_for(alice)
    path = waiting_address(mallory, "mallory@example.org")
    cache.clear()  # the quiet time between two letters
    set_anew(alice, logged_in(alice))
    assert mallory.get("/account/").status_code == 302
    assert not opens(key)
    Client().post(path)
    assert Account.objects.get(pk=alice.pk).email == "alice@example.org"
    assert not alice.emailaddress_set.filter(email="mallory@example.org").exists()
    deeds = set(AuditRecord.objects.filter(target=str(alice.uid)).values_list("action", flat=True))
    assert {"api_tokens_revoked", "waiting_address_forgotten"} <= deeds


def test_an_open_session_makes_no_key_without_the_password_and_nothing_typed_is_lost(alice):
    browser = logged_in(alice)
    asked = browser.post(PAGE, WANTED)
    assert asked.headers["Location"] == f"/account/again/?{urlencode({'next': PAGE})}"
    assert not ApiToken.objects.exists()
    assert browser.post(asked.headers["Location"], {"password": "a guess"}).status_code == 400
    assert not ApiToken.objects.exists()
    made = browser.post(asked.headers["Location"], {"password": PASSWORD})
    assert made.status_code == 201 and b"wst_" in made.content
    assert "no-store" in made.headers["Cache-Control"]
    assert f'action="{PAGE}"' in made.content.decode(), "this page's address is that of the password's form"
    token = ApiToken.objects.get()
    assert (token.name, token.scopes) == ("Guild calendar", ["characters:read", "tickets"])


def test_a_session_token_makes_keys_only_just_after_its_log_in(alice, call, token_of):
    body = {**WANTED, "days": 90}
    fresh = token_of(alice)
    session = Session.objects.get(session_key=fresh)
    store = session.get_session_store_class()(fresh)
    store[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time() - 301}]
    store.save()
    refused = call("POST", TOKENS, body, token=fresh)
    assert (refused.status_code, refused.json()["code"]) == (403, "log_in_again")
    assert not ApiToken.objects.exists()
    assert call("GET", TOKENS, token=fresh).status_code == 200
    assert call("POST", TOKENS, body, token=token_of(alice)).status_code == 201


def test_a_session_of_unknown_age_is_not_fresh():
    assert proved_at({}) == 0.0  # type: ignore[arg-type]


def test_who_is_signed_out_while_asking_gets_no_key(alice):
    as_it_was = Account.objects.get(pk=alice.pk)
    end_sessions(account=alice, now=timezone.now())
    with pytest.raises(TokenRefused, match="signed out"):
        token_for(as_it_was)
    assert not ApiToken.objects.exists()


def played(account: Account, world: World, now: datetime) -> None:
    """A character that was made, renamed, played, waited with, kicked, quarantined, let in again, deleted."""
    hero = create_character(account=account, name="Wystan Fenwick", by=account, now=now)
    rename_character(account=account, character_id=hero.id, name="Osric Fenwick", now=now)
    who = {"world": world, "character": hero.id, "character_name": "Osric Fenwick"}
    digest = {"resume_digest": b"d" * 32}
    ids = {name: uuid4() for name in ("id", "pseudonym", "admission")}
    PlaySession.objects.create(**who, **ids, **digest, line=uuid4(), epoch=1, started_at=now, ended_at=now)
    WaitingPlayer.objects.create(**who, **ids, **digest, rank=1, arrival=1, since=now)
    out = Quarantine.objects.create(**who, session=uuid4(), stay=1, document=b"", digest=b"", at=now)
    let_in_again(quarantine=out, reason="mended", by=None, now=now)
    times = {"made_at": now, "expires_at": now}
    body = {"character": str(hero.id)}
    WorldOrder.objects.create(world=world, kind="kick", body=body, about="Osric Fenwick", **times)
    delete_character(account=account, character_id=hero.id, by=account, now=now)


def everything_kept() -> str:
    """Return the whole database as text."""
    return "\n".join(str(list(model.objects.values())) for model in apps.get_models() if model._meta.managed)


def test_who_leaves_leaves_no_token_and_no_name_behind(alice, staff):
    now = timezone.now()
    key = token_for(alice)
    played(alice, World.objects.create(slug="fen", name="Fen", gateway_url="ws://127.0.0.1:1/"), now)
    assert all(text in everything_kept() for text in ("Wystan", "Osric", "alice@"))
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(Account),
        object_id=str(alice.pk),
        object_repr=str(alice),
        action_flag=CHANGE,
    )
    ask_to_leave(account=alice, now=now, keep=logged_in(alice).session)
    assert not opens(key)
    assert finish_due(now + GRACE + timedelta(minutes=1)) == 1
    assert not ApiToken.objects.exists()
    assert LogEntry.objects.get().object_repr == str(alice.uid)
    left = everything_kept()
    assert [text for text in ("Wystan", "Osric", "Fenwick", "alice@", "left behind") if text in left] == []


def test_one_account_that_cannot_go_keeps_no_other(alice, bob, monkeypatch):
    def stubborn(account: Account, now: datetime) -> None:
        if account == alice:
            raise IntegrityError("something still names it")

    now = timezone.now()
    ask_to_leave(account=alice, now=now - timedelta(seconds=1))
    ask_to_leave(account=bob, now=now)
    monkeypatch.setitem(holdings, "stubborn", Holding("stubborn", lambda account: {}, stubborn))
    assert finish_due(now + GRACE + timedelta(minutes=1)) == 1
    assert Account.objects.get(pk=alice.pk).email == "alice@example.org", "all of it or nothing"
    assert not Account.objects.get(pk=bob.pk).is_active


def test_the_export_has_tokens_webhooks_and_invitations(alice, bob):
    now = timezone.now()
    key = token_for(alice)
    world = World.objects.create(slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/")
    hook = {"world": world, "events": ["world.online"], "made_at": now}
    Webhook.objects.create(url="https://bot.example.org/alices", made_by=alice, **hook)
    Webhook.objects.create(url="https://bot.example.org/bobs", made_by=bob, **hook)
    KeeperInvitation.objects.create(
        world=world, email="alice@example.org", role="manager", by=bob, made_at=now, expires_at=now
    )
    files = {name: list(rows) for held in holdings.values() for name, rows in held.files(alice).items()}
    assert [row["name"] for row in files["api_tokens"]] == ["left behind"]
    assert [row["address"] for row in files["webhooks"]] == ["https://bot.example.org/alices"]
    assert files["invitations"] == [{"world": "lanternrest", "role": "manager"}]
    assert key not in str(files) and ApiToken.objects.get().digest not in str(files)


def test_the_export_has_former_names_and_what_was_done_to_the_person(alice, staff):
    now = timezone.now()
    hero = create_character(account=alice, name="Wystan", by=alice, now=now)
    rename_character(account=alice, character_id=hero.id, name="Osric", now=now)
    end_sessions(account=alice, now=now, by=staff)
    files = {name: list(rows) for held in holdings.values() for name, rows in held.files(alice).items()}
    [row] = files["characters"]
    assert (row["name"], [old["name"] for old in row["called_before"]]) == ("Osric", ["Wystan"])
    assert "character_renamed" in [row["deed"] for row in files["deeds"]]
    assert [row["deed"] for row in files["done_to_you"]] and str(staff.uid) not in str(files["done_to_you"])
