"""Purchases, gift codes, refunds."""

import uuid
from decimal import Decimal

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_leaving")]

    operations = [
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('variant', models.CharField(max_length=255)),
                ('status', models.CharField(choices=[('waiting', 'Waiting for confirmation'), ('preauth', 'Pre-authorized'), ('confirmed', 'Confirmed'), ('rejected', 'Rejected'), ('refunded', 'Refunded'), ('error', 'Error'), ('input', 'Input'), ('cancelled', 'Cancelled')], default='waiting', max_length=10)),
                ('fraud_status', models.CharField(choices=[('unknown', 'Unknown'), ('accept', 'Passed'), ('reject', 'Rejected'), ('review', 'Review')], default='unknown', max_length=10, verbose_name='fraud check')),
                ('fraud_message', models.TextField(blank=True, default='')),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('modified', models.DateTimeField(auto_now=True)),
                ('transaction_id', models.CharField(blank=True, max_length=255)),
                ('currency', models.CharField(max_length=10)),
                ('total', models.DecimalField(decimal_places=2, default='0.0', max_digits=9)),
                ('delivery', models.DecimalField(decimal_places=2, default='0.0', max_digits=9)),
                ('tax', models.DecimalField(decimal_places=2, default='0.0', max_digits=9)),
                ('description', models.TextField(blank=True, default='')),
                ('billing_email', models.EmailField(blank=True, max_length=254)),
                ('extra_data', models.TextField(blank=True, default='')),
                ('message', models.TextField(blank=True, default='')),
                ('token', models.CharField(blank=True, default='', max_length=36)),
                ('captured_amount', models.DecimalField(decimal_places=2, default='0.0', max_digits=9)),
                ('recipient', models.CharField(choices=[('buyer', "the buyer's own account"), ('email', 'whoever has an e-mail address'), ('code', 'a gift code')], max_length=8)),
                ('recipient_email', models.EmailField(blank=True, help_text='Whom it waits for, if it is for an address.', max_length=254)),
                ('product', models.CharField(max_length=40)),
                ('days', models.PositiveIntegerField(blank=True, help_text='Of Premium; none: for good.', null=True)),
                ('standing', models.CharField(choices=[('open', 'not paid yet'), ('pending', 'on its way'), ('failed', 'not paid'), ('held', 'held: not the amount asked for'), ('paid', 'paid'), ('refunded', 'refunded'), ('disputed', 'disputed'), ('charged_back', 'charged back')], default='open', max_length=12)),
                ('intent', models.CharField(blank=True, db_index=True, help_text="The provider's own id.", max_length=255)),
                ('refunded_amount', models.DecimalField(decimal_places=2, default=Decimal('0'), max_digits=9)),
                ('concern', models.CharField(blank=True, help_text='What staff should look at.', max_length=200)),
                ('paid_at', models.DateTimeField(blank=True, null=True)),
                ('account', models.ForeignKey(blank=True, help_text='Who has what was bought; nobody while it waits for an address, or is a code.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments_received', to=settings.AUTH_USER_MODEL)),
                ('buyer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created'],
            },
        ),
        migrations.CreateModel(
            name='GiftCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('digest', models.CharField(help_text='SHA-256 of the code.', max_length=64, unique=True)),
                ('days', models.PositiveIntegerField(blank=True, help_text='Of Premium; none: for good.', null=True)),
                ('note', models.CharField(blank=True, help_text='What they are for.', max_length=120)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('ends_at', models.DateTimeField(blank=True, help_text='Not to be redeemed from then on.', null=True)),
                ('redeemed_at', models.DateTimeField(blank=True, null=True)),
                ('voided_at', models.DateTimeField(blank=True, null=True)),
                ('made_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('redeemed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gift_codes', to=settings.AUTH_USER_MODEL)),
                ('payment', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gift_code', to='accounts.payment')),
            ],
            options={
                'ordering': ['-created_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='PaymentNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=20)),
                ('notice_id', models.CharField(help_text="The provider's id: told twice, it is one.", max_length=200)),
                ('kind', models.CharField(max_length=16)),
                ('subject', models.CharField(help_text='Which charge, refund or dispute.', max_length=255)),
                ('intent', models.CharField(blank=True, db_index=True, max_length=255)),
                ('status', models.CharField(blank=True, max_length=40)),
                ('amount', models.DecimalField(decimal_places=2, default=Decimal('0'), max_digits=12)),
                ('currency', models.CharField(blank=True, max_length=10)),
                ('happened_at', models.DateTimeField()),
                ('received_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('payment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='accounts.payment')),
            ],
            options={
                'ordering': ['happened_at', 'pk'],
            },
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['standing', 'created'], name='payment_by_standing'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['recipient_email'], name='payment_waits_for'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(fields=('token',), name='payment_token_unique'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('redeemed_at__isnull', True), ('redeemed_by__isnull', True)), models.Q(('redeemed_at__isnull', False), ('redeemed_by__isnull', False)), _connector='OR'), name='gift_code_redeemed_by_somebody_at_an_instant'),
        ),
        migrations.AddConstraint(
            model_name='paymentnotice',
            constraint=models.UniqueConstraint(fields=('provider', 'notice_id'), name='payment_notice_once'),
        ),
    ]
