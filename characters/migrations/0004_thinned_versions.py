import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('characters', '0003_collecting'),
    ]

    operations = [
        migrations.CreateModel(
            name='ThinnedVersions',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first', models.BigIntegerField(help_text='Number of the first version of the run.')),
                ('last', models.BigIntegerField()),
                ('links', models.BinaryField(help_text='For each version: op_id (16 bytes) and hash of the state (32).')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='thinned', to='characters.line')),
            ],
            options={
                'verbose_name_plural': 'thinned versions',
                'ordering': ['line', '-first'],
            },
        ),
        migrations.AddConstraint(
            model_name='thinnedversions',
            constraint=models.UniqueConstraint(models.F('line'), models.F('first'), name='one_run_begins_there'),
        ),
        migrations.AddConstraint(
            model_name='thinnedversions',
            constraint=models.UniqueConstraint(models.F('line'), models.F('last'), name='one_run_ends_there'),
        ),
    ]
