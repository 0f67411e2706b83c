"""Moves of zones in the admin: their history, and the lever to take one back. To ask: move_levers.py."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin_parts import NOTHING, ViewOnlyAdmin, link_to
from accounts.levers import lever
from worlds.models import ZoneMove
from worlds.moves import MoveRefused, take_back
from worlds.world_admin import WORLD, OfWorld


@admin.register(ZoneMove)
class ZoneMoveAdmin(OfWorld, ViewOnlyAdmin):
    list_display = (
        *("asked_at", "world_link", "zone", "way", "state_label", "players", "took", "reason"),
        "error",
    )
    list_filter = (WORLD, "state", ("asked_at", RangeDateTimeFilter))
    search_fields = ("world__slug", "world__name", "zone", "source", "target", "reason", "error")
    list_select_related = ("world", "plan")
    actions_detail = ("take_back",)
    fieldsets = (
        (None, {"fields": ("world", "zone", "instance", "way", "state_label", "reason", "plan_link")}),
        ("How it went", {"fields": ("asked_at", "started_at", "ended_at", "took", "players", "error")}),
    )
    readonly_fields = ("way", "state_label", "took", "plan_link")

    def has_take_back_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_zonemove"):
            return False
        if object_id is None:
            return True
        return ZoneMove.objects.filter(pk=object_id, state=ZoneMove.State.WAITING).exists()

    @lever(
        "Take it back",
        title="Take this move back?",
        text="It has not begun: the zone stays where it is.",
        icon="undo",
        allowed="take_back",
        variant=ActionVariant.WARNING,
        refused=(MoveRefused,),
    )
    def take_back(self, move: ZoneMove, **deed: Any) -> str:
        take_back(move=move, **deed)
        return "Taken back. The zone stays where it is."

    @display(description="way")
    def way(self, move: ZoneMove) -> str:
        return f"{move.source or 'where it is'} → {move.target}"

    @display(
        description="state",
        ordering="state",
        label={
            "proposed": "info",
            "waiting": "info",
            "moving": "warning",
            "done": "success",
            "failed": "danger",
        },
    )
    def state_label(self, move: ZoneMove) -> str:
        return move.state

    @display(description="took")
    def took(self, move: ZoneMove) -> str:
        if move.started_at is None or move.ended_at is None:
            return NOTHING
        return f"{(move.ended_at - move.started_at).total_seconds():.1f} s"

    @display(description="plan")
    def plan_link(self, move: ZoneMove) -> SafeString | str:
        return link_to(move.plan) if move.plan is not None else "none: staff, or the daemon itself"
