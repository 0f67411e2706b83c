"""The parts of the settings and headers that the site rests on."""

import pytest
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory

from waystone.security import policy_for
from waystone.settings import host_cookie, hsts_seconds, mail_from_url, rate_limits


def test_without_a_mail_server_letters_become_files():
    assert mail_from_url("")["EMAIL_BACKEND"].endswith("filebased.EmailBackend")


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://mail.example", 25, False, False),
        ("smtp+tls://mail.example", 587, True, False),
        ("smtps://mail.example", 465, False, True),
        ("smtps://mail.example:2465", 2465, False, True),
    ],
)
def test_mail_servers(url, port, tls, ssl):
    found = mail_from_url(url)
    assert found["EMAIL_HOST"] == "mail.example"
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (port, tls, ssl)


def test_signs_in_a_mail_password_are_written_percent_encoded():
    found = mail_from_url("smtps://bob%40example.org:p%3Aw%2F@mail.example")
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("bob@example.org", "p:w/")


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp:mail.example"])
def test_what_is_no_mail_server_is_refused_with_the_settings_name(url):
    with pytest.raises(ValueError, match="WAYSTONE_SMTP_URL"):
        mail_from_url(url)


def test_only_a_site_at_a_loopback_address_lifts_the_limits_on_bots():
    assert rate_limits("http://127.0.0.1:8000")["login"] == "600/m/ip"
    for outside in ("https://waystone.example", "https://localhost.example"):
        assert "600/m/ip" not in rate_limits(outside).values()
        assert "login" not in rate_limits(outside), "allauth's own limit holds"


def test_by_https_cookies_have_names_that_no_other_host_can_set(settings):
    assert host_cookie("sessionid", "https://waystone.example") == "__Host-sessionid"
    assert host_cookie("sessionid", "http://127.0.0.1:8000") == "sessionid"
    # What the prefix asks of a cookie, or browsers drop it: the whole path, no domain.
    assert settings.SESSION_COOKIE_PATH == settings.CSRF_COOKIE_PATH == "/"
    assert settings.SESSION_COOKIE_DOMAIN is None and settings.CSRF_COOKIE_DOMAIN is None
    assert host_cookie("sessionid", settings.PUBLIC_URL) == settings.SESSION_COOKIE_NAME


def test_no_plain_request_is_led_to_https_so_that_a_program_that_sends_one_is_noticed(settings):
    assert not settings.SECURE_SSL_REDIRECT


def test_browsers_are_told_to_come_by_https_for_a_year_where_the_site_is(settings):
    assert hsts_seconds("http://127.0.0.1:8000") == 0
    settings.SECURE_HSTS_SECONDS = hsts_seconds("https://waystone.example")
    middleware = SecurityMiddleware(lambda request: HttpResponse())
    answer = middleware(RequestFactory().get("/", secure=True))
    assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_debugging_is_off_unless_asked_for(settings):
    assert settings.CONFIG.debug is False and settings.DEBUG is False


def test_only_the_admin_may_evaluate_scripts_of_its_templates():
    assert "unsafe" not in policy_for("/")
    assert "unsafe" not in policy_for("/administration/")
    assert "'unsafe-eval'" in policy_for("/admin/worlds/")
    assert "script-src 'self';" in policy_for("/api/v1/docs/")
    for path in ("/", "/admin/", "/api/v1/docs/"):
        assert "frame-ancestors 'none'" in policy_for(path)
        assert "http" not in policy_for(path), "nothing comes from elsewhere"
