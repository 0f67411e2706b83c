"""Devices, another address, the export, leaving; and that failed log-ins of others lock nobody out."""

import io
import json
import re
import zipfile
from datetime import timedelta

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.api_tokens import make_token
from accounts.leaving import GRACE, finish, finish_due, leaving_of
from accounts.models import Account, AuditRecord, Entitlement, Leaving
from accounts.rules import Edition
from accounts.scopes import Scope
from accounts.services import grant_entitlement
from characters.models import Character, Version
from characters.services import create_character
from tests.integration.accounts.conftest import PASSWORD, register
from tests.queries import assert_same_queries
from worlds.models import Pseudonym, World
from worlds.signing import ensure_signing_key

pytestmark = pytest.mark.django_db

LOG_IN = "/account/log-in/"
OWN = ["/account/devices/", "/account/data/", "/account/leave/", "/account/e-mail/", "/account/security/"]
DEEDS = ["/account/devices/end/", "/account/devices/1/end/", "/account/data/file/", "/account/leave/stay/"]


def logged_in(account: Account, password: str = PASSWORD, **headers: str) -> Client:
    browser = Client(headers=headers)
    browser.post(LOG_IN, {"login": account.email, "password": password})
    return browser


def prove(browser: Client) -> None:
    browser.post("/account/again/", {"password": PASSWORD})


@pytest.mark.parametrize("path", OWN + DEEDS)
def test_strangers_are_sent_to_log_in(client, path):
    answer = client.post(path) if path in DEEDS else client.get(path)
    assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, LOG_IN)


@pytest.mark.parametrize("path", OWN)
def test_own_pages_are_kept_by_no_cache(client, bob, path):
    client.force_login(bob)
    answer = client.get(path)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    html = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html)


@pytest.mark.parametrize("path", DEEDS)
def test_deeds_are_done_by_post_only(client, bob, path):
    client.force_login(bob)
    assert client.get(path).status_code == 405


def test_devices_are_listed_and_ended_one_by_one(bob, call, token_of):
    here = logged_in(bob, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    there = logged_in(bob, user_agent="<b>bold</b>/1")
    html = here.get("/account/devices/").content.decode()
    assert "Firefox on Linux" in html and "This one" in html
    assert "<b>bold" not in html
    (path,) = re.findall(r'action="(/account/devices/\d+/end/)"', html)
    mallory = register("mallory@example.org")
    assert logged_in(mallory).post(path).status_code == 404, "another's"
    assert there.get("/account/").status_code == 200
    here.post(path)
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200
    assert here.post(path).status_code == 404


def test_signing_out_everywhere_ends_browsers_programs_and_tokens(bob, call, token_of):
    here, there, token = logged_in(bob), logged_in(bob), token_of(bob)
    UserSession.objects.filter(user=bob).exclude(
        session_key=here.session.session_key
    ).delete()  # not in the list
    now = timezone.now()
    made = make_token(account=bob, name="x", scopes=[Scope.ACCOUNT_READ], days=30, by=bob, now=now)
    here.post("/account/devices/end/")
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    assert call("GET", "/api/v1/me/", token=token).status_code == 401
    assert here.post("/account/devices/end/", {"here": "1"}).headers["Location"] == LOG_IN
    assert here.get("/account/").status_code == 302
    assert call("GET", "/api/v1/me/", Authorization=f"Bearer {made.key}").status_code == 401
    assert logged_in(bob).get("/account/").status_code == 200


def test_more_devices_cost_no_more_queries(bob):
    client = logged_in(bob)

    def grow() -> None:
        for _ in range(8):
            logged_in(bob)

    assert_same_queries(client, "/account/devices/", grow)


def test_another_address_counts_once_its_letter_was_opened(client, bob):
    client.force_login(bob)
    bob.emailaddress_set.update(verified=True)
    first = client.post("/account/e-mail/", {"email": "new@example.org", "action_add": "1"})
    assert first.headers["Location"].startswith("/account/again/")
    prove(client)
    answer = client.post("/account/e-mail/", {"email": "new@example.org", "action_add": "1"})
    assert answer.status_code == 302
    assert Account.objects.get(pk=bob.pk).email == "bob@example.org"
    (path,) = re.findall(r"^https?://[^/]+(/account/e-mail/confirm/\S+)$", mail.outbox[-1].body, re.M)
    client.post(path)
    assert Account.objects.get(pk=bob.pk).email == "new@example.org"
    told = [letter for letter in mail.outbox if letter.subject == "Your address was changed"]
    assert [letter.to for letter in told] == [["bob@example.org"]], "whoever had it learns that it went"
    assert AuditRecord.objects.filter(account=bob, action="address_changed").exists()


def test_a_taken_address_looks_like_a_free_one_and_is_not_given_away(client, bob):
    register("alice@example.org")
    client.force_login(bob)
    prove(client)
    for email in ("alice@example.org", "free@example.org"):
        assert client.post("/account/e-mail/", {"email": email, "action_add": "1"}).status_code == 302
        assert mail.outbox[-1].to == [email]
    cache.clear()  # the quiet time between two letters
    client.post("/account/e-mail/", {"email": "alice@example.org", "action_add": "1"})
    (path,) = re.findall(r"^https?://[^/]+(/account/e-mail/confirm/\S+)$", mail.outbox[-1].body, re.M)
    answer = client.post(path, follow=True)
    assert answer.status_code == 200
    assert Account.objects.get(pk=bob.pk).email == "bob@example.org"


def test_what_is_no_address_is_refused_and_kept_in_the_form(client, bob):
    client.force_login(bob)
    prove(client)
    answer = client.post("/account/e-mail/", {"email": "new@", "action_add": "1"})
    assert answer.status_code == 400
    assert 'value="new@"' in answer.content.decode()


def export_of(browser: Client) -> dict[str, list]:
    answer = browser.post("/account/data/file/")
    assert answer.status_code == 200, answer
    assert "attachment" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")}


def test_the_export_has_everything_and_nothing_of_others(client, bob):
    now = timezone.now()
    alice = register("alice@example.org")
    create_character(account=alice, name="Alices Own", by=alice, now=now)
    create_character(account=bob, name="Tilda Fen", by=bob, now=now)
    world = World.objects.create(slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/")
    Pseudonym.objects.create(account=bob, world=world)
    grant_entitlement(
        account=bob, edition=Edition.PREMIUM, source="gift", reference="code 1", by=None, now=now
    )
    secret = generate_totp_secret()
    TOTP.activate(bob, secret)
    client.force_login(bob)
    assert client.post("/account/data/file/").status_code == 302, "asked again first"
    prove(client)
    files = export_of(client)
    assert files["account.json"][0]["email"] == bob.email
    assert [row["name"] for row in files["characters.json"]] == ["Tilda Fen"]
    assert files["histories.json"][0]["state"], "what was saved is in it"
    assert files["editions.json"][0]["reference"] == "code 1"
    assert files["names_in_worlds.json"][0]["world"] == "lanternrest"
    assert files["second_factors.json"][0]["kind"] == "totp"
    whole = json.dumps(files)
    assert "Alices Own" not in whole and secret not in whole and bob.password not in whole
    assert AuditRecord.objects.filter(account=bob, action="data_exported").exists()


def test_exports_are_bounded(client, bob, settings):
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "export": "1/h/user"}
    client.force_login(bob)
    prove(client)
    export_of(client)
    assert client.post("/account/data/file/").status_code == 429


class TestLeaving:
    @pytest.fixture
    def leaver(self, bob, client, django_capture_on_commit_callbacks) -> Client:
        client.force_login(bob)
        prove(client)
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post("/account/leave/", {"sure": "yes"})
        assert answer.status_code == 302
        return client

    def test_it_is_asked_for_with_a_password_and_a_tick(self, client, bob):
        client.force_login(bob)
        assert (
            client.post("/account/leave/", {"sure": "yes"}).headers["Location"].startswith("/account/again/")
        )
        prove(client)
        assert client.post("/account/leave/", {}).status_code == 400
        assert not Leaving.objects.exists()

    def test_for_seven_days_it_can_be_taken_back(self, leaver, bob, django_capture_on_commit_callbacks):
        assert mail.outbox[-1].subject == "Your account is to be deleted"
        assert "Keep my account" in leaver.get("/account/").content.decode()
        assert finish_due(timezone.now() + GRACE - timedelta(minutes=1)) == 0
        leaver.post("/account/leave/stay/")
        assert finish_due(timezone.now() + GRACE * 2) == 0
        assert Account.objects.get(pk=bob.pk).is_active
        assert leaving_of(bob) is None

    def test_then_everything_that_names_the_person_goes(
        self, leaver, bob, django_capture_on_commit_callbacks
    ):
        now = timezone.now()
        create_character(account=bob, name="Tilda Fen", by=bob, now=now)
        world = World.objects.create(slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/")
        Pseudonym.objects.create(account=bob, world=world)
        grant_entitlement(
            account=bob, edition=Edition.PREMIUM, source="purchase", reference="p1", by=None, now=now
        )
        with django_capture_on_commit_callbacks(execute=True):
            assert finish_due(now + GRACE + timedelta(minutes=1)) == 1
        gone = Account.objects.get(pk=bob.pk)
        assert not gone.is_active and "bob" not in gone.email and not gone.has_usable_password()
        assert not gone.emailaddress_set.exists() and not Pseudonym.objects.exists()
        assert not Character.objects.filter(name="Tilda Fen").exists()
        assert Version.objects.exists() and Entitlement.objects.filter(account=gone).exists(), (
            "what must stay"
        )
        assert leaver.get("/account/").status_code == 302
        assert mail.outbox[-1].to == ["bob@example.org"]
        assert finish(leaving_id=gone.leaving.pk, now=now + GRACE * 2) is False, "once"
        again = register("bob@example.org")
        assert again.pk != gone.pk, "the address is free again"
        create_character(account=again, name="Tilda Fen", by=again, now=now)

    def test_an_owner_of_a_world_gives_it_away_first(self, client, bob):
        World.objects.create(slug="own", name="Bobs Own", gateway_url="ws://127.0.0.1:1/", owner=bob)
        client.force_login(bob)
        prove(client)
        assert "Bobs Own" in client.get("/account/leave/").content.decode()
        assert client.post("/account/leave/", {"sure": "yes"}).status_code == 400
        assert not Leaving.objects.exists()

    def test_staff_do_not_delete_themselves(self, client, staff):
        client.force_login(staff)
        prove(client)
        assert client.post("/account/leave/", {"sure": "yes"}).status_code == 400


def fail(browser: Client, email: str, times: int, **extra: str):
    for _ in range(times):
        answer = browser.post(LOG_IN, {"login": email, "password": "a guess"}, **extra)
    return answer


def test_who_guesses_locks_out_himself_not_the_owner(bob):
    elsewhere = {"REMOTE_ADDR": "192.0.2.66"}
    assert "Too many attempts" in fail(Client(), bob.email, 6, **elsewhere).content.decode()
    assert logged_in(bob).get("/account/").status_code == 200


def test_a_known_browser_gets_in_from_the_guessers_own_network(bob):
    own = logged_in(bob)
    own.post("/account/log-out/")
    fail(Client(), bob.email, 6)
    assert logged_in(bob).get("/account/").status_code == 302, "a stranger here must wait"
    own.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert own.get("/account/").status_code == 200


def test_many_machines_together_are_stopped_and_a_letter_opens_the_door(bob, settings):
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "login_failed_anywhere": "3/h/key"}
    own = logged_in(bob)
    own.post("/account/log-out/")
    for number in range(4):
        fail(Client(), bob.email, 1, REMOTE_ADDR=f"192.0.2.{number}")
    assert logged_in(bob).get("/account/").status_code == 302
    own.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert own.get("/account/").status_code == 200, "known browsers are not asked"
    browser = Client()
    browser.post("/account/password/lost/", {"email": bob.email})
    (path,) = re.findall(r"^https?://[^/]+(/account/password/new/\S+)$", mail.outbox[-1].body, re.M)
    page = browser.get(path, follow=True)
    new = "moss on the south side"
    browser.post(page.request["PATH_INFO"], {"password1": new, "password2": new})
    assert logged_in(bob, new).get("/account/").status_code == 200


class TestCharacterPages:
    @pytest.fixture
    def tilda(self, bob) -> Character:
        return create_character(account=bob, name="Tilda Fen", by=bob, now=timezone.now())

    @pytest.mark.parametrize("deed", ["rename", "delete"])
    def test_they_are_of_whose_character_it_is(self, client, tilda, deed):
        path = f"/characters/{tilda.pk}/{deed}/"
        assert client.get(path).status_code == 302
        client.force_login(register("mallory@example.org"))
        assert client.get(path).status_code == 404
        assert client.post(path, {"name": "Tilda Fen"}).status_code == 404
        tilda.refresh_from_db()
        assert (tilda.name, tilda.deleted_at) == ("Tilda Fen", None)

    def test_a_character_gets_another_name_now_and_then(self, client, bob, tilda):
        client.force_login(bob)
        path = f"/characters/{tilda.pk}/rename/"
        refused = client.post(path, {"name": "T1lda"})
        assert refused.status_code == 400 and 'value="T1lda"' in refused.content.decode()
        assert client.post(path, {"name": "Maeve"}).status_code == 302
        tilda.refresh_from_db()
        assert tilda.name == "Maeve"
        again = client.post(path, {"name": "Orrin"})
        assert again.status_code == 400 and "lately" in again.content.decode()

    def test_a_character_is_deleted_by_typing_its_name(self, client, bob, tilda):
        client.force_login(bob)
        path = f"/characters/{tilda.pk}/delete/"
        refused = client.post(path, {"name": "Tilda"})
        assert refused.status_code == 400 and 'value="Tilda"' in refused.content.decode()
        client.post(path, {"name": "tilda fen"})
        tilda.refresh_from_db()
        assert tilda.deleted_at is not None
        assert client.get(path).status_code == 404


def test_who_has_not_confirmed_gets_no_ticket_where_that_is_asked_for(call, bob, token_of, settings):
    settings.EMAIL_CONFIRMATION_NEEDED = True
    World.objects.create(
        slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/",
        last_report_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    ensure_signing_key(settings.CONFIG.signing_keys_dir)
    token = token_of(bob)
    answer = call("POST", "/api/v1/worlds/lanternrest/tickets/", token=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_confirmed")
    bob.emailaddress_set.update(verified=True)
    again = call("POST", "/api/v1/worlds/lanternrest/tickets/", token=token)
    assert again.status_code != 403, again.content
