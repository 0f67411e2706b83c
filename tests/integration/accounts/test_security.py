"""What docs/security.md says of accounts, sessions and answers, where no other test looks."""

import re
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from accounts.session_store import SINCE, SessionStore
from accounts.staff_gate import FRESH_S
from tests.integration.accounts.conftest import PASSWORD
from waystone.settings import host_cookie

pytestmark = pytest.mark.django_db

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text()
LOG_IN = "/account/log-in/"
STEP = "/account/security/second-step/"
LOST = "/account/password/lost/"


def log_in(client: Client, account: Account, password: str = PASSWORD):
    return client.post(LOG_IN, {"login": account.email, "password": password})


def test_a_code_counts_once_for_as_long_as_it_would_be_right(client, bob):
    """allauth forgets after half a minute which code was taken, and takes it for a minute and a half."""
    bob.emailaddress_set.update(verified=True)
    secret = generate_totp_secret()
    TOTP.activate(bob, secret)
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    log_in(client, bob)
    assert client.post(STEP, {"code": code}).status_code == 302
    cache.delete(f"allauth.mfa.totp.used?user={bob.pk}&code={code}")  # as half a minute later
    mallory = Client()
    log_in(mallory, bob)
    assert mallory.post(STEP, {"code": f"{code[:3]} {code[3:]}"}).status_code == 400
    assert mallory.get("/account/").status_code == 302
    again = {"email": bob.email, "password": PASSWORD, "code": code}
    assert client.post("/api/v1/sessions/", again, content_type="application/json").status_code == 401


def test_staff_prove_their_second_factor_anew_after_a_working_day(client, staff, settings):
    settings.STAFF_MFA_REQUIRED = True
    Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
    client.force_login(staff)
    session = client.session

    class Request:
        pass

    request = Request()
    request.session = session
    record_authentication(request, staff, "mfa", type="totp")
    session.save()
    assert client.get("/admin/").status_code == 200
    session["account_authentication_methods"][-1]["at"] -= FRESH_S
    session.save()
    assert client.get("/admin/")["Location"].startswith("/account/security/code-again/")


def letter_link(email: str) -> str:
    Client().post(LOST, {"email": email})
    (link,) = re.findall(r"http://[^/\s]+(/account/password/\S+)", mail.outbox[-1].body)
    return link


def test_a_link_for_a_lost_password_lasts_an_hour_and_works_once(
    client, bob, settings, django_capture_on_commit_callbacks
):
    assert settings.PASSWORD_RESET_TIMEOUT == 3600
    with django_capture_on_commit_callbacks(execute=True):
        link = letter_link(bob.email)
    opened = client.get(link, follow=True)
    new = {"password1": "moss on the north side"}
    form = opened.redirect_chain[-1][0]
    fields = re.findall(r'name="(password\d)"', opened.content.decode())
    assert client.post(form, dict.fromkeys(fields, new["password1"])).status_code == 302
    assert log_in(Client(), bob, new["password1"]).status_code == 302
    assert "has had its day" in Client().get(link, follow=True).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        second = letter_link(bob.email)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "has had its day" in Client().get(second, follow=True).content.decode()


def test_a_password_is_taken_as_it_was_typed(client, call):
    typed = f"  Ünder the MOSS {'x' * 120}  "
    answer = call("POST", "/api/v1/accounts/", {"email": "new@example.org", "password": typed})
    assert answer.status_code == 202
    account = Account.objects.get(email="new@example.org")
    assert log_in(Client(), account, typed).status_code == 302
    for other in (typed.strip(), typed.lower(), typed[:72]):
        assert log_in(Client(), account, other).status_code == 400


def test_a_new_password_asks_for_the_old_one_and_ends_other_sessions(client, bob):
    new = {"password1": "moss on the north side", "password2": "moss on the north side"}
    other = Client()
    log_in(client, bob)
    log_in(other, bob)
    assert client.post("/account/password/", {"oldpassword": "wrong", **new}).status_code == 400
    assert client.post("/account/password/", {"oldpassword": PASSWORD, **new}).status_code == 302
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


def test_a_log_in_makes_a_new_session(client, bob):
    client.get(LOG_IN)
    client.cookies["sessionid"] = "x" * 32  # Mallory's choice
    log_in(client, bob)
    key = client.cookies["sessionid"].value
    assert key != "x" * 32 and len(key) == 32
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"


def test_cookies_are_for_https_where_the_site_is(bob, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME = host_cookie("sessionid", "https://waystone.example")
    settings.CSRF_COOKIE_NAME = host_cookie("csrftoken", "https://waystone.example")
    client = Client(enforce_csrf_checks=True)
    cookie = client.get(LOG_IN, secure=True).cookies["__Host-csrftoken"]
    assert cookie["secure"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert not cookie["domain"], "or browsers drop a cookie of this name"
    sent = {"login": bob.email, "password": PASSWORD, "csrfmiddlewaretoken": cookie.value}
    answer = client.post(LOG_IN, sent, secure=True, headers={"Referer": "https://testserver/"})
    assert answer.status_code == 302
    cookie = client.cookies["__Host-sessionid"]
    assert cookie["secure"] and cookie["httponly"] and not cookie["domain"]
    assert client.get("/account/", secure=True).status_code == 200


def test_sessions_have_an_end_that_the_document_tells(settings):
    assert timedelta(seconds=settings.SESSION_COOKIE_AGE) == timedelta(days=14)
    assert "14 days after the log-in" in DOCUMENT


@pytest.mark.parametrize(
    "path",
    [
        "/account/", "/account/devices/", "/characters/", "/operate/", "/premium/payments/", "/worlds/", "/",
        "/api/v1/me/", "/api/v1/characters/", "/admin/",
    ],
)  # fmt: skip
def test_what_is_answered_to_somebody_is_kept_by_no_cache(client, staff, path):
    client.force_login(staff)
    answer = client.get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


def test_what_is_answered_to_a_token_is_kept_by_no_cache(call, token_of, bob):
    token = token_of(bob)
    assert call("GET", "/api/v1/characters/", token=token)["Cache-Control"] == "no-store"
    assert "Cache-Control" not in call("GET", "/api/v1/me/"), "nobody in particular"


def test_trace_is_answered_by_nobody_and_echoes_nothing(client):
    for path in ("/", "/account/log-in/", "/api/v1/worlds/", "/healthz", "/status/"):
        answer = client.trace(path, headers={"x-secret": "of a cookie"})
        assert answer.status_code == 405, path
        assert b"of a cookie" not in answer.content


@pytest.mark.parametrize(
    "path", ["/static/", "/static/site/", "/.git/config", "/static/../.git/config", "/var/"]
)
def test_no_folder_is_listed_and_no_source_is_there(client, path):
    assert client.get(path).status_code == 404


def test_every_answer_says_that_its_kind_is_not_to_be_guessed(client, bob):
    client.force_login(bob)
    for path in (
        "/",
        "/characters/",
        "/no/such/page/",
        "/api/v1/me/",
        "/api/v1/nothing/",
        "/healthz",
        "/admin/",
    ):
        answer = client.get(path)
        assert answer["X-Content-Type-Options"] == "nosniff", path
        assert answer["Referrer-Policy"] == "same-origin", path
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"], path
        if answer.content:
            kind = answer["Content-Type"]
            assert "charset=utf-8" in kind or kind.startswith("application/"), path


def test_other_sites_read_only_what_is_public(client, bob, call, token_of):
    token = token_of(bob)
    foreign = {"Origin": "https://mallory.example"}
    for path in ("/api/v1/me/", "/api/v1/characters/"):
        assert "Access-Control-Allow-Origin" not in call("GET", path, token=token, **foreign)
        assert "Access-Control-Allow-Origin" not in call("OPTIONS", path, token=token, **foreign)
    assert "Access-Control-Allow-Credentials" not in client.get("/api/v1/status/", headers=foreign)


def events(caplog) -> list[dict]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def test_log_ins_are_logged_whether_they_succeed_or_not(client, bob, call, caplog):
    caplog.set_level("INFO")
    log_in(client, bob)
    log_in(Client(), bob, "a guess of mallory")
    call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD})
    call("POST", "/api/v1/sessions/", {"email": bob.email, "password": "another guess"})
    client.post("/account/log-out/")
    lines = [line for line in events(caplog) if str(line["event"]).startswith("log")]
    told = [(line["event"], line["way"]) for line in lines if "way" in line]
    assert told == [
        ("logged_in", "page"), ("log_in_failed", "page"), ("logged_in", "rest"), ("log_in_failed", "rest"),
        ("logged_out", "page"),
    ]  # fmt: skip
    assert lines[0]["account"] == str(bob.uid) and lines[0]["by"] == ["password"]
    assert lines[0]["network"] == "127.0.0.1"
    assert bob.email not in caplog.text and "guess" not in caplog.text


def test_wrong_codes_are_logged(client, bob, caplog):
    caplog.set_level("INFO")
    bob.emailaddress_set.update(verified=True)
    TOTP.activate(bob, generate_totp_secret())
    log_in(client, bob)
    client.post(STEP, {"code": "000000"})
    (line,) = [line for line in events(caplog) if line["event"] == "log_in_failed"]
    assert line["cause"] == "wrong_code" and line["account"] == str(bob.uid)


def test_what_is_refused_is_logged(client, bob, caplog):
    caplog.set_level("WARNING")
    client.force_login(bob)
    client.get("/operate/no-such-world/")
    Client(enforce_csrf_checks=True).post("/account/log-in/", {})
    assert "/operate/no-such-world/" in caplog.text
    assert "/account/log-in/" in caplog.text


def test_there_is_no_account_that_nobody_made(db):
    assert not Account.objects.exists()


def test_a_value_given_twice_is_taken_once(client, bob):
    """The last one counts, everywhere: no part of the site sees another one than the next."""
    answer = client.post(
        f"{LOG_IN}?login=mallory@example.org",
        f"login=mallory@example.org&login={bob.email}&password={PASSWORD.replace(' ', '+')}",
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 302
    assert client.get("/api/v1/me/").json()["email"] == bob.email


def test_fields_that_are_not_asked_for_change_nothing(client, bob, call):
    sent = {"email": "new@example.org", "password": PASSWORD, "is_staff": True, "is_superuser": True}
    call("POST", "/api/v1/accounts/", sent)
    client.post("/account/sign-up/", {**sent, "email": "other@example.org", "is_active": ""})
    made = Account.objects.filter(email__in=["new@example.org", "other@example.org"])
    assert made.count() == 2
    assert not made.filter(is_staff=True).exists() and not made.filter(is_superuser=True).exists()
    assert timezone.now() - made.earliest("date_joined").date_joined < timedelta(minutes=1)


def test_password_fields_are_hidden_and_may_be_filled_by_programs(client, bob):
    pages = {"/account/sign-up/": "new-password", "/account/log-in/": "current-password"}
    fields = {
        path: re.findall(r"<input[^>]*password[^>]*>", client.get(path).content.decode()) for path in pages
    }
    client.force_login(bob)
    pages["/account/password/"] = "new-password"
    fields["/account/password/"] = re.findall(
        r"<input[^>]*password[^>]*>", client.get("/account/password/").content.decode()
    )
    for path, purpose in pages.items():
        assert fields[path], path
        assert all('type="password"' in field for field in fields[path]), path
        assert any(f'autocomplete="{purpose}"' in field for field in fields[path]), path


def test_a_new_password_by_letter_does_not_pass_the_second_factor(
    client, bob, django_capture_on_commit_callbacks
):
    bob.emailaddress_set.update(verified=True)
    TOTP.activate(bob, generate_totp_secret())
    with django_capture_on_commit_callbacks(execute=True):
        link = letter_link(bob.email)
    opened = client.get(link, follow=True)
    fields = re.findall(r'name="(password\d)"', opened.content.decode())
    client.post(opened.redirect_chain[-1][0], dict.fromkeys(fields, "moss on the north side"))
    assert client.get("/account/").status_code == 302, "the letter alone lets nobody in"
    assert log_in(client, bob, "moss on the north side").headers["Location"] == STEP


def test_passwords_are_hashed_by_argon2(argon2, bob):
    kind, variety, version, costs, *_ = bob.password.split("$")
    assert (kind, variety) == ("argon2", "argon2id")
    assert "m=102400" in costs and "t=2" in costs


def test_who_calls_is_not_the_callers_to_say(client, bob, caplog, settings):
    """Only as many addresses are believed as there are proxies of ours, from the right."""
    caplog.set_level("INFO")
    forged = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Real-IP": "203.0.113.9"}
    sent = {"login": bob.email, "password": PASSWORD}
    for proxies, seen in ((0, "127.0.0.1"), (1, "198.51.100.7")):
        settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
        caplog.clear()
        Client().post(LOG_IN, sent, headers=forged)
        assert [line["network"] for line in events(caplog) if line["event"] == "logged_in"] == [seen]
    assert not settings.SECURE_PROXY_SSL_HEADER, "without a proxy nobody's X-Forwarded-Proto counts"


def test_logging_out_is_one_press_away_from_every_page(client, bob):
    client.force_login(bob)
    for path in ("/", "/characters/", "/operate/", "/premium/", "/worlds/", "/account/devices/"):
        assert 'href="/account/"' in client.get(path).content.decode(), path
    page = client.get("/account/").content.decode()
    assert '<form method="post" action="/account/log-out/"' in page
    client.post("/account/log-out/")
    assert client.get("/characters/").status_code == 302


def ends_of(key: str) -> datetime:
    return Session.objects.get(session_key=key).expire_date


def test_a_session_ends_14_days_after_the_log_in_however_often_it_is_used(client, bob, call):
    log_in(client, bob)
    token = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD}).json()["token"]
    for key in (client.cookies["sessionid"].value, token):
        session = SessionStore(key)
        session[SINCE] -= 13 * 24 * 3600  # so long ago
        session["something"] = "written today"
        session.save()
        assert timedelta(hours=23) < ends_of(key) - timezone.now() <= timedelta(days=1)
        assert 23 * 3600 < SessionStore(key).get_expiry_age() <= 24 * 3600
        session[SINCE] -= 24 * 3600
        session.save()
    assert client.get("/account/").status_code == 302
    assert call("GET", "/api/v1/me/", token=token).status_code == 401


def test_a_new_log_in_begins_a_new_time(client, bob):
    log_in(client, bob)
    left = ends_of(client.cookies["sessionid"].value) - timezone.now()
    assert timedelta(days=13, hours=23) < left <= timedelta(days=14)
