"""Webhooks know until when the audit was looked at for them, and how many secrets still sign."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("worlds", "0014_proven_tokens"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="looked_at",
            field=models.DateTimeField(
                help_text="Until then the audit was looked at for it; about a minute late.", null=True
            ),
        ),
        migrations.AddField(
            model_name="webhook",
            name="old_secrets",
            field=models.PositiveSmallIntegerField(
                default=1, help_text="How many secrets before the newest sign, too, until then."
            ),
        ),
    ]
