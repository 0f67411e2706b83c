from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("worlds", "0002_cluster_defaults"),
    ]

    operations = [
        migrations.AddField(
            model_name="zone",
            name="walls",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="Lines that take the sight: [x, y, x, y], metres.",
            ),
        ),
    ]
