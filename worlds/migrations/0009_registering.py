"""Registering a world: set-up checks."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("worlds", "0008_upkeep")]

    operations = []
