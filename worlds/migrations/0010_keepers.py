"""Co-operators, texts and banners of world pages, bans."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("worlds", "0009_registering")]

    operations = []
