"""Quarantined characters in the admin: what was raised, on which document, and the lever to let them in."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import ViewOnlyAdmin, document, hex_text, link_to
from accounts.levers import Told, lever
from worlds.models import Quarantine
from worlds.quarantines import let_in_again
from worlds.world_admin import WORLD, OfWorld


@admin.register(Quarantine)
class QuarantineAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("character_name", "world_link", "where", "cluster", "at", "state")
    list_filter = (
        WORLD,
        ("released_at", admin.EmptyFieldListFilter),
        "where",
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("character_name", "character", "line", "session", "error")
    list_select_related = ("world", "released_by")
    actions_detail = ("let_in",)
    fieldsets = (
        (None, {"fields": ("state", "character_name", "character", "world", "where", "cluster", "at")}),
        ("What was raised", {"fields": ("traceback",)}),
        ("The document, with what was not saved", {"fields": ("document_text",)}),
        ("Where it comes from", {"fields": ("session", "stay", "line", "version", "digest_hex")}),
        ("Ended", {"fields": ("released_at", "released_by_link")}),
    )
    readonly_fields = ("state", "traceback", "document_text", "digest_hex", "released_by_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Quarantine]:
        return super().get_queryset(request).defer("document")

    def has_let_in_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_quarantine"):
            return False
        return object_id is None or Quarantine.objects.filter(pk=object_id, released_at__isnull=True).exists()

    @lever(
        "Let in again",
        title="Let this character in again?",
        text="Within ten seconds, with the document that it has now. If the rules raise on it again, it is "
        "put out again with another report.",
        icon="login",
        allowed="let_in",
    )
    def let_in(self, quarantine: Quarantine, **deed: Any) -> Told | str:
        if let_in_again(quarantine=quarantine, **deed):
            return f"{quarantine.character_name} can come in again."
        return Told("It was let in before.", "info")

    @display(
        description="state",
        label={"out": "danger", "let in again": "success", "another document": "info"},
    )
    def state(self, quarantine: Quarantine) -> str:
        if quarantine.released_at is None:
            return "out"
        return "let in again" if quarantine.released_by_id is not None else "another document"

    @display(description="traceback, its end")
    def traceback(self, quarantine: Quarantine) -> SafeString:
        return format_html('<pre class="ws-document">{}</pre>', quarantine.error)

    @display(description="document")
    def document_text(self, quarantine: Quarantine) -> SafeString | str:
        return document(quarantine.document)

    @display(description="digest, without places")
    def digest_hex(self, quarantine: Quarantine) -> SafeString | str:
        return hex_text(quarantine.digest)

    @display(description="by")
    def released_by_link(self, quarantine: Quarantine) -> SafeString | str:
        return link_to(quarantine.released_by)
