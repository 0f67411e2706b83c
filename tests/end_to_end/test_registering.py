"""From "Register a world" to a player who walks on it, in a browser, with only what the pages say."""

import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import chromium_path
from tests.end_to_end.conftest import PASSWORD
from tests.end_to_end.stack import ROOT, Stack

pytestmark = pytest.mark.end_to_end

NAME = "Northern Ice"
SLUG = "northern-ice"
PATIENCE_MS = 60_000  # other tests have the machine, too
STEPS = 5


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


def _new_page(browser: Browser) -> Page:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


@pytest.fixture
def page(browser: Browser) -> Page:
    return _new_page(browser)


@pytest.fixture
def stranger(browser: Browser) -> Page:
    """Somebody else's browser."""
    return _new_page(browser)


@pytest.fixture
def machine() -> Iterator[Stack]:
    """The operator's own machine, with nothing on it yet."""
    machine = Stack()
    yield machine
    machine.stop()


def test_a_new_operator_gets_from_registering_to_a_player_who_walks(
    stack: Stack,
    machine: Stack,
    page: Page,
    stranger: Page,
    record_property: Callable[[str, object], None],
) -> None:
    began = time.monotonic()
    _sign_up(page, stack.url, "alice")
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

    _walk(stranger, stack)
    record_property("seconds from registering to walking", round(time.monotonic() - began))


def _sign_up(page: Page, url: str, name: str) -> str:
    """Sign up and log in. Returns: the address."""
    page.goto(url)
    email = f"{name}.{secrets.token_hex(6)}@waystone.example"
    page.get_by_role("link", name="Sign up").first.click()
    for button in ("Sign up", "Log in"):
        form = page.get_by_role("main")
        form.get_by_label("E-mail address").fill(email)
        form.get_by_label("Password").fill(PASSWORD)
        form.locator("form button[type=submit]").first.click()
        page.wait_for_url("**/log-in/**" if button == "Sign up" else "**/characters/**")
    return email


def _walk(page: Page, stack: Stack) -> None:
    """Bob signs up, makes a character, and plays it by the command on the world's page."""
    email = _sign_up(page, stack.url, "bob")
    name = "Bob " + "".join(secrets.choice("abcdefgh") for _ in range(8)).capitalize()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make this character").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.goto(f"{stack.url}/worlds/{SLUG}/")
    python, manage, *options = shlex.split(page.locator(".code code").first.inner_text())
    assert (python, manage) == ("python3", "manage.py")
    answers = ["y", email, PASSWORD, name, "where", "n 4", "where", "quit"]
    played = subprocess.run(
        [sys.executable, manage, *options],
        cwd=ROOT,
        env=stack.environment,
        input="\n".join(answers) + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_MS / 1000,
        check=False,
    )
    assert played.returncode == 0, played.stderr + played.stdout
    steps = re.findall(r"[\d.]+ m east and ([\d.]+) m north", played.stdout)
    assert len(steps) == 2 and float(steps[1]) - float(steps[0]) > 2, played.stdout
    assert "Everything is saved." in played.stdout
