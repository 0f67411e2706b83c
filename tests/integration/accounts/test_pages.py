"""The pages: every page × every role, the ways in and back in, CSRF, headers."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import mail
from django.test import Client, override_settings

from accounts import passwords
from accounts.models import Account
from accounts.services import MAX_SESSIONS
from characters.models import Character
from characters.services import create_character
from tests.integration.accounts.conftest import PASSWORD, register
from worlds.models import World

pytestmark = pytest.mark.django_db

LOG_IN = "/account/log-in/"
# Page × role; a number is the status, a text the place that it sends one to.
PAGES = {
    "/": {"anonymous": 200, "player": 200, "staff": 200},
    "/population/": {"anonymous": 200, "player": 200, "staff": 200},
    "/worlds/": {"anonymous": 200, "player": 200, "staff": 200},
    "/worlds/lanternrest/": {"anonymous": 200, "player": 200, "staff": 200},
    "/worlds/nowhere/": {"anonymous": 404, "player": 404, "staff": 404},
    "/worlds/lanternrest/now/": {"anonymous": 200, "player": 200, "staff": 200},
    "/worlds/lanternrest/badge.svg": {"anonymous": 200, "player": 200, "staff": 200},
    "/status/": {"anonymous": 200, "player": 200, "staff": 200},
    "/status-now/": {"anonymous": 200, "player": 200, "staff": 200},
    "/status/lanternrest/": {"anonymous": 200, "player": 200, "staff": 200},
    "/status/nowhere/": {"anonymous": 404, "player": 404, "staff": 404},
    "/how-to-play/": {"anonymous": 200, "player": 200, "staff": 200},
    "/healthz": {"anonymous": 200, "player": 200, "staff": 200},
    "/characters/": {"anonymous": f"{LOG_IN}?next=/characters/", "player": 200, "staff": 200},
    "/account/": {"anonymous": f"{LOG_IN}?next=/account/", "player": 200, "staff": 200},
    "/premium/": {"anonymous": 200, "player": 200, "staff": 200},
    "/premium/checkout/": {"anonymous": 200, "player": 200, "staff": 200},
    "/premium/code/": {"anonymous": f"{LOG_IN}?next=/premium/code/", "player": 200, "staff": 200},
    "/premium/payments/": {"anonymous": f"{LOG_IN}?next=/premium/payments/", "player": 200, "staff": 200},
    "/premium/payments/6ba7b810-9dad-11d1-80b4-00c04fd430c8/": {
        "anonymous": 404,
        "player": 404,
        "staff": 404,
    },
    "/account/sign-up/": {"anonymous": 200, "player": "/characters/", "staff": "/characters/"},
    LOG_IN: {"anonymous": 200, "player": "/characters/", "staff": "/characters/"},
    "/account/log-out/": {"anonymous": "/", "player": 200, "staff": 200},
    "/account/closed/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/e-mail/sent/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/e-mail/confirm/nonsense/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/password/": {"anonymous": f"{LOG_IN}?next=/account/password/", "player": 200, "staff": 200},
    "/account/password/lost/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/password/lost/sent/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/password/new/1-nonsense/": {"anonymous": 200, "player": 200, "staff": 200},
    "/account/password/new/done/": {"anonymous": 200, "player": 200, "staff": 200},
    "/admin/": {
        "anonymous": "/admin/login/?next=/admin/",
        "player": "/admin/login/?next=/admin/",
        "staff": 200,
    },
    "/nothing/": {"anonymous": 404, "player": 404, "staff": 404},
}


@pytest.fixture
def lanternrest(db: None) -> World:
    return World.objects.create(slug="lanternrest", name="Lanternrest", gateway_url="ws://127.0.0.1:1/")


@pytest.mark.parametrize("role", ["anonymous", "player", "staff"])
@pytest.mark.parametrize("path", PAGES)
def test_each_page_answers_each_role_as_it_should(client, bob, staff, lanternrest, path, role):
    if role != "anonymous":
        client.force_login({"player": bob, "staff": staff}[role])
    answer = client.get(path)
    expected = PAGES[path][role]
    if isinstance(expected, str):
        assert (answer.status_code, answer.headers["Location"]) == (302, expected)
    else:
        assert answer.status_code == expected
        assert len(answer.content) < 100_000
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", [path for path in PAGES if not path.startswith("/admin/")])
def test_no_page_holds_a_script_or_style_of_its_own(client, bob, lanternrest, path):
    client.force_login(bob)
    html = client.get(path).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html)


def test_signing_up_leads_to_logging_in_and_to_the_characters(client):
    answer = client.post("/account/sign-up/", {"email": "alice@example.org", "password": PASSWORD})
    assert answer.headers["Location"] == LOG_IN, "no address of a person in an address of a page"
    assert 'value="alice@example.org"' in client.get(LOG_IN).content.decode()
    assert "_auth_user_id" not in client.session
    page = client.get(answer.headers["Location"])
    assert 'value="alice@example.org"' in page.content.decode(), "nobody types an address twice"
    answer = client.post(LOG_IN, {"login": "alice@example.org", "password": PASSWORD})
    assert answer.headers["Location"] == "/characters/"


def test_browsers_are_in_the_same_list_of_devices_with_the_same_end(bob):
    browsers = [Client() for _ in range(MAX_SESSIONS + 1)]
    for browser in browsers:
        browser.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert UserSession.objects.filter(user=bob).count() == MAX_SESSIONS
    assert browsers[0].get("/account/").status_code == 302
    assert browsers[1].get("/account/").status_code == 200


def test_signing_up_with_a_taken_address_looks_the_same(client, bob, django_capture_on_commit_callbacks):
    answers = []
    for email in ("alice@example.org", bob.email):
        with django_capture_on_commit_callbacks(execute=True):
            posted = Client().post("/account/sign-up/", {"email": email, "password": PASSWORD}, follow=True)
        answers.append(posted.content.decode().replace(email, "@"))
    without_tokens = [re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html) for html in answers]
    assert without_tokens[0] == without_tokens[1]
    assert len(mail.outbox) == 2


def test_signing_up_names_what_is_wrong(client):
    answer = client.post("/account/sign-up/", {"email": "alice@", "password": "short"})
    assert answer.status_code == 400
    html = answer.content.decode()
    assert "not a complete e-mail address" in html
    assert 'aria-invalid="true"' in html
    assert "short" not in html, "a password is never sent back"
    answer = client.post("/account/sign-up/", {"email": "alice@example.org", "password": "short"})
    assert "at least 10 characters" in answer.content.decode()
    assert not Account.objects.exists()


@override_settings(ACCOUNT_RATE_LIMITS={"signup": "1/m/ip"})
def test_signing_up_too_often_gets_a_page_that_says_so(client):
    for email in ("a@example.org", "b@example.org"):
        answer = client.post("/account/sign-up/", {"email": email, "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert "A moment, please" in answer.content.decode()
    assert Account.objects.count() == 1


def test_a_wrong_password_on_the_page_says_what_to_do(client, bob):
    answer = client.post(LOG_IN, {"login": bob.email, "password": "not this one"})
    unknown = client.post(LOG_IN, {"login": "mallory@example.org", "password": "not this one"})
    for page in (answer, unknown):
        assert "do not belong together" in page.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_full_password_gate_gets_a_page_that_says_so(argon2, client, bob, monkeypatch):
    monkeypatch.setattr(passwords, "gate", passwords.PasswordGate(slots=0, queue=0, patience=0.0))
    answer = client.post(LOG_IN, {"login": bob.email, "password": PASSWORD})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Many people are logging in" in answer.content.decode()


def test_a_lost_password_is_set_anew_by_the_letter(client, bob):
    answer = client.post("/account/password/lost/", {"email": bob.email})
    assert answer.headers["Location"] == "/account/password/lost/sent/"
    (letter,) = mail.outbox
    (link,) = re.findall(r"^http\S+/account/password/new/\S+$", letter.body, re.M)
    page = client.get("/" + link.split("/", 3)[3], follow=True)
    new = "moss on the south side"
    answer = client.post(page.request["PATH_INFO"], {"password1": new, "password2": new})
    assert answer.headers["Location"] == "/account/password/new/done/"
    assert Account.objects.get(pk=bob.pk).check_password(new)
    again = client.get("/" + link.split("/", 3)[3], follow=True)
    assert "had its day" in again.content.decode()


def test_a_lost_password_of_nobody_looks_the_same(client, bob):
    answers = [
        client.post("/account/password/lost/", {"email": email})
        for email in (bob.email, "mallory@example.org")
    ]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert [letter.subject for letter in mail.outbox] == ["A new password", "No account with this address"]


@override_settings(ALLOWED_HOSTS=["*"], PUBLIC_URL="https://waystone.example")
def test_links_in_letters_do_not_follow_the_host_header(client, bob):
    client.post("/account/password/lost/", {"email": bob.email}, headers={"Host": "mallory.example"})
    assert "https://waystone.example/account/password/new/" in mail.outbox[0].body
    assert "mallory" not in mail.outbox[0].body


def test_the_address_is_confirmed_by_the_letter(client, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        alice = register("alice@example.org")
    (path,) = re.findall(r"^https?://[^/]+(/account/e-mail/confirm/\S+)$", mail.outbox[0].body, re.M)
    assert "Is this you?" in client.get(path).content.decode()
    assert not EmailAddress.objects.get(user=alice).verified, (
        "mail scanners open links; only the button counts"
    )
    client.post(path)
    assert EmailAddress.objects.get(user=alice).verified


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (LOG_IN, {"login": "bob@example.org", "password": PASSWORD}),
        ("/account/sign-up/", {"email": "alice@example.org", "password": PASSWORD}),
        ("/account/log-out/", {}),
        ("/account/password/", {"oldpassword": PASSWORD, "password1": "x", "password2": "x"}),
        ("/account/password/lost/", {"email": "bob@example.org"}),
        ("/characters/", {"name": "Mallorys Pawn"}),
    ],
)
def test_no_form_works_without_its_csrf_token(bob, path, values):
    browser = Client(enforce_csrf_checks=True)
    if path not in (LOG_IN, "/account/sign-up/"):
        browser.force_login(bob)
    answer = browser.post(path, values)
    assert answer.status_code == 403
    assert "We did not do that" in answer.content.decode()
    assert Account.objects.count() == 1
    assert not Character.objects.exists()
    assert not mail.outbox


def test_log_in_does_not_send_anybody_to_a_strangers_site(client, bob):
    answer = client.post(
        f"{LOG_IN}?next=https://mallory.example/", {"login": bob.email, "password": PASSWORD}
    )
    assert answer.headers["Location"] == "/characters/"


def test_the_admin_uses_the_sites_log_in_with_its_limits(client):
    answer = client.get("/admin/login/", follow=True)
    assert answer.redirect_chain[-1][0].startswith(LOG_IN)


def test_a_character_is_made_and_listed_on_the_page(client, bob):
    client.force_login(bob)
    page = client.post("/characters/", {"name": "Tilda Fen"}, follow=True).content.decode()
    assert "Tilda Fen is ready to set out" in page
    assert "1 of 3 places taken" in page


def test_a_taken_or_impossible_name_is_refused_in_plain_words(client, bob, staff):
    create_character(account=staff, name="Tilda Fen", by=staff, now=staff.date_joined)
    client.force_login(bob)
    for name, reason in [
        ("Tilda Fen", "taken"),
        ("T1lda!", "cannot be in a name"),
        ("", "Give your character"),
    ]:
        answer = client.post("/characters/", {"name": name})
        assert answer.status_code == 400
        assert reason in answer.content.decode()
    assert not Character.objects.filter(account=bob).exists()


def test_the_last_slot_is_the_last(client, bob):
    client.force_login(bob)
    for name in ("Tilda", "Orrin", "Maeve"):
        client.post("/characters/", {"name": name})
    answer = client.post("/characters/", {"name": "Sorrel"})
    assert answer.status_code == 400
    assert "All places are taken" in answer.content.decode()
    assert Character.objects.count() == 3


def test_nobody_sees_anybody_elses_characters(client, bob, staff):
    create_character(account=bob, name="Tilda Fen", by=bob, now=bob.date_joined)
    client.force_login(staff)
    assert "Tilda" not in client.get("/characters/").content.decode()


def test_what_people_write_is_shown_as_text(client):
    World.objects.create(
        slug="marks", name="<b>Marks</b>", tagline="<script>alert(1)</script>",
        description="<img src=x onerror=alert(1)>", motd="<i>x</i>", gateway_url="ws://127.0.0.1:1/",
    )  # fmt: skip
    for path in ("/", "/worlds/", "/worlds/marks/"):
        html = client.get(path).content.decode()
        assert "<b>Marks" not in html and "<script>alert" not in html and "<img src=x" not in html


@pytest.mark.parametrize("path", ["/worlds/", "/population/", "/characters/"])
def test_queries_do_not_grow_with_rows(client, bob, path, django_assert_max_num_queries):
    client.force_login(bob)

    def queries() -> int:
        with django_assert_max_num_queries(30) as counted:
            client.get(path)
        return len(counted)

    World.objects.create(slug="world-0", name="World 0", gateway_url="ws://127.0.0.1:1/")
    create_character(account=bob, name="Tilda", by=bob, now=bob.date_joined)
    from_one = queries()
    for number in range(1, 9):
        World.objects.create(
            slug=f"world-{number}",
            name=f"World {number}",
            name_key=f"w{number}",
            gateway_url="ws://127.0.0.1:1/",
        )
    for name in ("Orrin", "Maeve"):
        create_character(account=bob, name=name, by=bob, now=bob.date_joined)
    assert queries() <= from_one
