"""Who did what: the audit record."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class AuditRecord(models.Model):
    """Who did what to what, written in the same transaction as the deed.

    Never changed and never deleted: a trigger of the database refuses both. Only `position` and `chain` are
    set once, when the row is sealed (accounts.sealing). Of a person it holds the account's number only.
    """

    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="deeds"
    )
    world_slug = models.CharField(max_length=64, blank=True, help_text="The world that did it, if one did.")
    action = models.CharField(max_length=64, db_index=True)
    target = models.CharField(max_length=160, blank=True, db_index=True)
    detail = models.JSONField(default=dict, blank=True)
    before = models.JSONField(null=True, blank=True, help_text="What the deed changed, as it was.")
    after = models.JSONField(null=True, blank=True, help_text="What the deed changed, as it is now.")
    position = models.BigIntegerField(
        null=True, blank=True, unique=True, editable=False, help_text="In the chain; none yet: not sealed."
    )
    chain = models.BinaryField(null=True, blank=True, editable=False, max_length=32)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index("id", name="audit_not_sealed_yet", condition=Q(position__isnull=True))]
        constraints = [
            models.CheckConstraint(
                condition=Q(position__isnull=True, chain__isnull=True)
                | Q(position__isnull=False, chain__isnull=False),
                name="audit_sealed_whole",
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.target}"
