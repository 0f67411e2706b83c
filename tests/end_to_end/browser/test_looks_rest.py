"""How the pages of API tokens and webhooks look and are used; pictured in artifacts/pages/."""

import pytest
from django.utils import timezone

from accounts.models import Account, ApiToken
from tests.end_to_end.browser.conftest import PASSWORD
from tests.end_to_end.browser.looking import look_at, picture
from worlds.models import Webhook, World
from worlds.webhooks.keeping import make_webhook, new_delivery

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_tokens_and_webhooks_are_made_and_looked_at(visit, bob: Account):
    now = timezone.now()
    world = World.objects.get(slug="lanternrest")
    World.objects.filter(pk=world.pk).update(owner=bob)
    browser = visit(reduced_motion="reduce")
    browser.log_in(bob.email).wait_for_load_state("networkidle")

    page = look_at(browser, "api-tokens-none", "/account/api-tokens/", keyboard=True)
    page.get_by_label("What is it for?").fill("Guild calendar")
    page.get_by_role("button", name="Make this token").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Choose at least one thing").wait_for()
    assert page.get_by_label("What is it for?").input_value() == "Guild calendar"
    picture(page, "api-tokens-wrong")
    page.get_by_label("See my characters").check()
    page.get_by_role("button", name="Make this token").click()
    page.get_by_text("Copy it now").wait_for()
    assert ApiToken.objects.get().scopes == ["characters:read"]
    picture(page, "api-tokens-made")
    look_at(browser, "api-tokens", "/account/api-tokens/")

    base = "/operate/lanternrest/webhooks/"
    page = look_at(browser, "webhooks-none", base, keyboard=True)
    page.get_by_role("textbox", name="Address").fill("bot.example.org")
    page.get_by_label("The world is online", exact=True).check()
    page.get_by_role("button", name="Add this address").click()
    page.get_by_text("The address begins with").wait_for()
    picture(page, "webhooks-wrong")
    page.get_by_role("textbox", name="Address").fill("https://bot.example.org/waystone/lanternrest")
    page.get_by_role("button", name="Add this address").click()
    page.get_by_text("Your new secret").wait_for()
    picture(page, "webhooks-made")
    url = "https://a-very-long-name-of-a-host.of-somebody.example.org/with/a/long/path/that/goes/on/and/on"
    make_webhook(world=world, url=url, events=["world.offline"], by=bob, now=now)
    look_at(browser, "webhooks", base)
    hook = Webhook.objects.select_related("world").get(url=url)
    for state, status, error in (
        ("delivered", 204, ""),
        ("waiting", 500, "It answered 500, not 200 to 299."),
        ("failed", None, "No answer: timed out"),
    ):
        row = new_delivery(hook, "world.offline", state, {}, now, now)
        row.state, row.status, row.error, row.attempts = state, status, error, 3
        row.save()
    Webhook.objects.filter(pk=hook.pk).update(is_on=False, stopped_because="No answer: timed out")
    look_at(browser, "webhook", f"{base}{hook.pk}/", keyboard=True)
