"""Failed log-ins are counted so that nobody can be locked out by somebody else's failures.

Counted three ways. By network and address together (allauth's `login_failed`): who guesses is stopped, the
owner elsewhere is not. By the browser in place of the network, where a browser has logged in to this address
before and shows the mark that it was given: even somebody in the same house cannot lock it out. By the
address alone, wide (`login_failed_anywhere`): thousands of machines that guess together are stopped; known
browsers are not asked, and the letter for a lost password, which only its owner opens, sets it back.
"""

import ipaddress
import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

COOKIE = "waystone_browser"  # with __Secure- before it where the site is https: see cookie_name
PATH = "/account/"  # log-in is there, nothing else reads it
LASTS = 365 * 24 * 3600  # seconds
SALT = "accounts.throttles.known_browser"


def network_of(address: str | None) -> str:
    """Return what counts as one caller: an IPv4 address, or an IPv6 network of 64 bits: one line's."""
    if not address:
        return "nowhere"
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "nowhere"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def cookie_name() -> str:
    """Return the cookie's name. Browsers take this prefix by https only; its path forbids __Host-."""
    return f"__Secure-{COOKIE}" if settings.SESSION_COOKIE_SECURE else COOKIE


def mark_browser(response: HttpResponse, email: str) -> None:
    """Give the browser of somebody who has just logged in the mark that it is known for this address."""
    mark = signing.dumps([_digest(email), secrets.token_urlsafe(12)], salt=SALT)
    response.set_cookie(
        cookie_name(),
        mark,
        max_age=LASTS,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def known_browser(request: HttpRequest, email: str) -> str | None:
    """Return the name of the browser if it has logged in to this address before; None for a stranger's.

    A mark is of one address: it opens nothing, and it is no help in guessing at another one.
    """
    try:
        digest, name = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=SALT, max_age=LASTS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(name) if constant_time_compare(str(digest), _digest(email)) else None


def attempts_key(request: HttpRequest, email: str, address: str | None) -> str:
    """Return under which key a failed log-in counts. Args: address: the caller's IP address."""
    browser = known_browser(request, email)
    return f"{email.lower()}|browser {browser}" if browser else f"{email.lower()}|{network_of(address)}"


def _digest(email: str) -> str:
    return salted_hmac(SALT, email.lower()).hexdigest()[:32]
