"""The REST API of accounts: every endpoint × every role, wrong input, and what strangers may learn."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone

from accounts import passwords
from accounts.models import Account, AuditRecord
from accounts.rules import Edition
from accounts.services import MAX_SESSIONS, grant_entitlement
from tests.integration.accounts.conftest import PASSWORD, register

pytestmark = pytest.mark.django_db


def assert_problem(answer, status: int, code: str | None = None) -> dict:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    if code:
        assert problem["code"] == code
    return problem


# Endpoint × role. 202/201: registering and logging in are open to anybody, whoever they are already.
ROLES = [
    ("POST", "/api/v1/accounts/", {"anonymous": 202, "player": 202, "staff": 202}),
    ("POST", "/api/v1/sessions/", {"anonymous": 201, "player": 201, "staff": 201}),
    ("GET", "/api/v1/me/", {"anonymous": 401, "player": 200, "staff": 200}),
    ("DELETE", "/api/v1/sessions/current/", {"anonymous": 401, "player": 204, "staff": 204}),
    ("GET", "/api/v1/schema/", {"anonymous": 200, "player": 200, "staff": 200}),
    ("GET", "/api/v1/docs/", {"anonymous": 200, "player": 200, "staff": 200}),
    ("GET", "/api/v1/accounts/", {"anonymous": 405, "player": 405, "staff": 405}),
    ("GET", "/api/v1/sessions/", {"anonymous": 405, "player": 405, "staff": 405}),
]


@pytest.mark.parametrize("role", ["anonymous", "player", "staff"])
@pytest.mark.parametrize(("method", "path", "expected"), ROLES)
def test_each_endpoint_answers_each_role_as_it_should(
    call, token_of, bob, staff, method, path, expected, role
):
    token = {"anonymous": None, "player": token_of(bob), "staff": token_of(staff)}[role]
    body = {"email": "bob@example.org", "password": PASSWORD}
    assert call(method, path, body, token).status_code == expected[role]


def test_registering_makes_an_account_that_can_log_in(argon2, call, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = call("POST", "/api/v1/accounts/", {"email": " Alice@Example.org ", "password": PASSWORD})
    assert answer.status_code == 202
    assert answer.json()["email"] == "alice@example.org"
    account = Account.objects.get()
    assert account.password.startswith("argon2$")
    assert AuditRecord.objects.get().action == "account_registered"
    (letter,) = mail.outbox
    assert letter.to == ["alice@example.org"]
    assert "/account/e-mail/confirm/" in letter.body

    session = call("POST", "/api/v1/sessions/", {"email": "ALICE@example.org", "password": PASSWORD})
    assert session.status_code == 201
    assert session.json()["account"]["uid"] == str(account.uid)


def test_a_taken_address_gets_the_same_answer_and_its_owner_a_letter(
    call, bob, django_capture_on_commit_callbacks
):
    answers = []
    for email in ("new@example.org", "BOB@example.org"):
        with django_capture_on_commit_callbacks(execute=True):
            answers.append(call("POST", "/api/v1/accounts/", {"email": email, "password": PASSWORD + "!"}))
    new, taken = answers
    assert (new.status_code, new.json()["detail"]) == (taken.status_code, taken.json()["detail"])
    assert new.headers.keys() == taken.headers.keys()
    assert Account.objects.count() == 2
    assert Account.objects.get(pk=bob.pk).check_password(PASSWORD), "the owner's password is as it was"
    assert [letter.subject for letter in mail.outbox] == [
        "Welcome to Waystone",
        "You have an account here already",
    ]


def test_registering_again_and_again_does_not_flood_the_owners_mailbox(
    call, bob, django_capture_on_commit_callbacks
):
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            call("POST", "/api/v1/accounts/", {"email": bob.email, "password": PASSWORD})
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "no address", "password": PASSWORD}, "email"),
        ({"email": "a@b.example\x00", "password": PASSWORD}, "email"),
        ({"email": "x" * 250 + "@example.org", "password": PASSWORD}, "email"),
        ({"email": "new@example.org", "password": "short"}, "password"),
        ({"email": "new@example.org", "password": "password1234"}, "password"),
        ({"email": "somebody.new@example.org", "password": "somebody.new"}, "password"),
        ({"email": "new@example.org", "password": "x" * 1001}, "password"),
        ({"email": "new@example.org"}, "password"),
        ({"password": PASSWORD}, "email"),
        ({"email": ["new@example.org"], "password": PASSWORD}, "email"),
        ({"email": {"a": 1}, "password": PASSWORD}, "email"),
    ],
)
def test_registration_names_the_field_that_is_wrong(call, body, field):
    problem = assert_problem(call("POST", "/api/v1/accounts/", body), 400)
    assert problem["errors"][field]
    assert not Account.objects.exists()


def test_what_is_no_json_or_no_object_is_refused(call):
    client = Client()
    broken = client.post("/api/v1/sessions/", b'{"email": ', content_type="application/json")
    assert_problem(broken, 400, "parse_error")
    assert_problem(call("POST", "/api/v1/accounts/", ["a", "b"]), 400)
    form = client.post("/api/v1/sessions/", {"email": "a@example.org", "password": PASSWORD})
    assert_problem(form, 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"email":' * 100_000], ids=["lists", "objects"])
def test_json_that_nests_too_deep_is_refused(db, body):
    answer = Client().post("/api/v1/sessions/", body, content_type="application/json")
    assert_problem(answer, 400, "parse_error")


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"])
def test_texts_that_no_database_holds_are_refused(db, text):
    body = f'{{"email": "new{text}@example.org", "password": "{PASSWORD}{text}"}}'.encode()
    for path in ("/api/v1/accounts/", "/api/v1/sessions/"):
        assert_problem(Client().post(path, body, content_type="application/json"), 400)
    assert not Account.objects.exists()


def test_wrong_password_and_unknown_address_cannot_be_told_apart(call, bob):
    wrong = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": "not this one"})
    unknown = call("POST", "/api/v1/sessions/", {"email": "mallory@example.org", "password": "not this one"})
    assert_problem(wrong, 401, "wrong_credentials")
    assert wrong.content == unknown.content
    assert wrong.headers.keys() == unknown.headers.keys()


def test_a_closed_account_is_told_so_only_with_the_right_password(call, bob):
    Account.objects.update(is_active=False)
    right = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD})
    assert_problem(right, 403, "account_closed")
    wrong = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": "not this one"})
    assert_problem(wrong, 401, "wrong_credentials")


def test_failed_log_ins_are_limited_per_address_and_then_even_the_right_password_waits(call, bob):
    for _ in range(5):
        call("POST", "/api/v1/sessions/", {"email": bob.email, "password": "not this one"})
    answer = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD})
    assert_problem(answer, 429, "throttled")
    assert int(answer.headers["Retry-After"]) > 0


def test_successful_log_ins_are_not_counted_as_failed(call, token_of, bob):
    tokens = {token_of(bob) for _ in range(6)}
    assert len(tokens) == 6


@override_settings(ACCOUNT_RATE_LIMITS={"login": "2/m/ip", "signup": "2/m/ip"})
@pytest.mark.parametrize("path", ["/api/v1/sessions/", "/api/v1/accounts/"])
def test_calls_are_limited_per_network(call, bob, path):
    body = {"email": bob.email, "password": PASSWORD}
    statuses = [call("POST", path, body).status_code for _ in range(3)]
    assert statuses[2] == 429 and 429 not in statuses[:2]
    answer = call("POST", path, body)
    assert_problem(answer, 429, "throttled")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_full_password_gate_answers_503_and_costs_no_attempt(argon2, call, bob, monkeypatch):
    monkeypatch.setattr(passwords, "gate", passwords.PasswordGate(slots=0, queue=0, patience=0.0))
    for _ in range(6):  # more than the failed attempts that an address has
        answer = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD})
        assert_problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD}).status_code == 201


def test_logging_in_leaves_a_browsers_own_session_alone(bob):
    alice = register("alice@example.org")
    browser = Client()
    browser.force_login(alice)
    cookie = browser.cookies["sessionid"].value
    answer = browser.post(
        "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD}, content_type="application/json"
    )
    assert answer.status_code == 201
    assert not answer.cookies, "the token is in the body and nowhere else"
    assert browser.cookies["sessionid"].value == cookie
    assert browser.get("/api/v1/me/").json()["email"] == alice.email


def test_both_headers_carry_the_token(call, token_of, bob):
    token = token_of(bob)
    assert call("GET", "/api/v1/me/", token=token).json()["email"] == bob.email
    assert call("GET", "/api/v1/me/", Authorization=f"Bearer {token}").json()["email"] == bob.email


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "a\tb"])
def test_a_token_that_is_none_is_refused_aloud(call, db, token):
    assert_problem(call("GET", "/api/v1/me/", token=token), 401, "session_over")
    answer = call("GET", "/api/v1/me/", Authorization=f"Bearer {token}")
    assert_problem(answer, 401, "session_over")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_logging_out_ends_this_session_and_no_other(call, token_of, bob):
    first, second = token_of(bob), token_of(bob)
    assert call("DELETE", "/api/v1/sessions/current/", token=first).status_code == 204
    assert_problem(call("GET", "/api/v1/me/", token=first), 401, "session_over")
    assert_problem(call("DELETE", "/api/v1/sessions/current/", token=first), 401, "session_over")
    assert call("GET", "/api/v1/me/", token=second).status_code == 200


def test_the_oldest_sessions_of_an_account_end_when_there_are_too_many(call, token_of, bob):
    tokens = [token_of(bob) for _ in range(MAX_SESSIONS + 1)]
    assert_problem(call("GET", "/api/v1/me/", token=tokens[0]), 401, "session_over")
    assert call("GET", "/api/v1/me/", token=tokens[1]).status_code == 200
    assert UserSession.objects.filter(user=bob).count() == MAX_SESSIONS


def test_a_session_that_has_run_out_is_over(call, token_of, bob):
    token = token_of(bob)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert_problem(call("GET", "/api/v1/me/", token=token), 401, "session_over")


def test_a_new_password_or_a_closed_account_ends_all_sessions(call, token_of, bob):
    token = token_of(bob)
    bob.set_password("moss on the south side")
    bob.save()
    assert_problem(call("GET", "/api/v1/me/", token=token), 401, "session_over")
    bob.set_password(PASSWORD)
    bob.save()
    token = token_of(bob)
    Account.objects.update(is_active=False)
    assert_problem(call("GET", "/api/v1/me/", token=token), 401, "session_over")


def test_a_cookie_alone_cannot_log_out_without_the_csrf_token(bob):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(bob)
    assert_problem(browser.delete("/api/v1/sessions/current/"), 403)
    assert browser.get("/api/v1/me/").status_code == 200


def test_me_tells_the_edition_and_its_limits_as_the_ledger_says_now(call, token_of, bob):
    token = token_of(bob)
    me = call("GET", "/api/v1/me/", token=token).json()
    assert (me["edition"], me["limits"]["character_slots"], me["limits"]["level_cap"]) == ("free", 3, 15)
    assert me["is_email_confirmed"] is False
    grant_entitlement(
        account=bob,
        edition=Edition.PREMIUM,
        source="gift",
        reference="g-1",
        by=None,
        now=bob.date_joined,
    )
    me = call("GET", "/api/v1/me/", token=token).json()
    assert (me["edition"], me["limits"]["character_slots"], me["limits"]["level_cap"]) == (
        "premium",
        24,
        None,
    )


def test_the_session_is_as_secret_as_it_should_be(call, token_of, bob):
    answer = call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD})
    assert "no-store" in answer.headers["Cache-Control"]
