"""Webhooks of operators."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("worlds", "0011_status"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("url", models.CharField(max_length=300, verbose_name="address")),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), size=None
                    ),
                ),
                (
                    "secret_number",
                    models.PositiveIntegerField(default=1, help_text="Raised by each rotation."),
                ),
                (
                    "old_secret_until",
                    models.DateTimeField(
                        blank=True,
                        help_text="Until then what is sent is signed with the secret before, too.",
                        null=True,
                    ),
                ),
                ("is_on", models.BooleanField(default=True)),
                ("stopped_because", models.CharField(blank=True, max_length=200)),
                (
                    "told_online",
                    models.BooleanField(
                        help_text="What was last sent of the world's being online.", null=True
                    ),
                ),
                ("made_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to="worlds.world",
                    ),
                ),
            ],
            options={
                "ordering": ["made_at"],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("event", models.CharField(max_length=40)),
                (
                    "source",
                    models.CharField(help_text="What it stands for; once for each webhook.", max_length=80),
                ),
                ("body", models.BinaryField(help_text="The JSON that is sent, the same bytes each time.")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_at", models.DateTimeField(blank=True, help_text="Of the next attempt.", null=True)),
                (
                    "status",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="HTTP status of the last answer.", null=True
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=200)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="worlds.webhook",
                    ),
                ),
            ],
            options={
                "ordering": ["-made_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")), fields=["next_at"], name="deliveries_due"
                    ),
                    models.Index(fields=["webhook", "-made_at"], name="deliveries_of_a_webhook"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("webhook"), models.F("source"), name="told_once_to_a_webhook"
                    )
                ],
            },
        ),
    ]
