"""Webhooks of many and after outages: nobody waits behind others, nothing is left out or told twice."""

from datetime import timedelta

import pytest

from accounts.services import record_audit
from tests.integration.worlds.makers import make_account, make_world
from tests.integration.worlds.webhooks.hooks import deliver, hook_of
from worlds.models import Webhook, WebhookDelivery
from worlds.webhooks import delivering
from worlds.webhooks.delivering import note
from worlds.webhooks.gathering import gather
from worlds.webhooks.keeping import resume, send_test
from worlds.webhooks.rules import MAX_WEBHOOKS, PAUSES

pytestmark = pytest.mark.django_db


def backlog(hook, number, at):
    rows = [
        WebhookDelivery(
            webhook=hook, event="world.limited", source=f"b:{n}", body=b"{}", made_at=at, next_at=at
        )
        for n in range(number)
    ]
    WebhookDelivery.objects.bulk_create(rows)


def test_an_older_backlog_of_others_keeps_nobody_waiting(world, alice, now, receiver, monkeypatch):
    """One world's five webhooks, each with more that waits than a round takes, and each older."""
    sent = []

    def send(delivery, at):
        sent.append(delivery.webhook.world_id)
        return delivering.Outcome(204)

    monkeypatch.setattr(delivering, "send", send)
    mallorys = make_world("mallorys", owner=make_account("mallory"), last_report_at=now)
    for _ in range(MAX_WEBHOOKS):
        hook = hook_of(mallorys, alice, now, receiver)
        backlog(hook, delivering.AT_ONCE * delivering.OF_ONE_WEBHOOK, now - timedelta(hours=1))
    backlog(hook_of(world, alice, now, receiver), 3, now)
    deliver(now)
    assert (sent.count(mallorys.pk), sent.count(world.pk)) == (delivering.OF_ONE_WORLD, 3)


def test_what_the_receiver_alone_refuses_stops_nothing(world, alice, now, receiver):
    """One event that its program cannot take, while it takes the others: only that one is given up."""
    hook = hook_of(world, alice, now, receiver)
    backlog(hook, 1, now)
    WebhookDelivery.objects.update(attempts=len(PAUSES))
    other = send_test(world=world, webhook=hook.pk, by=alice, now=now)
    WebhookDelivery.objects.filter(pk=other.pk).update(state="delivered", ended_at=now, next_at=None)
    receiver.statuses = [400]
    deliver(now)
    assert Webhook.objects.get().is_on
    assert WebhookDelivery.objects.get(source="b:0").state == "failed"


def test_a_webhook_may_go_while_something_is_on_its_way_there(world, alice, now, receiver, monkeypatch):
    hook, other = hook_of(world, alice, now, receiver), hook_of(world, alice, now, receiver)
    for each in (hook, other):
        send_test(world=world, webhook=each.pk, by=alice, now=now)
    claimed = delivering._claim(now)
    assert len(claimed) == 2
    Webhook.objects.get(pk=hook.pk).delete()
    for delivery in claimed:
        note(delivery, delivering.Outcome(204), now)
    assert WebhookDelivery.objects.get().state == "delivered"


def test_after_an_outage_what_was_done_is_told_and_once(world, alice, now, receiver):
    hook = hook_of(world, alice, now, receiver)
    for hours in (1, 5):
        record_audit(action="world_limited", target="lantern", now=now + timedelta(hours=hours))
    later = now + timedelta(hours=6)
    assert gather(later) == 3  # both, and that the world is not online
    assert gather(later) == 0
    hook.refresh_from_db()
    assert hook.looked_at == later


def test_what_was_done_while_it_was_off_or_long_before_is_not_told(world, alice, now, receiver):
    stopped, other = (hook_of(world, alice, now, receiver) for _ in range(2))
    Webhook.objects.filter(pk=stopped.pk).update(is_on=False)
    for days in (0, 8):
        at = now + timedelta(days=days, hours=1)
        record_audit(action="world_limited", target="lantern", now=at)
    later = now + timedelta(days=9)
    resume(world=world, webhook=stopped.pk, by=alice, now=later)
    gather(later)
    told = WebhookDelivery.objects.filter(event="world.limited")
    assert [delivery.webhook_id for delivery in told] == [other.pk]


def test_gathering_reads_no_reports(world, alice, now, receiver, django_assert_num_queries):
    """A world's row has its report and its page: some 100 KB, every 5 s, for each world with a webhook."""
    hook_of(world, alice, now, receiver)
    with django_assert_num_queries(5) as queries:
        gather(now)
    assert not [query for query in queries if '"report"' in query["sql"]]


def test_gathering_costs_the_same_however_many_there_are(
    world, alice, now, receiver, django_assert_num_queries
):
    hook_of(world, alice, now, receiver)
    record_audit(action="world_limited", target="lantern", now=now)
    with django_assert_num_queries(6):  # 3 reads, a savepoint and its end, the deliveries
        gather(now)
    for _ in range(3):
        hook_of(world, alice, now, receiver)
        record_audit(action="world_limited", target="lantern", now=now)
    with django_assert_num_queries(6):
        gather(now)


def test_one_webhook_that_hangs_does_not_take_all_senders(world, alice, now, receiver, monkeypatch):
    hook, other = hook_of(world, alice, now, receiver), hook_of(world, alice, now, receiver)
    sent = []

    def send(delivery, at):
        sent.append(delivery.webhook_id)
        return delivering.Outcome(204)

    monkeypatch.setattr(delivering, "send", send)
    for number in range(10):
        row = {"event": "test", "body": b"{}", "made_at": now, "next_at": now, "source": f"test:{number}"}
        WebhookDelivery.objects.create(webhook=hook, **row)
    WebhookDelivery.objects.create(webhook=other, **{**row, "next_at": now, "made_at": now})
    deliver(now)
    assert (sent.count(hook.pk), sent.count(other.pk)) == (delivering.OF_ONE_WEBHOOK, 1)
