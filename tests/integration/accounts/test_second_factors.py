"""Second factors by page and by REST, and that their secrets lie encrypted."""

import re
import time
from base64 import b64decode
from urllib.parse import quote

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core import mail
from django.test import Client

from accounts.models import Account, AuditRecord
from tests.integration.accounts.conftest import PASSWORD, register

pytestmark = pytest.mark.django_db

LOG_IN = "/account/log-in/"
AGAIN = "/account/again/"
APP = "/account/security/app/"
STEP = "/account/security/second-step/"


def code_of(secret: str, ahead: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))


def confirm(account: Account) -> None:
    account.emailaddress_set.update(verified=True)


@pytest.fixture
def secret(bob: Account) -> str:
    """Bob's app has this secret."""
    made = generate_totp_secret()
    confirm(bob)
    TOTP.activate(bob, made)
    RecoveryCodes.activate(bob)
    return made


def prove(client: Client, password: str = PASSWORD):
    return client.post(AGAIN, {"password": password})


def test_an_app_is_set_up_and_asked_for_from_then_on(client, bob, django_capture_on_commit_callbacks):
    confirm(bob)
    client.force_login(bob)
    assert client.get(APP).headers["Location"] == f"{AGAIN}?next={quote(APP, safe='')}", (
        "a browser left open is not enough"
    )
    assert prove(client, "not this one").status_code == 400
    prove(client)
    html = client.get(APP).content.decode()
    (shown,) = re.findall(r'class="secret">(\w+)<', html)
    (picture,) = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)
    assert 'fill="white"' in b64decode(picture).decode(), "it can be read on a dark page"
    refused = client.post(APP, {"code": "000000"})
    assert refused.status_code == 400
    assert shown in refused.content.decode(), "the picture that was read stays the right one"
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post(APP, {"code": code_of(shown)})
    assert done.headers["Location"] == "/account/security/codes/"
    codes = re.findall(r"\b\d{12}\b", client.get("/account/security/codes/").content.decode())
    assert len(codes) == 10
    assert codes[0] in client.get("/account/security/codes/file/").content.decode()
    assert "An app was added to your account" in [letter.subject for letter in mail.outbox]
    assert AuditRecord.objects.filter(account=bob, action="second_factor_added", detail__kind="totp").exists()
    for row in Authenticator.objects.filter(user=bob):
        assert shown not in str(row.data), "a copy of the database opens no account"


def test_nobody_sets_up_a_second_step_for_an_address_that_may_be_anothers(client, bob):
    client.force_login(bob)
    prove(client)
    assert client.get(APP).status_code == 302
    assert not Authenticator.objects.exists()


def test_the_password_alone_opens_nothing_then(client, bob, secret):
    first = client.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert first.headers["Location"] == STEP
    assert client.get("/account/").status_code == 302
    wrong = client.post(STEP, {"code": "000000"})
    assert wrong.status_code == 400
    assert "That did not work" in wrong.content.decode()
    code = code_of(secret)
    assert client.post(STEP, {"code": code}).headers["Location"] == "/characters/"
    assert client.get("/account/").status_code == 200
    second = Client()
    second.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert second.post(STEP, {"code": code}).status_code == 400, "a code that was seen counts no more"


def test_a_recovery_code_lets_in_once(client, bob, secret):
    row = Authenticator.objects.get(user=bob, type=Authenticator.Type.RECOVERY_CODES)
    code = row.wrap().get_unused_codes()[0]
    for browser, status in ((client, 302), (Client(), 400)):
        browser.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
        assert browser.post(STEP, {"code": code}).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "app/",
        "app/remove/",
        "codes/new/",
        "codes/file/",
        "passkeys/new/",
        "passkeys/{}/",
        "passkeys/{}/remove/",
    ],
)
def test_what_hurts_is_asked_for_twice_and_is_nobody_elses(client, bob, secret, path):
    passkey = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Key", "credential": {}})
    where = f"/account/security/{path.format(passkey.pk)}"
    assert client.get(where).status_code in (302, 404)
    mallory = register("mallory@example.org")
    confirm(mallory)
    client.force_login(mallory)
    prove(client)
    answer = client.post(where, {"name": "Mine", "code": "1", "credential": "{}"})
    assert answer.status_code in (400, 403, 404, 405, 302)
    assert Authenticator.objects.filter(user=bob).count() == 3
    assert Authenticator.objects.get(pk=passkey.pk).data["name"] == "Key"
    client.force_login(bob)
    refused = client.post(where, {"name": "Mine"})
    assert refused.status_code in (302, 403, 405)
    assert Authenticator.objects.filter(user=bob).count() == 3


@pytest.mark.parametrize(
    "credential",
    ["", "{", "[]", "1", "null", '{"id": "x"}', '{"response": {"userHandle": "AAAA"}}', '{"response": 7}'],
)
def test_nonsense_is_no_passkey(client, bob, credential):
    answer = client.post("/account/security/passkeys/log-in/", {"credential": credential})
    assert answer.status_code == 302
    assert "_auth_user_id" not in client.session


def test_rest_asks_for_the_code_only_after_the_right_password(call, bob, secret):
    def log_in(**values):
        return call("POST", "/api/v1/sessions/", {"email": bob.email, "password": PASSWORD, **values})

    assert log_in(password="not this one").json()["code"] == "wrong_credentials"
    assert (log_in().status_code, log_in().json()["code"]) == (401, "code_needed")
    assert log_in(code="000000").json()["code"] == "wrong_code"
    answer = log_in(code=code_of(secret))
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert call("GET", "/api/v1/me/", token=token).json()["email"] == bob.email
    assert log_in(code=code_of(secret)).json()["code"] == "wrong_code", "once"


def test_guessing_codes_ends_soon(call, bob, secret):
    body = {"email": bob.email, "password": PASSWORD, "code": "000000"}
    statuses = [call("POST", "/api/v1/sessions/", body).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
