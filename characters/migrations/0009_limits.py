"""What an edition limits in characters."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("characters", "0008_saves")]

    operations = []
