"""Webhooks: who may, what is told, how it is delivered. The other end is a real server on this machine."""

import hmac
import json
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest

from accounts.services import record_audit
from tests.integration.worlds.makers import make_account, make_world
from tests.integration.worlds.webhooks.hooks import ALL, deliver, hook_of
from worlds.models import Webhook, WebhookDelivery, WorldKeeper
from worlds.services import limit_world, suspend_world
from worlds.webhooks.delivering import delete_old_deliveries
from worlds.webhooks.gathering import gather
from worlds.webhooks.keeping import (
    WebhookRefused,
    WebhookStopped,
    make_webhook,
    resume,
    rotate_secret,
    secret_numbers,
    secret_of,
    send_test,
)
from worlds.webhooks.rules import MAX_OLD_SECRETS, MAX_WEBHOOKS, PAUSES
from worlds.webhooks.tasks import tell_webhooks

pytestmark = pytest.mark.django_db


def test_a_deed_arrives_signed_once(world, alice, now, receiver):
    hook = hook_of(world, alice, now, receiver)
    limit_world(world=world, reason="too much gold", by=None, now=now)
    for _ in range(2):  # gathered again: the constraint keeps it from being told twice
        gather(now)
        deliver(now)
    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert (told["type"], told["world"]) == ("world.limited", "lantern")
    assert told["data"] == {"deed": "world_limited", "reason": "too much gold"}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = b64decode(secret_of(hook).removeprefix("whsec_"))
    assert headers["webhook-signature"] == "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)


def test_what_is_not_chosen_or_was_before_or_is_another_worlds_is_not_told(world, alice, now, receiver):
    other = make_world("other", last_report_at=now)
    record_audit(action="world_limited", target="lantern", now=now - timedelta(seconds=1))
    make_webhook(world=world, url=receiver.url, events=["world.suspended"], by=alice, now=now)
    limit_world(world=world, reason="x", by=None, now=now)
    suspend_world(world=other, reason="x", by=None, now=now)
    assert gather(now) == 0


def test_addresses_of_people_are_not_told(world, alice, now, receiver):
    hook_of(world, alice, now, receiver)
    record_audit(
        action="keeper_joined",
        target="lantern",
        now=now,
        detail={"name": "bob@example.org", "role": "manager"},
    )
    gather(now)
    told = json.loads(bytes(WebhookDelivery.objects.get().body))
    assert told["data"] == {"deed": "keeper_joined", "role": "manager"}


def test_coming_and_going_is_told_once_each(world, alice, now, receiver):
    hook_of(world, alice, now, receiver)
    gather(now)
    later = now + timedelta(minutes=1)
    gather(later)
    gather(later)
    world.last_report_at = later
    world.save()
    gather(later + timedelta(seconds=1))
    events = list(WebhookDelivery.objects.order_by("made_at").values_list("event", flat=True))
    assert events == ["world.offline", "world.online"]


def test_back_off_keeps_id_and_bytes_then_gives_up_and_stops_the_webhook(world, alice, now, receiver):
    hook = hook_of(world, alice, now, receiver)
    send_test(world=world, webhook=hook.pk, by=alice, now=now)
    receiver.statuses = [500] * (len(PAUSES) + 1)
    at = now
    for pause in PAUSES:
        assert deliver(at) == 1
        assert deliver(at) == 0
        row = WebhookDelivery.objects.get()
        assert (row.state, row.status, row.next_at) == ("waiting", 500, at + pause)
        at += pause
    assert deliver(at) == 1
    row, hook = WebhookDelivery.objects.get(), Webhook.objects.get()
    assert (row.state, row.attempts, hook.is_on) == ("failed", len(PAUSES) + 1, False)
    assert "500" in hook.stopped_because
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert resume(world=world, webhook=hook.pk, by=alice, now=at).is_on


def test_gone_stops_at_once_and_a_redirect_is_not_followed(world, alice, now, receiver):
    hook = hook_of(world, alice, now, receiver)
    send_test(world=world, webhook=hook.pk, by=alice, now=now)
    receiver.statuses = [302, 410]
    deliver(now)
    assert WebhookDelivery.objects.get().status == 302
    deliver(now + timedelta(minutes=5))
    assert not Webhook.objects.get().is_on
    assert len(receiver.got) == 2


def test_nobody_there_is_an_attempt_that_failed(world, alice, now, receiver):
    hook = hook_of(world, alice, now, receiver)
    Webhook.objects.update(url="http://127.0.0.1:1/")
    send_test(world=world, webhook=hook.pk, by=alice, now=now)
    deliver(now)
    row = WebhookDelivery.objects.get()
    assert (row.state, row.status) == ("waiting", None)
    assert row.error.startswith("No answer")


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://10.0.0.7/", "https://[::1]/", "https://169.254.169.254/"]
)
def test_addresses_inside_of_the_network_are_not_connected_to(world, alice, now, settings, url):
    settings.PUBLIC_URL = "https://play.example.org"
    hook = make_webhook(world=world, url=url, events=ALL, by=alice, now=now)
    send_test(world=world, webhook=hook.pk, by=alice, now=now)
    deliver(now)
    row = WebhookDelivery.objects.get()
    assert row.status is None and "inside of some network" in row.error


def test_rotation_signs_with_all_for_a_day(world, alice, now, receiver):
    """Changed twice within a day: a receiver that has the first secret still knows us."""
    hook = hook_of(world, alice, now, receiver)
    first, hours = secret_of(hook), timedelta(hours=1)
    signatures = []
    for at in (now + hours, now + 2 * hours, now + 50 * hours):
        if at < now + 3 * hours:
            hook = rotate_secret(world=world, webhook=hook.pk, by=alice, now=at)
            assert secret_of(hook) != first
        send_test(world=world, webhook=hook.pk, by=alice, now=at)
        deliver(at)
        headers, body = receiver.got[-1]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = b64encode(hmac.digest(b64decode(first.removeprefix("whsec_")), signed, "sha256")).decode()
        signatures.append((len(headers["webhook-signature"].split()), wanted in headers["webhook-signature"]))
    assert signatures == [(2, True), (3, True), (1, False)]
    for _ in range(9):
        hook = rotate_secret(world=world, webhook=hook.pk, by=alice, now=at)
    assert len(secret_numbers(hook, at)) == MAX_OLD_SECRETS + 1


def test_a_stopped_webhook_takes_no_test(world, alice, now, receiver, client):
    hook = hook_of(world, alice, now, receiver)
    Webhook.objects.update(is_on=False)
    with pytest.raises(WebhookStopped):
        send_test(world=world, webhook=hook.pk, by=alice, now=now)
    client.force_login(alice)
    answer = client.post(f"/api/v1/worlds/lantern/webhooks/{hook.pk}/test/")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_stopped")
    page = f"/operate/lantern/webhooks/{hook.pk}/"
    assert "Switch it on again first" in client.post(f"{page}test/", follow=True).content.decode()
    assert "Send a test" not in client.get(page).content.decode()
    assert not WebhookDelivery.objects.exists()


def test_there_are_at_most_five_and_one_test_at_a_time(world, alice, now, receiver):
    hooks = [hook_of(world, alice, now, receiver) for _ in range(MAX_WEBHOOKS)]
    with pytest.raises(WebhookRefused, match="at most"):
        hook_of(world, alice, now, receiver)
    send_test(world=world, webhook=hooks[0].pk, by=alice, now=now)
    with pytest.raises(WebhookRefused, match="on its way"):
        send_test(world=world, webhook=hooks[0].pk, by=alice, now=now)


def test_the_task_gathers_and_sends_and_old_entries_go(world, alice, now, receiver):
    hook_of(world, alice, now, receiver)
    suspend_world(world=world, reason="x", by=None, now=now)
    tell_webhooks()
    assert json.loads(receiver.got[0][1])["type"] == "world.suspended"
    assert delete_old_deliveries(now + timedelta(days=29)) == 0
    assert delete_old_deliveries(now + timedelta(days=31)) == WebhookDelivery.objects.count() + 1


class TestWhoMay:
    """REST and pages, for every role."""

    @pytest.fixture(autouse=True)
    def _cast(self, world, alice, now, receiver):
        self.world, self.hook = world, hook_of(world, alice, now, receiver)
        bob, mallory = make_account("bob"), make_account("mallory")
        carol = make_account("carol")
        WorldKeeper.objects.create(world=world, account=bob, role="manager", since=now)
        WorldKeeper.objects.create(world=world, account=carol, role="moderator", since=now)
        make_world("mallorys", owner=mallory, last_report_at=now)
        self.people = {"owner": alice, "manager": bob, "moderator": carol, "stranger": mallory}

    @pytest.mark.parametrize(
        ("who", "status"),
        [(None, 401), ("owner", 200), ("manager", 200), ("moderator", 403), ("stranger", 404)],
    )
    def test_rest(self, client, who, status):
        if who:
            client.force_login(self.people[who])
        base = "/api/v1/worlds/lantern/webhooks/"
        for path in (base, f"{base}{self.hook.pk}/", f"{base}{self.hook.pk}/deliveries/"):
            assert client.get(path).status_code == status, path
        changed = 202 if status == 200 else status
        assert client.post(f"{base}{self.hook.pk}/test/").status_code == changed
        assert client.post(f"{base}{self.hook.pk}/secret/").status_code == status
        assert client.post(f"{base}{self.hook.pk}/resume/").status_code == status
        body = {"url": "https://bot.example.org/", "events": ["world.online"]}
        made = client.post(base, body, content_type="application/json")
        assert made.status_code == (201 if status == 200 else status)
        gone = client.delete(f"{base}{self.hook.pk}/")
        assert gone.status_code == (204 if status == 200 else status)
        assert Webhook.objects.filter(pk=self.hook.pk).exists() == (status != 200)

    @pytest.mark.parametrize(
        ("who", "status"),
        [(None, 302), ("owner", 200), ("manager", 200), ("moderator", 403), ("stranger", 404)],
    )
    def test_pages(self, client, who, status):
        if who:
            client.force_login(self.people[who])
        base = "/operate/lantern/webhooks/"
        assert client.get(base).status_code == status
        assert client.get(f"{base}{self.hook.pk}/").status_code == status
        moved = 302 if status == 200 else status
        assert client.post(f"{base}{self.hook.pk}/secret/").status_code == status
        for deed in ("test", "on", "remove"):
            assert client.post(f"{base}{self.hook.pk}/{deed}/").status_code == moved, deed
        assert Webhook.objects.filter(pk=self.hook.pk).exists() == (status != 200)

    def test_another_worlds_webhook_is_not_found(self, client):
        client.force_login(self.people["stranger"])
        base = f"/api/v1/worlds/mallorys/webhooks/{self.hook.pk}/"
        assert client.get(base).status_code == client.delete(base).status_code == 404
        assert client.post(f"{base}test/").status_code == client.post(f"{base}secret/").status_code == 404
        assert client.get(f"{base}deliveries/").status_code == 404

    def test_the_form_comes_back_filled(self, client):
        client.force_login(self.people["owner"])
        url = "http://bot.example.org/ with spaces"
        answer = client.post("/operate/lantern/webhooks/", {"url": url, "events": ["world.online"]})
        assert answer.status_code == 400
        page = answer.content.decode()
        assert url in page and "without spaces" in page and "checked" in page

    def test_a_secret_is_shown_once(self, client):
        client.force_login(self.people["owner"])
        made = client.post(
            "/operate/lantern/webhooks/", {"url": "https://bot.example.org/", "events": ["world.online"]}
        )
        assert made.status_code == 201 and b"whsec_" in made.content
        assert b"whsec_" not in client.get("/operate/lantern/webhooks/").content

    @pytest.mark.parametrize("query", ["state=maybe", "page=0", "serach=x"])
    def test_bad_parameters_are_named(self, client, query):
        client.force_login(self.people["owner"])
        answer = client.get(f"/api/v1/worlds/lantern/webhooks/{self.hook.pk}/deliveries/?{query}")
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == [query.split("=")[0]]
