"""Who asked to have their account deleted."""

from django.conf import settings
from django.db import models


class Leaving(models.Model):
    """A request to delete an account. Taken back, the row goes; carried out, it stays with `done_at`."""

    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="leaving")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True, help_text="From then on the account is deleted.")
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "request to be deleted"
        verbose_name_plural = "requests to be deleted"
        ordering = ["-asked_at"]

    def __str__(self) -> str:
        return f"due {self.due_at:%Y-%m-%d %H:%M}"
