"""What an edition limits in a world."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("worlds", "0012_webhooks")]

    operations = []
