"""What an edition limits in a world: zones that ask for Premium, and the limits of those who play or wait."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("worlds", "0012_webhooks")]

    operations = [
        migrations.AddField(
            model_name="zone",
            name="edition",
            field=models.CharField(
                choices=[("free", "Free"), ("premium", "Premium")],
                default="free",
                help_text="Whoever has less is not let in, by a way or on entering the world.",
                max_length=16,
                verbose_name="edition needed",
            ),
        ),
        migrations.AddField(
            model_name="playsession",
            name="limits",
            field=models.JSONField(
                blank=True, default=dict, help_text="Of the edition, as the master last told them."
            ),
        ),
        migrations.AddField(
            model_name="playsession",
            name="has_gap",
            field=models.BooleanField(
                default=True,
                help_text="The player may have seen more in that stay than is saved: a cluster died.",
            ),
        ),
        migrations.AddField(
            model_name="waitingplayer",
            name="limits",
            field=models.JSONField(
                blank=True, default=dict, help_text="Of the edition, as the master last told them."
            ),
        ),
    ]
