import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("characters", "0002_provenance"),
        ("worlds", "0004_world_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="incarnation",
            name="collects_since",
            field=models.DateTimeField(
                blank=True, help_text="Worlds are asked for what was accepted since then.", null=True
            ),
        ),
        migrations.AddField(
            model_name="incarnation",
            name="closed_at",
            field=models.DateTimeField(
                blank=True, help_text="Since then the master is in service again.", null=True
            ),
        ),
        migrations.CreateModel(
            name="WaitingOffer",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("line", models.UUIDField(unique=True)),
                ("version", models.BigIntegerField()),
                ("state", models.BinaryField()),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="worlds.world"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Reoffer",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "replayed",
                    models.PositiveIntegerField(default=0, help_text="Versions that were taken back."),
                ),
                (
                    "completed_at",
                    models.DateTimeField(blank=True, help_text="It had offered all it holds.", null=True),
                ),
                (
                    "incarnation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reoffers",
                        to="characters.incarnation",
                    ),
                ),
                (
                    "world",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="worlds.world"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("incarnation"),
                        models.F("world"),
                        name="one_reoffer_of_a_world_for_an_incarnation",
                    )
                ],
            },
        ),
    ]
