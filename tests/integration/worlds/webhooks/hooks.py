"""Webhooks of tests, which want every event, and rounds of delivering at one instant."""

from worlds.webhooks.delivering import deliver_due
from worlds.webhooks.keeping import make_webhook
from worlds.webhooks.rules import EVENTS

ALL = list(EVENTS)


def hook_of(world, alice, now, receiver, **fields):
    return make_webhook(world=world, url=receiver.url, events=ALL, by=alice, now=now, **fields)


def deliver(now):
    return deliver_due(now, lambda: now)
