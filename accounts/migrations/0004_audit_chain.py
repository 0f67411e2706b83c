"""The audit record as a hash chain."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_shop")]

    operations = []
