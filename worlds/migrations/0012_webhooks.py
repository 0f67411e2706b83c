"""Webhooks of operators."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("worlds", "0011_status")]

    operations = []
