"""Accounts, entitlements and the audit record: fields and constraints only."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.rules import Edition


class AccountManager(BaseUserManager["Account"]):
    """Django's hooks for creating users by command and by allauth; the site uses accounts.services."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "Account":
        if not email:
            raise ValueError("an account needs an e-mail address")
        account = self.model(email=self.normalize_email(email), **fields)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "Account":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class Account(AbstractBaseUser, PermissionsMixin):
    """A person who registered once. Worlds never see this row: they get a pseudonym for each world."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    is_active = models.BooleanField(default=True, help_text="Unset instead of deleting the account.")
    is_staff = models.BooleanField(default=False, help_text="May open the admin.")
    banned_until = models.DateTimeField(null=True, blank=True, help_text="No ticket before this instant.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="account_email_unique_without_case")]
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email


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


class AuditRecord(models.Model):
    """Who did what to what, written in the same transaction as the deed. Never changed."""

    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="deeds"
    )
    world_slug = models.CharField(max_length=64, blank=True, help_text="The world that did it, if one did.")
    action = models.CharField(max_length=64, db_index=True)
    target = models.CharField(max_length=160, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.target}"
