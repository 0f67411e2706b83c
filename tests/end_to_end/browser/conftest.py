"""A real Chromium against a live server, and what every page must keep to."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import Account
from accounts.services import register_account
from tests.browser import chromium_path
from worlds.models import World, Zone, ZoneCluster

# Playwright's synchronous API keeps an event loop in this thread, so Django takes the ORM for unsafe here.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PATIENCE_MS = 30_000  # other tests have the machine, too
expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "lichen on the north side"  # noqa: S105  (of people who exist only in tests)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def site(settings, live_server: LiveServer) -> str:
    """The address of a live site with two worlds, plain (unhashed) static files and no cached population."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 is not looked at
    make_worlds()
    return live_server.url


class Visit:
    """One person's browser, and everything that went wrong in it."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.site = site
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.weight_bytes = 0  # of all bodies since a test set it to 0; here nothing is compressed
        self.page.on("response", self._on_response)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        context.on("request", self._on_request)

    def _on_console(self, message) -> None:
        is_expected = "Failed to load resource" in message.text  # a 400 or 404 that the test provokes
        if message.type in ("error", "warning") and not is_expected:
            self.complaints.append(f"console: {message.text}")

    def _on_response(self, response) -> None:
        self.weight_bytes += int(response.headers.get("content-length", 0))

    def _on_request(self, request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.site).netloc:
            self.complaints.append(f"request to elsewhere: {request.url}")

    def open(self, path: str) -> Page:
        self.page.goto(self.site + path)
        return self.page

    def log_in(self, email: str) -> Page:
        self.open("/account/log-in/")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in", exact=True).click()
        self.page.wait_for_url("**/characters/")
        return self.page


@pytest.fixture
def visit(chromium: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    """Open browsers with given widths and colour schemes; at the end none may have complained."""
    visits: list[tuple[Visit, BrowserContext]] = []

    def begin(width: int = 1440, scheme: str = "light", **options: object) -> Visit:
        size = {"width": width, "height": 900}
        context = chromium.new_context(viewport=size, color_scheme=scheme, **options)
        context.set_default_timeout(PATIENCE_MS)
        visits.append((Visit(context, site), context))
        return visits[-1][0]

    yield begin
    for _, context in visits:
        context.close()
    assert [complaint for one, _ in visits for complaint in one.complaints] == []


@pytest.fixture
def bob(site: str) -> Account:
    account = register_account(email="bob@example.org", password=PASSWORD, now=timezone.now())
    assert account is not None
    return account


def make_worlds() -> None:
    now = timezone.now()
    lantern = World.objects.create(
        slug="lanternrest",
        name="Lanternrest",
        tier="official",
        tagline="A harbour town at the edge of the marsh",
        description="The lamps of Lanternrest are lit before dusk, since the fog comes in with the tide.\n\n"
        "Eight places, two hours of walking, and something in the drowned tower that answers when you knock.",
        motd="The causeway is passable again. Mind the third arch.",
        gateway_url="ws://127.0.0.1:1/world-link/",
        last_report_at=now + timedelta(hours=1),
    )
    east = ZoneCluster.objects.create(world=lantern, name="east", udp_port=0, last_seen_at=now)
    place = {"world": lantern, "size": 200, "entry_x": 1, "entry_y": 1, "home_cluster": east}
    Zone.objects.create(
        slug="harbour",
        name="Harbour",
        is_entry=True,
        description="Wet stone, ropes, and gulls that have seen it all.",
        **place,
    )
    Zone.objects.create(slug="saltmarsh", name="Saltmarsh", description="Reeds to the horizon.", **place)
    World.objects.create(
        slug="ember-hollow",
        name="Ember Hollow",
        tier="open",
        edition="premium",
        tagline="Mining, smoke, and a choir",
        gateway_url="ws://127.0.0.1:1/world-link/",
    )
