"""Tokens for programs."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class ApiToken(models.Model):
    """A key with which a program acts for an account, within scopes. The key itself is not kept."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60, help_text="What it is for, in its owner's words.")
    hint = models.CharField(max_length=12, help_text="How the key begins, to tell it from others.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key, hex.")
    scopes = ArrayField(models.CharField(max_length=32))
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at", "-pk"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"
