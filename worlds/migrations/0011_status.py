"""Availability of worlds, incidents."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

STATES = [
    ("looking", "we are looking into it"),
    ("known", "we know what it is"),
    ("watching", "mended; we keep an eye on it"),
    ("over", "it is over"),
]
IMPACTS = [
    ("notice", "nothing is out of order"),
    ("minor", "some things do not work, or slowly"),
    ("major", "most people cannot play"),
    ("planned", "work that was announced"),
]


def key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("worlds", "0010_keepers"),
    ]

    operations = [
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", key()),
                ("title", models.CharField(max_length=120)),
                ("impact", models.CharField(choices=IMPACTS, default="minor", max_length=16)),
                ("state", models.CharField(choices=STATES, default="looking", max_length=16)),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "worlds",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Which it concerns; none: the whole platform.",
                        related_name="incidents",
                        to="worlds.world",
                    ),
                ),
            ],
            options={"ordering": ["-began_at"]},
        ),
        migrations.CreateModel(
            name="IncidentUpdate",
            fields=[
                ("id", key()),
                ("at", models.DateTimeField()),
                ("state", models.CharField(choices=STATES, max_length=16)),
                ("text", models.TextField(max_length=1000)),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="updates",
                        to="worlds.incident",
                    ),
                ),
            ],
            options={"ordering": ["-at", "-pk"]},
        ),
        migrations.CreateModel(
            name="Availability",
            fields=[
                ("id", key()),
                (
                    "part",
                    models.CharField(
                        blank=True, help_text="Of the platform; empty for a world.", max_length=16
                    ),
                ),
                ("span", models.CharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=4)),
                ("at", models.DateTimeField(help_text="Begin of the hour or day, UTC.")),
                (
                    "last_at",
                    models.DateTimeField(help_text="The minute that was counted last: none counts twice."),
                ),
                ("was_up", models.BooleanField(help_text="In the minute that was counted last.")),
                ("samples", models.PositiveIntegerField(help_text="Minutes that were counted.")),
                ("up", models.PositiveIntegerField(help_text="Of these, in which players could enter.")),
                (
                    "planned",
                    models.PositiveIntegerField(help_text="Of these, in which they could not, as announced."),
                ),
                (
                    "players",
                    models.PositiveBigIntegerField(help_text="Sum over the minutes, counted by leases."),
                ),
                ("most", models.PositiveIntegerField(help_text="Most players in a minute.")),
                (
                    "world",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="availability",
                        to="worlds.world",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "availability",
                "ordering": ["-at"],
                "indexes": [models.Index(fields=["span", "at"], name="old_availability")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("world", "part", "span", "at"),
                        name="one_availability_of_world_and_span",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
    ]
