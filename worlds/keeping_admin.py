"""What keepers do with their worlds, in the admin: who keeps them, bans and mutes, orders, set-up, webhooks.

Shown, and changed by nobody here: keepers have their own pages, and staff has the levers on a world's page.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import NOTHING, ViewOnlyAdmin, document, link_to
from worlds.models import (
    Availability,
    KeeperInvitation,
    Webhook,
    WebhookDelivery,
    WorldBanner,
    WorldKeeper,
    WorldOrder,
    WorldSanction,
    WorldSetup,
)

WORLD = ("world", AutocompleteSelectFilter)


class OfAWorld(ViewOnlyAdmin):
    """Rows that belong to a world, with a link to it."""

    list_select_related: tuple[str, ...] = ("world",)

    @display(description="world", ordering="world__name")
    def world_link(self, row: Any) -> SafeString | str:
        return link_to(row.world)

    @display(description="account")
    def account_link(self, row: Any) -> SafeString | str:
        return link_to(row.account)

    @display(description="by")
    def by_link(self, row: Any) -> SafeString | str:
        return link_to(row.by)


@admin.register(WorldKeeper)
class WorldKeeperAdmin(OfAWorld):
    list_display = ("account_link", "world_link", "role", "since")
    list_filter = (WORLD, "role", ("account", AutocompleteSelectFilter))
    search_fields = ("account__email", "world__slug")
    list_select_related = ("world", "account")
    fields = ("world", "account", "role", "since")


@admin.register(KeeperInvitation)
class KeeperInvitationAdmin(OfAWorld):
    list_display = ("email", "world_link", "role", "by_link", "made_at", "expires_at")
    list_filter = (WORLD, "role")
    search_fields = ("email", "world__slug")
    list_select_related = ("world", "by")
    fields = ("world", "email", "role", "by", "made_at", "expires_at")


@admin.register(WorldSanction)
class WorldSanctionAdmin(OfAWorld):
    list_display = ("character_name", "kind", "world_link", "account_link", "until", "state", "made_at")
    list_filter = (WORLD, "kind", ("ended_at", admin.EmptyFieldListFilter), ("made_at", RangeDateTimeFilter))
    search_fields = ("character_name", "account__email", "world__slug", "reason")
    list_select_related = ("world", "account")
    fields = ("world", "account", "character_name", "kind", "reason", "until", "by", "made_at", "ended_at")

    @display(description="state", label={"in force": "warning"})
    def state(self, row: WorldSanction) -> str:
        return "in force" if row.ended_at is None else "ended"


@admin.register(WorldOrder)
class WorldOrderAdmin(OfAWorld):
    list_display = ("kind", "about", "world_link", "by_link", "made_at", "ended_at", "outcome")
    list_filter = (WORLD, "kind", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("about", "world__slug", "by__email")
    list_select_related = ("world", "by")
    fields = (
        *("world", "kind", "about", "readable_body", "by"),
        *("made_at", "expires_at", "sent_at", "ended_at", "outcome", "told"),
    )

    @display(description="order")
    def readable_body(self, order: WorldOrder) -> SafeString | str:
        return document(order.body)


@admin.register(WorldBanner)
class WorldBannerAdmin(OfAWorld):
    list_display = ("world_link", "size", "made_at")
    search_fields = ("world__slug",)
    fields = ("world", "size", "digest", "made_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorldBanner]:
        return super().get_queryset(request).defer("image")

    @display(description="size")
    def size(self, banner: WorldBanner) -> str:
        return f"{banner.width} × {banner.height}"


@admin.register(WorldSetup)
class WorldSetupAdmin(OfAWorld):
    """How far a new world has come. Its code to join by is kept as a digest and not shown."""

    list_display = ("world_link", "called_at", "gateway_at", "udp_at", "zone_at", "opened_at")
    search_fields = ("world__slug",)
    list_filter = (("opened_at", admin.EmptyFieldListFilter),)
    fields = (
        *("world", "address", "code_until", "code_used_at", "called_at", "call_fault", "checked_at"),
        *("gateway_at", "gateway_fault", "udp_at", "udp_fault", "udp_addresses", "zones", "zone_at"),
        "opened_at",
    )


@admin.register(Availability)
class AvailabilityAdmin(OfAWorld):
    list_display = ("subject", "span", "at", "samples", "up", "planned", "players")
    list_filter = (WORLD, "part", "span", ("at", RangeDateTimeFilter))
    search_fields = ("world__slug", "part")
    fields = ("world", "part", "span", "at", "last_at", "samples", "up", "planned", "players", "most")

    @display(description="of")
    def subject(self, row: Availability) -> SafeString | str:
        return link_to(row.world) if row.world is not None else row.part or NOTHING


@admin.register(Webhook)
class WebhookAdmin(OfAWorld):
    """Secrets of webhooks follow from a key of the master; none is here to be shown."""

    list_display = ("url", "world_link", "is_on", "stopped_because", "made_at")
    list_filter = (WORLD, "is_on")
    search_fields = ("url", "world__slug")
    fields = ("world", "url", "events", "is_on", "stopped_because", "old_secret_until", "made_by", "made_at")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ViewOnlyAdmin):
    list_display = ("event", "webhook_link", "state", "made_at", "attempts", "status", "next_at")
    list_filter = ("state", "event", ("webhook", AutocompleteSelectFilter))
    search_fields = ("event", "webhook__url", "error")
    list_select_related = ("webhook__world",)
    fields = (
        *("webhook", "event", "state", "made_at", "attempts", "next_at", "status", "error", "ended_at"),
        "readable_body",
    )

    @display(description="webhook")
    def webhook_link(self, delivery: WebhookDelivery) -> SafeString | str:
        return link_to(delivery.webhook)

    @display(description="body")
    def readable_body(self, delivery: WebhookDelivery) -> SafeString | str:
        return document(delivery.body)
