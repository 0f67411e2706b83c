"""What an edition limits in characters: which of them the player wants open."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("characters", "0008_saves")]

    operations = [
        migrations.AddField(
            model_name="character",
            name="kept_open_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Set: the player wants this one open "
                "when there are more than the edition has slots.",
                null=True,
            ),
        ),
    ]
