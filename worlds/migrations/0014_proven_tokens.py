"""Both resume tokens of a session outlive the daemon: the newest, and the one that the client has shown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("worlds", "0013_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="playsession",
            name="proven_digest",
            field=models.BinaryField(
                default=bytes,
                help_text="Of the one that the client has shown. Empty: the newest.",
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="waitingplayer",
            name="proven_digest",
            field=models.BinaryField(
                default=bytes,
                help_text="Of the one that the client has shown. Empty: the newest.",
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="playsession",
            name="resume_digest",
            field=models.BinaryField(help_text="SHA-256 of the newest resume token.", max_length=32),
        ),
        migrations.AlterField(
            model_name="waitingplayer",
            name="resume_digest",
            field=models.BinaryField(help_text="SHA-256 of the newest resume token.", max_length=32),
        ),
    ]
