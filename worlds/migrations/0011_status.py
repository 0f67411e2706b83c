"""Availability of worlds, incidents."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("worlds", "0010_keepers")]

    operations = []
