"""Kinds of commands that a world refuses in the admin: what was measured, and the lever to switch one on."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin_parts import ViewOnlyAdmin, link_to
from accounts.levers import Told, lever
from worlds.models import SlowHandler
from worlds.slow_handlers import switch_on
from worlds.world_admin import WORLD, OfWorld


@admin.register(SlowHandler)
class SlowHandlerAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("kind", "world_link", "state", "p99", "worst", "cluster", "off_at")
    list_filter = (WORLD, ("on_at", admin.EmptyFieldListFilter), ("off_at", RangeDateTimeFilter))
    search_fields = ("kind", "cluster", "world__slug", "world__name")
    list_select_related = ("world", "on_by")
    actions_detail = ("switch_on",)
    fieldsets = (
        (None, {"fields": ("kind", "world", "state", "off_at")}),
        ("What was measured", {"fields": ("cluster", "p99", "worst", "runs")}),
        ("Ended", {"fields": ("on_at", "on_by_link")}),
    )
    readonly_fields = ("state", "p99", "worst", "on_by_link")

    def has_switch_on_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_slowhandler"):
            return False
        return object_id is None or SlowHandler.objects.filter(pk=object_id, on_at__isnull=True).exists()

    @lever(
        "Switch on",
        title="Let players give this command again?",
        text="Within two seconds, on all clusters of this world. If it still takes too long, it is off again "
        "after a few more runs, with another alarm.",
        icon="play_arrow",
        allowed="switch_on",
        variant=ActionVariant.PRIMARY,
    )
    def switch_on(self, handler: SlowHandler, **deed: Any) -> Told | str:
        if switch_on(handler=handler, **deed):
            return f"{handler.kind} is switched on, and its alarm is over."
        return Told("It was switched on before.", "info")

    @display(description="state", label={"off": "danger", "on again": "success"})
    def state(self, handler: SlowHandler) -> str:
        return "off" if handler.on_at is None else "on again"

    @display(description="99 of 100 took up to", ordering="p99_ms")
    def p99(self, handler: SlowHandler) -> str:
        return f"{handler.p99_ms:.1f} ms of CPU time"

    @display(description="the longest", ordering="worst_ms")
    def worst(self, handler: SlowHandler) -> str:
        return f"{handler.worst_ms:.1f} ms"

    @display(description="by")
    def on_by_link(self, handler: SlowHandler) -> SafeString | str:
        return link_to(handler.on_by)
