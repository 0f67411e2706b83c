"""Webhooks: where a world's keepers want to be told of what happens to it, and what was sent there."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from worlds.models.world import World


class Webhook(models.Model):
    """An address of a world's keepers. Its secret is derived (worlds/webhooks/signing.py), not kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    world = models.ForeignKey(World, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField("address", max_length=300)
    events = ArrayField(models.CharField(max_length=40))
    secret_number = models.PositiveIntegerField(default=1, help_text="Raised by each rotation.")
    old_secret_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then what is sent is signed with the secret before, too."
    )
    old_secrets = models.PositiveSmallIntegerField(
        default=1, help_text="How many secrets before the newest sign, too, until then."
    )
    is_on = models.BooleanField(default=True)
    stopped_because = models.CharField(max_length=200, blank=True)
    told_online = models.BooleanField(null=True, help_text="What was last sent of the world's being online.")
    looked_at = models.DateTimeField(
        null=True, help_text="Until then the audit was looked at for it; about a minute late."
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["made_at"]

    def __str__(self) -> str:
        return f"{self.world}: {self.url}"


class WebhookDelivery(models.Model):
    """One event on its way to one webhook. Its id is sent, so that a receiver knows repeats."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    source = models.CharField(max_length=80, help_text="What it stands for; once for each webhook.")
    body = models.BinaryField(help_text="The JSON that is sent, the same bytes each time.")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    made_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Of the next attempt.")
    status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="HTTP status of the last answer."
    )
    error = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("webhook", "source", name="told_once_to_a_webhook")]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="deliveries_due"),
            models.Index(fields=["webhook", "-made_at"], name="deliveries_of_a_webhook"),
        ]
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return f"{self.event} for {self.webhook_id}: {self.state}"
