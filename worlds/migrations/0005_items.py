import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("worlds", "0004_world_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="zone",
            name="chests",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="Chests, and what may be in them.",
            ),
        ),
        migrations.AddField(
            model_name="zone",
            name="vendors",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="Who buys and sells here, what, and for how much.",
            ),
        ),
        migrations.CreateModel(
            name="ItemKind",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
                                "Use small letters, digits and single hyphens, and start with a letter.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                (
                    "stack_size",
                    models.PositiveIntegerField(default=1, help_text="How many lie on one stack."),
                ),
                ("value", models.PositiveIntegerField(default=0, help_text="Coins.")),
                ("weight", models.FloatField(default=0, help_text="kg.")),
                (
                    "is_valuable",
                    models.BooleanField(default=False, help_text="Each has an id, and one owner."),
                ),
                (
                    "slot",
                    models.CharField(
                        blank=True, help_text="Where it is worn; empty: nowhere.", max_length=16
                    ),
                ),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="item_kinds",
                        to="worlds.world",
                    ),
                ),
            ],
            options={
                "ordering": ["slug"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("world"), models.F("slug"), name="item_slug_unique_in_world"
                    )
                ],
            },
        ),
    ]
