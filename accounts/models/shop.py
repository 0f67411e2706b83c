"""What was bought: payments, what their provider has told of them, gift codes."""

import uuid
from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from payments import PurchasedItem
from payments.models import BasePayment


class Payment(BasePayment):
    """One purchase. django-payments' row, without what we do not need to know of people.

    What it bought is copied from the price list when it is made: later prices change nothing of it.
    `standing` follows from its notices (accounts.shop.standing) and is accounts.shop.booking's to write.
    """

    # Not kept: fields of BasePayment that only a shop with parcels needs.
    billing_first_name = None
    billing_last_name = None
    billing_address_1 = None
    billing_address_2 = None
    billing_city = None
    billing_postcode = None
    billing_country_code = None
    billing_country_area = None
    billing_phone = None
    customer_ip_address = None

    class Standing(models.TextChoices):
        OPEN = "open", "not paid yet"
        PENDING = "pending", "on its way"
        FAILED = "failed", "not paid"
        HELD = "held", "held: not the amount asked for"
        PAID = "paid", "paid"
        REFUNDED = "refunded", "refunded"
        DISPUTED = "disputed", "disputed"
        CHARGED_BACK = "charged_back", "charged back"

    class Recipient(models.TextChoices):
        BUYER = "buyer", "the buyer's own account"
        EMAIL = "email", "whoever has an e-mail address"
        CODE = "code", "a gift code"

    buyer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="payments"
    )
    recipient = models.CharField(max_length=8, choices=Recipient)
    recipient_email = models.EmailField(blank=True, help_text="Whom it waits for, if it is for an address.")
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="payments_received",
        help_text="Who has what was bought; nobody while it waits for an address, or is a code.",
    )
    product = models.CharField(max_length=40)
    days = models.PositiveIntegerField(null=True, blank=True, help_text="Of Premium; none: for good.")
    standing = models.CharField(max_length=12, choices=Standing, default=Standing.OPEN)
    intent = models.CharField(max_length=255, blank=True, db_index=True, help_text="The provider's own id.")
    refunded_amount = models.DecimalField(max_digits=9, decimal_places=2, default=Decimal(0))
    concern = models.CharField(max_length=200, blank=True, help_text="What staff should look at.")
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created"]
        indexes = [
            models.Index(fields=["standing", "created"], name="payment_by_standing"),
            models.Index(fields=["recipient_email"], name="payment_waits_for"),
        ]
        constraints = [models.UniqueConstraint(fields=["token"], name="payment_token_unique")]

    def __str__(self) -> str:
        return f"{self.number} {self.description}"

    @property
    def number(self) -> str:
        """The number on the receipt."""
        return f"W-{self.pk:06d}"

    def get_purchased_items(self) -> list[PurchasedItem]:
        return [PurchasedItem(self.description, 1, self.total, self.currency, self.product)]

    def get_success_url(self) -> str:
        return f"{settings.PUBLIC_URL}/premium/payments/{self.token}/"

    get_failure_url = get_success_url  # one page says how it stands, whatever a browser claims

    def get_process_url(self) -> str:
        return f"/premium/payments/{self.token}/"


class PaymentNotice(models.Model):
    """What a provider, or staff, told of a payment, once each. Never changed, but for finding its payment."""

    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="notices"
    )
    provider = models.CharField(max_length=20)
    notice_id = models.CharField(max_length=200, help_text="The provider's id: told twice, it is one.")
    kind = models.CharField(max_length=16)
    subject = models.CharField(max_length=255, help_text="Which charge, refund or dispute.")
    intent = models.CharField(max_length=255, blank=True, db_index=True)
    status = models.CharField(max_length=40, blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    currency = models.CharField(max_length=10, blank=True)
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["happened_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["provider", "notice_id"], name="payment_notice_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} {self.amount} {self.currency}".replace("  ", " ")


class GiftCode(models.Model):
    """Premium that waits for who has the code. The code itself is not kept: see accounts.shop.codes."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the code.")
    days = models.PositiveIntegerField(null=True, blank=True, help_text="Of Premium; none: for good.")
    note = models.CharField(max_length=120, blank=True, help_text="What they are for.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    payment = models.OneToOneField(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="gift_code"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Not to be redeemed from then on.")
    redeemed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="gift_codes"
    )
    redeemed_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(redeemed_by__isnull=True, redeemed_at__isnull=True)
                | models.Q(redeemed_by__isnull=False, redeemed_at__isnull=False),
                name="gift_code_redeemed_by_somebody_at_an_instant",
            )
        ]

    def __str__(self) -> str:
        return f"Gift code {str(self.uid)[:8]}"
