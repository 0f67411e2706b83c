from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("characters", "0006_valuables")]

    operations = [
        migrations.AddField(
            model_name="version",
            name="exchange",
            field=models.UUIDField(blank=True, help_text="The trade or mail that it was part of.", null=True),
        ),
        migrations.AddField(
            model_name="version",
            name="letter",
            field=models.UUIDField(blank=True, help_text="The letter that it posted or emptied.", null=True),
        ),
        migrations.AddIndex(
            model_name="version",
            index=models.Index(
                condition=models.Q(("exchange__isnull", False)),
                fields=["exchange"],
                name="versions_of_exchanges",
            ),
        ),
    ]
