"""The ledger that editions are computed from."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.rules import Edition


class Entitlement(models.Model):
    """One row of the ledger that an edition is computed from. Never changed, never deleted."""

    class Source(models.TextChoices):
        STAFF = "staff"
        PURCHASE = "purchase"
        GIFT = "gift"
        DEMO = "demo"

    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="entitlements"
    )
    edition = models.CharField(max_length=16, choices=[(e.value, e.name.title()) for e in Edition])
    is_grant = models.BooleanField(default=True, help_text="Unset: takes the grant with this reference back.")
    source = models.CharField(max_length=16, choices=Source)
    reference = models.CharField(
        max_length=120, help_text="What it stands for: a payment, a code, a decision."
    )
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "account", "edition", "is_grant", "reference", name="entitlement_booked_once"
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gt=models.F("starts_at")),
                name="entitlement_ends_after_it_starts",
            ),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{'+' if self.is_grant else '-'}{self.edition} ({self.reference})"
