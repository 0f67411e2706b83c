"""Registering a world: set-up checks."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("worlds", "0008_upkeep")]

    operations = [
        migrations.CreateModel(
            name="WorldSetup",
            fields=[
                (
                    "world",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="setup",
                        serialize=False,
                        to="worlds.world",
                    ),
                ),
                (
                    "address",
                    models.CharField(
                        blank=True,
                        help_text="By which players reach the machine; empty: where it calls from.",
                        max_length=120,
                    ),
                ),
                (
                    "code_salt",
                    models.CharField(
                        blank=True,
                        help_text="Makes the code, together with the deployment's secret key.",
                        max_length=32,
                    ),
                ),
                ("code_until", models.DateTimeField(blank=True, null=True)),
                ("code_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "called_at",
                    models.DateTimeField(blank=True, help_text="Some machine has tried to join.", null=True),
                ),
                (
                    "call_fault",
                    models.CharField(
                        blank=True, help_text="Why it could not; empty: it could.", max_length=300
                    ),
                ),
                (
                    "checked_at",
                    models.DateTimeField(blank=True, help_text="Last look at gateway and UDP.", null=True),
                ),
                (
                    "check_at",
                    models.DateTimeField(
                        blank=True, help_text="When to look next; empty: not wanted.", null=True
                    ),
                ),
                (
                    "looks",
                    models.PositiveIntegerField(default=0, help_text="In vain, one after the other."),
                ),
                (
                    "gateway_at",
                    models.DateTimeField(blank=True, help_text="The gateway answered then.", null=True),
                ),
                ("gateway_fault", models.CharField(blank=True, max_length=300)),
                (
                    "udp_at",
                    models.DateTimeField(blank=True, help_text="A zone cluster answered then.", null=True),
                ),
                ("udp_fault", models.CharField(blank=True, max_length=300)),
                (
                    "udp_addresses",
                    models.CharField(blank=True, help_text="That were tried.", max_length=300),
                ),
                (
                    "zones",
                    models.PositiveIntegerField(default=0, help_text="That the world says are open."),
                ),
                (
                    "zone_at",
                    models.DateTimeField(blank=True, help_text="The first zone was open then.", null=True),
                ),
                (
                    "opened_at",
                    models.DateTimeField(
                        blank=True, help_text="All steps were done for the first time.", null=True
                    ),
                ),
            ],
        ),
    ]
