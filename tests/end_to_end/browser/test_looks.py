"""How the pages look: no sideways scrolling on a phone, weight, and pictures of each in artifacts/pages/."""

from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Account
from characters.services import create_character

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PICTURES = Path(__file__).parents[3] / "artifacts" / "pages"
FOR_ALL = {
    "home": "/",
    "worlds": "/worlds/",
    "worlds-none": "/worlds/?search=nothing+like+this",
    "world": "/worlds/lanternrest/",
    "world-asleep": "/worlds/ember-hollow/",
    "how-to-play": "/how-to-play/",
    "sign-up": "/account/sign-up/",
    "log-in": "/account/log-in/",
    "lost-password": "/account/password/lost/",
    "letter-sent": "/account/password/lost/sent/",
    "bad-link": "/account/password/new/1-bad-link/",
    "bad-confirmation": "/account/e-mail/confirm/bad/",
    "confirm-sent": "/account/e-mail/sent/",
    "closed": "/account/closed/",
    "password-set": "/account/password/new/done/",
    "not-found": "/nothing/",
}
FOR_BOB = {
    "my-characters": "/characters/",
    "account": "/account/",
    "change-password": "/account/password/",
    "log-out": "/account/log-out/",
    "world-logged-in": "/worlds/lanternrest/",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_fits_and_is_pictured(visit, bob: Account, width: int, scheme: str):
    PICTURES.mkdir(parents=True, exist_ok=True)
    browser = visit(width=width, scheme=scheme, reduced_motion="reduce")
    for name, path in FOR_ALL.items():
        look_at(browser, name, path, f"{width}-{scheme}")
    browser.log_in(bob.email)
    look_at(browser, "my-characters-none", "/characters/", f"{width}-{scheme}")
    create_character(account=bob, name="Tilda Fen", by=bob, now=timezone.now())
    create_character(account=bob, name="Orrin", by=bob, now=timezone.now())
    for name, path in FOR_BOB.items():
        look_at(browser, name, path, f"{width}-{scheme}")


def look_at(browser, name: str, path: str, suffix: str) -> None:
    browser.weight_bytes = 0
    page = browser.open(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}-{suffix}.png", full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, f"{name} at {suffix} scrolls sideways by {wide} px"
    assert browser.weight_bytes < 100_000, f"{name} weighs {browser.weight_bytes} bytes"
    assert page.locator("h1").count() == 1, f"{name} needs one heading"
