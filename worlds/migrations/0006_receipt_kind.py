from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("worlds", "0005_items"),
    ]

    operations = [
        migrations.AddField(
            model_name="storedreceipt",
            name="kind",
            field=models.CharField(default="periodic", help_text="Of the write.", max_length=16),
        ),
    ]
