"""Backups in the admin: state, size, how long ago one was proven, and the lever that makes one now."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from kombu.exceptions import OperationalError
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.admin_parts import (
    NOTHING,
    ReasonForm,
    ViewOnlyAdmin,
    dialog_done,
    paragraph,
    rows_table,
    staff_of,
)
from accounts.services import record_audit
from waystone.backups.cycle import age_words
from waystone.tasks import back_up_now
from worlds.models import Backup

MAKE_NOW: Any = {
    "title": "Make a backup now?",
    "description": "It is made in play, copied to the target, and proven by a restore into another database. "
    "Nobody has to wait for it.",
    "form_class": ReasonForm,
    "form_submit_text": "Back up now",
}


@admin.register(Backup)
class BackupAdmin(ViewOnlyAdmin):
    list_display = ("name", "state_label", "started_at", "size_words", "copy", "proven_at", "progress")
    list_filter = ("state", ("started_at", RangeDateTimeFilter))
    search_fields = ("name", "sha256", "error")
    actions_list = ("make_now",)
    fieldsets = (
        (None, {"fields": ("name", "state_label", "progress", "error_text")}),
        ("File", {"fields": ("place", "size_words", "sha256")}),
        ("Copy", {"fields": ("copy", "copied_at")}),
        ("Restore drill", {"fields": ("proven_at", "drill")}),
        ("Times", {"fields": ("started_at", "ended_at")}),
    )
    readonly_fields = ("state_label", "error_text", "size_words", "copy", "drill")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list, with the age of the last proven backup above it."""
        title = f"Backups: {age_words(timezone.now())}"
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def has_make_now_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("worlds.add_backup")

    @action(
        description="Back up now",
        icon="backup",
        permissions=["make_now"],
        variant=ActionVariant.PRIMARY,
        dialog=MAKE_NOW,
    )
    def make_now(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        try:
            back_up_now.apply_async(retry=False)
        except OperationalError as error:
            messages.error(request, f"Background work cannot be reached (Redis): {error}. Nothing was begun.")
        else:
            detail: dict[str, object] = {"reason": form.cleaned_data["reason"]}
            now = timezone.now()
            record_audit(
                action="backup_asked_for", account=staff_of(request), target="backup", detail=detail, now=now
            )
            messages.success(request, "A backup is being made; it is in this list in a moment.")
        return dialog_done(reverse("admin:worlds_backup_changelist"))

    @display(
        description="state",
        ordering="state",
        label={"running": "info", "made": "warning", "proven": "success", "failed": "danger"},
    )
    def state_label(self, backup: Backup) -> str:
        return backup.state

    @display(description="size", ordering="size")
    def size_words(self, backup: Backup) -> str:
        return filesizeformat(backup.size) if backup.size else NOTHING

    @display(description="copy")
    def copy(self, backup: Backup) -> str:
        return backup.target if backup.copied_at else "on this machine only"

    @display(description="what went wrong")
    def error_text(self, backup: Backup) -> SafeString:
        return paragraph(backup.error)

    @display(description="what was found")
    def drill(self, backup: Backup) -> SafeString | str:
        return rows_table(("of the restored database", ""), sorted(backup.report.items()))
