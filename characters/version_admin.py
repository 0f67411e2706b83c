"""Versions of characters in the admin: what was written, what fell to a fork, what was thinned.

Staff brings a version back, or rolls a whole world back; both with a reason, as new versions.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin_parts import (
    NOTHING,
    ViewOnlyAdmin,
    document,
    hex_text,
    link_to,
)
from accounts.levers import Told, lever
from characters.models import Fall, Line, ThinnedVersions, Version
from characters.provenance import changes_of, json_lines
from characters.restoring import LineInPlay, restore_version
from characters.rollback_page import PERMISSION, rollback_page


def line_name(line: Line) -> str:
    """Return how lists name a line."""
    return "main" if line.world is None else f"fork of {line.world}"


@admin.register(Version)
class VersionAdmin(ViewOnlyAdmin):
    actions = ("export",)
    actions_detail = ("restore",)
    list_display = ("__str__", "character_link", "line_link", "world_link", "at", "epoch", "short_chain")
    list_filter = (
        "kind",
        ("line", AutocompleteSelectFilter),
        ("world", AutocompleteSelectFilter),
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("op_id", "line__id", "line__character__name")
    ordering = ("-at",)
    list_select_related = ("line__character", "line__world", "world")
    fields = (
        *("line", "version", "kind", "at", "world", "changes", "source", "epoch", "op_id"),
        *("exchange", "letter"),
        *("prev_chain_hex", "chain_hex", "state_hash_hex", "state_document"),
    )
    readonly_fields = ("changes", "prev_chain_hex", "chain_hex", "state_hash_hex", "state_document")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Version]:
        return super().get_queryset(request).defer("state", "line__state")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        page = self.admin_site.admin_view(rollback_page)
        return [path("rollback/", page, name="characters_version_rollback"), *super().get_urls()]

    def has_restore_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm(PERMISSION)

    @admin.action(description="Export as JSON lines", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Version]) -> StreamingHttpResponse:
        lines = json_lines(queryset.defer(None).order_by("at", "pk"))
        response = StreamingHttpResponse(lines, content_type="application/x-ndjson")
        response["Content-Disposition"] = 'attachment; filename="versions.jsonl"'
        return response

    @lever(
        "Bring this version back",
        title="Bring this version back?",
        text="The line gets a new version with this one's state. Nothing is deleted, and it can be undone in "
        "the same way. Refused while the line is in play.",
        icon="history",
        allowed="restore",
        submit="Bring back",
        variant=ActionVariant.WARNING,
        refused=(LineInPlay,),
    )
    def restore(self, version: Version, **deed: Any) -> Told:
        made = restore_version(version=version, **deed)
        if made is None:
            return Told("The line stands at this very state: nothing was changed.", "info")
        return Told(f"v{version.version} is back, as v{made.version}.", row=made)

    @display(description="what changed")
    def changes(self, version: Version) -> str:
        return ", ".join(changes_of(version)) or NOTHING

    @display(description="character", ordering="line__character__name")
    def character_link(self, version: Version) -> SafeString | str:
        return link_to(version.line.character)

    @display(description="line")
    def line_link(self, version: Version) -> SafeString | str:
        return link_to(version.line, line_name(version.line))

    @display(description="written by", ordering="world__name")
    def world_link(self, version: Version) -> SafeString | str:
        return link_to(version.world)

    @display(description="chain")
    def short_chain(self, version: Version) -> SafeString | str:
        return hex_text(version.chain, length=16)

    @display(description="chain before")
    def prev_chain_hex(self, version: Version) -> SafeString | str:
        return hex_text(version.prev_chain)

    @display(description="chain")
    def chain_hex(self, version: Version) -> SafeString | str:
        return hex_text(version.chain)

    @display(description="state hash")
    def state_hash_hex(self, version: Version) -> SafeString | str:
        return hex_text(version.state_hash)

    @display(description="state")
    def state_document(self, version: Version) -> SafeString | str:
        return document(version.state)


@admin.register(Fall)
class FallAdmin(ViewOnlyAdmin):
    list_display = ("__str__", "character_link", "write_link", "reason", "at")
    list_filter = ("reason", ("line", AutocompleteSelectFilter))
    search_fields = ("line__id", "line__character__name", "write__op_id")
    ordering = ("-pk",)
    list_select_related = ("line__character", "write__world")
    fields = ("line", "epoch", "version", "write", "reason", "prev_chain_hex", "chain_hex")
    readonly_fields = ("prev_chain_hex", "chain_hex")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fall]:
        return super().get_queryset(request).defer("line__state", "write__state")

    @display(description="character", ordering="line__character__name")
    def character_link(self, fall: Fall) -> SafeString | str:
        return link_to(fall.line.character)

    @display(description="written instead")
    def write_link(self, fall: Fall) -> SafeString | str:
        return link_to(fall.write, f"v{fall.write.version} of the fork of {fall.write.world}")

    @display(description="at", ordering="write__at")
    def at(self, fall: Fall) -> str:
        return f"{fall.write.at:%Y-%m-%d %H:%M:%S}"

    @display(description="chain before, as asked")
    def prev_chain_hex(self, fall: Fall) -> SafeString | str:
        return hex_text(fall.prev_chain)

    @display(description="chain, as asked")
    def chain_hex(self, fall: Fall) -> SafeString | str:
        return hex_text(fall.chain)


@admin.register(ThinnedVersions)
class ThinnedVersionsAdmin(ViewOnlyAdmin):
    list_display = ("__str__", "character_link", "line_link", "size")
    list_filter = (("line", AutocompleteSelectFilter),)
    search_fields = ("line__id", "line__character__name")
    list_select_related = ("line__character", "line__world")
    fields = ("line", "first", "last", "size")
    readonly_fields = ("size",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ThinnedVersions]:
        return super().get_queryset(request).defer("links", "line__state")

    @display(description="character", ordering="line__character__name")
    def character_link(self, run: ThinnedVersions) -> SafeString | str:
        return link_to(run.line.character)

    @display(description="line")
    def line_link(self, run: ThinnedVersions) -> SafeString | str:
        return link_to(run.line, line_name(run.line))

    @display(description="versions")
    def size(self, run: ThinnedVersions) -> int:
        return run.last - run.first + 1
