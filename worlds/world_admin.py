"""What a world keeps for itself, in the admin: content, clusters, play sessions, receipts.

Content is shown and not changed: it comes from a pack, and the next import would undo a hand edit.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import (
    AuditedAdmin,
    ViewOnlyAdmin,
    document,
    hex_text,
    link_to,
    link_to_list,
    links_to,
    paragraph,
    rows_table,
)
from worlds.cluster_figures import figures_panel
from worlds.cost_map import cost_map
from worlds.models import (
    ContentPack,
    CreatureKind,
    CreatureSpawn,
    Host,
    ItemKind,
    PlaySession,
    StoredReceipt,
    Zone,
    ZoneCluster,
    ZoneLink,
)
from worlds.move_levers import WithMoves
from worlds.rules import is_online
from worlds.zone_map import zone_map

WORLD = ("world", AutocompleteSelectFilter)


class OfWorld:
    """Adds a column that links to the row's world."""

    @display(description="world", ordering="world__name")
    def world_link(self, row: Any) -> SafeString | str:
        return link_to(row.world)


class OfZone:
    """Adds a column that links to the row's zone."""

    @display(description="zone", ordering="zone__slug")
    def zone_link(self, row: Any) -> SafeString | str:
        return link_to(row.zone)


@admin.register(ContentPack)
class ContentPackAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("name", "version", "world_link", "imported_at", "short_digest")
    search_fields = ("name", "world__slug")
    list_select_related = ("world",)
    fields = ("world", "name", "version", "digest", "imported_at")

    @display(description="digest")
    def short_digest(self, pack: ContentPack) -> str:
        return pack.digest[:12]


class ClusterForm(forms.ModelForm):
    """A cluster runs on a host of its own world."""

    def clean_host(self) -> Host | None:
        host = self.cleaned_data.get("host")
        world = self.instance.world_id or getattr(self.cleaned_data.get("world"), "pk", None)
        if host is not None and host.world_id != world:
            raise ValidationError(f"{host} is a host of another world.")
        return host


@admin.register(ZoneCluster)
class ZoneClusterAdmin(OfWorld, AuditedAdmin):
    """Where clusters run and listen is the operator's business.

    Another host, and whether it is enabled, counts within 15 s; what it binds from its next start on.
    """

    form = ClusterForm
    list_display = (
        *("name", "world_link", "state", "host_link", "address", "zone_count", "max_players", "is_enabled"),
    )
    list_filter = (WORLD, ("host", AutocompleteSelectFilter), "is_enabled")
    search_fields = ("name", "world__slug")
    list_select_related = ("world", "host")
    autocomplete_fields = ("world", "host")
    settings_fields = ("host", "udp_host", "udp_port", "public_host", "max_players", "is_enabled")
    facts = ("state", "last_seen_at", "zone_links", "figures", "status_document")
    fieldsets = (
        (None, {"fields": ("world", "name", "state", "last_seen_at", "zone_links", "figures")}),
        ("Settings", {"fields": settings_fields}),
        ("As reported", {"fields": ("status_document",)}),
    )
    add_fieldsets = ((None, {"fields": ("world", "name", *settings_fields)}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ZoneCluster]:
        return super().get_queryset(request).annotate(zone_total=Count("zones"))

    def get_readonly_fields(self, request: HttpRequest, obj: ZoneCluster | None = None) -> tuple[str, ...]:
        return () if obj is None else ("world", "name", *self.facts)

    def audit_target(self, obj: ZoneCluster) -> str:
        return f"{obj.world.slug}/{obj.name}"

    @display(description="state", label={"alive": "success", "silent": "danger", "never seen": "info"})
    def state(self, cluster: ZoneCluster) -> str:
        if cluster.last_seen_at is None:
            return "never seen"
        return "alive" if is_online(cluster.last_seen_at, timezone.now()) else "silent"

    @display(description="host", ordering="host__name")
    def host_link(self, cluster: ZoneCluster) -> SafeString | str:
        return link_to(cluster.host)

    @display(description="binds")
    def address(self, cluster: ZoneCluster) -> str:
        return f"{cluster.udp_host}:{cluster.udp_port or 'any'}"

    @display(description="zones", ordering="zone_total")
    def zone_count(self, cluster: Any) -> SafeString:
        return link_to_list(Zone, cluster.zone_total, home_cluster__id__exact=cluster.pk)

    @display(description="zones")
    def zone_links(self, cluster: Any) -> SafeString | str:
        return links_to(cluster.zones.all())

    @display(description="time and load")
    def figures(self, cluster: ZoneCluster) -> SafeString:
        return figures_panel(cluster, timezone.now())

    @display(description="status")
    def status_document(self, cluster: ZoneCluster) -> SafeString | str:
        return document({name: value for name, value in cluster.status.items() if name != "figures"})


@admin.register(Zone)
class ZoneAdmin(WithMoves, OfWorld, ViewOnlyAdmin):
    actions_detail = ("move_zone", "pin", "unpin")
    list_display = (
        "name",
        "slug",
        "world_link",
        "cluster_link",
        "extent",
        "is_entry",
        "link_total",
        "creature_total",
    )
    list_filter = (WORLD, ("home_cluster", AutocompleteSelectFilter), "is_entry")
    search_fields = ("name", "slug", "world__slug", "description")
    list_select_related = ("world", "home_cluster")
    fieldsets = (
        (None, {"fields": ("world", "name", "slug", "text", "home_cluster", "is_entry")}),
        ("Copies", {"fields": ("instancing", "max_instances", "is_pinned", "edition")}),
        ("Map", {"fields": ("map",)}),
        ("Ways", {"fields": ("ways_out", "ways_in")}),
        ("Creatures", {"fields": ("creatures",)}),
        ("What it costs, by hour of the week", {"fields": ("cost",)}),
        ("Figures", {"fields": ("extent", "entry", "top_speed", "max_players", "climate")}),
    )
    readonly_fields = ("text", "map", "cost", "ways_out", "ways_in", "creatures", "extent", "entry")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Zone]:
        return super().get_queryset(request).annotate(link_count=Count("links", distinct=True))

    @display(description="cluster", ordering="home_cluster__name")
    def cluster_link(self, zone: Zone) -> SafeString | str:
        return link_to(zone.home_cluster)

    @display(description="size", ordering="size")
    def extent(self, zone: Zone) -> str:
        return f"{zone.size:g} m"

    @display(description="ways out", ordering="link_count")
    def link_total(self, zone: Any) -> SafeString:
        return link_to_list(ZoneLink, zone.link_count, zone__id__exact=zone.pk)

    @display(description="creatures")
    def creature_total(self, zone: Any) -> SafeString:
        return link_to_list(CreatureSpawn, "spawns", zone__id__exact=zone.pk)

    @display(description="description")
    def text(self, zone: Zone) -> SafeString:
        return paragraph(zone.description)

    @display(description="entry")
    def entry(self, zone: Zone) -> str:
        return f"{zone.entry_x:g}, {zone.entry_y:g}, heading {zone.entry_heading_deg:g}°"

    @display(description="map")
    def map(self, zone: Any) -> SafeString:
        return zone_map(zone, list(zone.links.all()), list(zone.spawns.select_related("kind")))

    @display(description="cost, UTC")
    def cost(self, zone: Zone) -> SafeString | str:
        return cost_map(zone)

    @display(description="ways out")
    def ways_out(self, zone: Any) -> SafeString | str:
        links = zone.links.select_related("target", "target__home_cluster")
        rows = (
            (link_to(row), link_to(row.target), row.target.home_cluster or "any cluster") for row in links
        )
        return rows_table(("way", "to", "on cluster"), rows)

    @display(description="ways in")
    def ways_in(self, zone: Any) -> SafeString | str:
        rows = ((link_to(row), link_to(row.zone)) for row in zone.arrivals.select_related("zone"))
        return rows_table(("way", "from"), rows)

    @display(description="creatures")
    def creatures(self, zone: Any) -> SafeString | str:
        rows = ((link_to(row.kind), row.count) for row in zone.spawns.select_related("kind"))
        return rows_table(("kind", "count"), rows)


@admin.register(ZoneLink)
class ZoneLinkAdmin(OfZone, ViewOnlyAdmin):
    list_display = ("label", "slug", "zone_link", "target_link", "trigger", "arrival")
    list_filter = (
        ("zone", AutocompleteSelectFilter),
        ("target", AutocompleteSelectFilter),
        ("zone__world", AutocompleteSelectFilter),
    )
    search_fields = ("label", "slug", "zone__slug", "target__slug")
    list_select_related = ("zone", "target")
    fields = ("zone", "slug", "label", "trigger", "target", "arrival")
    readonly_fields = ("trigger", "arrival")

    @display(description="to", ordering="target__slug")
    def target_link(self, link: ZoneLink) -> SafeString | str:
        return link_to(link.target)

    @display(description="trigger")
    def trigger(self, link: ZoneLink) -> str:
        return f"{link.x:g}, {link.y:g}, radius {link.radius:g} m"

    @display(description="arrival")
    def arrival(self, link: ZoneLink) -> str:
        return f"{link.arrival_x:g}, {link.arrival_y:g}, heading {link.arrival_heading_deg:g}°"


@admin.register(CreatureKind)
class CreatureKindAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("name", "slug", "world_link", "speed")
    list_filter = (WORLD,)
    search_fields = ("name", "slug")
    list_select_related = ("world",)
    fields = ("world", "name", "slug", "speed", "where")
    readonly_fields = ("where",)

    @display(description="where")
    def where(self, kind: Any) -> SafeString | str:
        rows = ((link_to(row.zone), row.count) for row in kind.spawns.select_related("zone"))
        return rows_table(("zone", "count"), rows)


@admin.register(ItemKind)
class ItemKindAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("name", "slug", "world_link", "stack_size", "value", "slot", "is_valuable")
    list_filter = (WORLD, "is_valuable")
    search_fields = ("name", "slug")
    list_select_related = ("world",)
    fields = ("world", "name", "slug", "stack_size", "value", "weight", "is_valuable", "slot")


@admin.register(CreatureSpawn)
class CreatureSpawnAdmin(OfZone, ViewOnlyAdmin):
    list_display = ("__str__", "zone_link", "kind_link", "count", "radius")
    list_filter = (
        ("zone", AutocompleteSelectFilter),
        ("kind", AutocompleteSelectFilter),
        ("zone__world", AutocompleteSelectFilter),
    )
    search_fields = ("zone__slug", "kind__slug", "kind__name")
    list_select_related = ("zone", "kind")
    fields = ("zone", "kind", "count", "x", "y", "radius")

    @display(description="kind", ordering="kind__slug")
    def kind_link(self, spawn: CreatureSpawn) -> SafeString | str:
        return link_to(spawn.kind)


@admin.register(PlaySession)
class PlaySessionAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("character_name", "world_link", "zone", "cluster", "instance", "started_at", "state")
    list_filter = (
        WORLD,
        ("ended_at", admin.EmptyFieldListFilter),
        "zone",
        "cluster",
        ("started_at", RangeDateTimeFilter),
    )
    search_fields = ("character_name", "character", "line", "pseudonym")
    list_select_related = ("world",)
    fields = (
        *("world", "character_name", "character", "pseudonym", "admission", "edition", "line", "epoch"),
        *("zone", "cluster", "instance", "entity", "started_at", "ended_at", "end_reason"),
    )

    @display(description="state", label={"in play": "success"})
    def state(self, session: PlaySession) -> str:
        return "in play" if session.ended_at is None else session.end_reason or "ended"


@admin.register(StoredReceipt)
class StoredReceiptAdmin(OfWorld, ViewOnlyAdmin):
    list_display = ("line", "version", "world_link", "at", "op_id")
    list_filter = (WORLD, ("at", RangeDateTimeFilter))
    search_fields = ("line", "op_id")
    list_select_related = ("world",)
    fields = ("world", "line", "version", "op_id", "at", "receipt", "state_document", "state_hex")
    readonly_fields = ("state_document", "state_hex")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoredReceipt]:
        return super().get_queryset(request).defer("receipt", "state")

    @display(description="state")
    def state_document(self, receipt: StoredReceipt) -> SafeString | str:
        return document(receipt.state)

    @display(description="state, bytes")
    def state_hex(self, receipt: StoredReceipt) -> SafeString | str:
        return hex_text(receipt.state, length=64)
