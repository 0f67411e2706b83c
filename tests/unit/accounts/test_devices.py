"""What devices are called, and by what failed log-ins are counted."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.devices import device_words, is_phone
from accounts.throttles import COOKIE, attempts_key, known_browser, mark_browser, network_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
EDGE = CHROME + " Edg/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (PHONE, "Safari on iPhone"),
        ("python-httpx/0.28", "A program, python-httpx"),
        ("", "A program that gives no name"),
        ("\x00\x1b[2J\u202e/1", "A program, [2J"),
        ("x" * 5000, "A program, " + "x" * 40),
    ],
)
def test_a_device_is_named_in_words(user_agent, words):
    assert device_words(user_agent) == words


def test_phones_are_told_from_others():
    assert is_phone(PHONE) and not is_phone(FIREFOX)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("nonsense", "nowhere"),
        (None, "nowhere"),
    ],
)
def test_one_line_is_one_caller(address, network):
    assert network_of(address) == network


def request_with(cookie: str):
    return RequestFactory().get("/", headers={"cookie": f"{COOKIE}={cookie}"})


def marked(email: str) -> str:
    response = HttpResponse()
    mark_browser(response, email)
    return response.cookies[COOKIE].value


def test_a_known_browser_counts_by_itself():
    mark = marked("bob@example.org")
    own = attempts_key(request_with(mark), "Bob@example.org", "192.0.2.7")
    assert own == attempts_key(request_with(mark), "bob@example.org", "198.51.100.1")
    assert own != attempts_key(request_with(marked("bob@example.org")), "bob@example.org", "192.0.2.7")
    assert own != attempts_key(request_with(""), "bob@example.org", "192.0.2.7")


def test_a_mark_is_of_one_address_and_cannot_be_made_up():
    mark = marked("mallory@example.org")
    assert known_browser(request_with(mark), "mallory@example.org")
    for forged in (mark, mark[:-1] + "x", "x:y:z", "", "e30:x:y"):
        assert known_browser(request_with(forged), "bob@example.org") is None


def test_by_https_the_mark_has_a_name_that_only_https_can_set(settings):
    settings.SESSION_COOKIE_SECURE = True
    response = HttpResponse()
    mark_browser(response, "bob@example.org")
    cookie = response.cookies[f"__Secure-{COOKIE}"]
    assert cookie["secure"] and COOKIE not in response.cookies
    request = RequestFactory().get("/", headers={"cookie": f"__Secure-{COOKIE}={cookie.value}"})
    assert known_browser(request, "bob@example.org")


def test_the_mark_is_no_script_s_business():
    response = HttpResponse()
    mark_browser(response, "bob@example.org")
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/account/"
