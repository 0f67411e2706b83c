"""Co-operators, texts and banners of world pages, bans, orders."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("worlds", "0009_registering"),
    ]

    operations = [
        migrations.AddField(
            model_name="world",
            name="appeals",
            field=models.TextField(
                blank=True, help_text="How somebody who was banned here can ask for it back.", max_length=600
            ),
        ),
        migrations.AddField(
            model_name="world",
            name="house_rules",
            field=models.TextField(
                blank=True, help_text="How people behave here.", max_length=4000, verbose_name="rules"
            ),
        ),
        migrations.AddField(
            model_name="world",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=24),
                blank=True,
                default=list,
                help_text="Of worlds.operating.texts.TAGS.",
                size=None,
            ),
        ),
        migrations.CreateModel(
            name="WorldBanner",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("image", models.BinaryField(help_text="WebP.")),
                (
                    "digest",
                    models.CharField(
                        help_text="Of the image; in its address, so that caches may keep it.", max_length=16
                    ),
                ),
                ("width", models.PositiveIntegerField()),
                ("height", models.PositiveIntegerField()),
                ("made_at", models.DateTimeField()),
                (
                    "world",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="banner", to="worlds.world"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KeeperInvitation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail address")),
                (
                    "role",
                    models.CharField(
                        choices=[("manager", "manager"), ("moderator", "moderator")], max_length=16
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="worlds.world",
                    ),
                ),
            ],
            options={
                "ordering": ["made_at"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("world"), models.F("email"), name="one_invitation_for_world_and_email"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorldKeeper",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("manager", "manager"), ("moderator", "moderator")], max_length=16
                    ),
                ),
                ("since", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="kept_worlds",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="keepers", to="worlds.world"
                    ),
                ),
            ],
            options={
                "ordering": ["since"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("world"), models.F("account"), name="one_role_for_world_and_account"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorldOrder",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("kick", "put a player out"),
                            ("announce", "tell all players"),
                            ("restart", "restart the world"),
                            ("postpone", "postpone the next restart"),
                            ("cancel", "cancel the next restart"),
                            ("policy", "restart policy"),
                        ],
                        max_length=16,
                    ),
                ),
                ("body", models.JSONField(default=dict, help_text="As worlds.uplink.orders has it.")),
                (
                    "about",
                    models.CharField(help_text="For people: whom or what it is about.", max_length=200),
                ),
                ("made_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(help_text="Not sent any more after this.")),
                (
                    "sent_at",
                    models.DateTimeField(
                        blank=True, help_text="First time that an answer carried it.", null=True
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("done", "Done"),
                            ("refused", "the world would not"),
                            ("expired", "the world did not answer in time"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                (
                    "told",
                    models.CharField(blank=True, help_text="What the world said to it.", max_length=200),
                ),
                (
                    "by",
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
                        on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="worlds.world"
                    ),
                ),
            ],
            options={
                "ordering": ["-made_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("outcome", "waiting")),
                        fields=["world", "made_at"],
                        name="open_orders",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WorldSanction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(choices=[("ban", "Ban"), ("mute", "Mute")], max_length=8)),
                (
                    "character_name",
                    models.CharField(help_text="All that keepers know of whom it is.", max_length=40),
                ),
                ("reason", models.CharField(help_text="Told to the player.", max_length=200)),
                ("until", models.DateTimeField(blank=True, help_text="Empty: for good.", null=True)),
                ("made_at", models.DateTimeField()),
                (
                    "ended_at",
                    models.DateTimeField(
                        blank=True, help_text="Taken back, or replaced by a newer one.", null=True
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sanctions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "by",
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
                        related_name="sanctions",
                        to="worlds.world",
                    ),
                ),
            ],
            options={
                "ordering": ["-made_at"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("world", "account", "kind"),
                        name="one_sanction_of_a_kind_in_force",
                    )
                ],
            },
        ),
    ]
