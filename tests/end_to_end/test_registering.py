"""From "Register a world" to a player who walks on it, in a browser, with only what the pages say."""

import asyncio
import secrets
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import chromium_path
from tests.end_to_end.conftest import PASSWORD, patiently
from tests.end_to_end.stack import Stack
from waystone_client import Master, Player

pytestmark = pytest.mark.end_to_end

NAME = "Northern Ice"
SLUG = "northern-ice"
PATIENCE_MS = 60_000  # other tests have the machine, too
STEPS = 5


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()
        browser.close()


@pytest.fixture
def machine() -> Iterator[Stack]:
    """The operator's own machine, with nothing on it yet."""
    machine = Stack()
    yield machine
    machine.stop()


def test_a_new_operator_gets_from_registering_to_a_player_who_walks(
    stack: Stack, machine: Stack, page: Page
) -> None:
    _sign_up(page, stack.url)
    page.get_by_role("link", name="Run a world").first.click()
    page.get_by_role("link", name="Register a world").first.click()
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("In one line").fill("Ice, and what sleeps under it")
    page.get_by_role("button", name="Register it").click()
    expect(page.locator(".checks > .now")).to_contain_text("Your machine has called us")
    command = page.locator(".code code").first.inner_text()
    python, manage, up, *options = shlex.split(command)
    assert (python, manage, up) == ("python3", "manage.py", "up")
    assert stack.query("select is_listed from worlds_world where slug = %s", SLUG) == [(False,)]

    machine.start(*options)
    expect(page.get_by_text(f"{NAME} is open.")).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator(".checks > .done").count() == STEPS
    assert page.get_by_text(command).count() == 0, "a code that was used is not shown any more"
    assert stack.query("select is_listed, tier from worlds_world where slug = %s", SLUG) == [(True, "open")]
    page.get_by_role("link", name="See it as players do").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)

    with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop in this one
        thread.submit(asyncio.run, _walk(stack.url)).result()


def _sign_up(page: Page, url: str) -> None:
    page.goto(url)
    email = f"alice.{secrets.token_hex(6)}@waystone.example"
    page.get_by_role("link", name="Sign up").first.click()
    for button in ("Sign up", "Log in"):
        form = page.get_by_role("main")
        form.get_by_label("E-mail address").fill(email)
        form.get_by_label("Password").fill(PASSWORD)
        form.locator("form button[type=submit]").first.click()
        page.wait_for_url("**/log-in/**" if button == "Sign up" else "**/characters/**")


async def _walk(url: str) -> None:
    """Bob makes a character, enters the world, and takes some steps."""
    async with Master(url) as master:
        email = f"bob.{secrets.token_hex(6)}@waystone.example"
        await patiently(lambda: master.register(email, PASSWORD))
        await patiently(lambda: master.log_in(email, PASSWORD))
        letters = "".join(secrets.choice("abcdefgh") for _ in range(8)).capitalize()
        bob = await master.create_character(f"Bob {letters}")
        player = await Player.enter(master, SLUG, bob.name)
        x, y, _ = player.position
        await player.walk_to(x + 3, y + 3)
        assert abs(player.position[0] - x - 3) < 1
        assert (await player.log_out()).is_saved
        await player.leave()
