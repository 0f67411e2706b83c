"""Who did what: the audit record."""

from django.conf import settings
from django.db import models
from django.utils import timezone


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
