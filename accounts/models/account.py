"""Who registered: the account."""

import uuid
from collections.abc import Iterator
from typing import ClassVar

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


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
        """Make staff by command. Whoever has the machine's shell is believed their address."""
        account = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        addresses = apps.get_model("account", "EmailAddress")._default_manager
        addresses.create(user=account, email=account.email, primary=True, verified=True)
        return account


class Account(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # Payment has an untyped base
    """A person who registered once. Worlds never see this row: they get a pseudonym for each world."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    is_active = models.BooleanField(default=True, help_text="Unset instead of deleting the account.")
    is_staff = models.BooleanField(default=False, help_text="May open the admin.")
    banned_until = models.DateTimeField(null=True, blank=True, help_text="No ticket before this instant.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    session_epoch = models.PositiveIntegerField(
        default=0, editable=False, help_text="Counts up when all sessions are ended: older ones end by it."
    )

    objects = AccountManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="account_email_unique_without_case")]
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email

    def get_session_auth_hash(self) -> str:
        """Return what a session must hold: of another password or an earlier epoch it is over."""
        return self._with_epoch(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same by earlier secret keys."""
        yield from map(self._with_epoch, super().get_session_auth_fallback_hash())

    def _with_epoch(self, digest: str) -> str:
        return f"{digest}.{self.session_epoch}" if self.session_epoch else digest
