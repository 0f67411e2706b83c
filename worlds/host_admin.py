"""Hosts in the admin: the machines that run zone clusters, what they have, join codes, revocation."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin_parts import NOTHING, AuditedAdmin, hex_text, link_to, link_to_list, rows_table
from accounts.levers import Told, lever
from worlds.hosts.registry import NoDoor, make_join_code, revoke
from worlds.models import Host, ZoneCluster
from worlds.rules import is_online
from worlds.world_admin import OfWorld

WORLD = ("world", AutocompleteSelectFilter)


@admin.register(Host)
class HostAdmin(OfWorld, AuditedAdmin):
    """What is set here takes effect within 15 s, without a restart of anything but the clusters concerned."""

    list_display = ("name", "world_link", "state", "cluster_count", "machine", "is_enabled")
    list_filter = (WORLD, "is_enabled")
    search_fields = ("name", "world__slug")
    list_select_related = ("world",)
    autocomplete_fields = ("world",)
    actions_detail = ("make_code", "revoke_key")
    settings_fields = ("is_enabled", "cores", "memory_mb")
    facts = ("state", "last_seen_at", "machine", "runs", "key", "code_until")
    fieldsets = (
        (None, {"fields": ("world", "name", "state", "last_seen_at", "machine", "runs")}),
        ("Settings", {"fields": settings_fields}),
        ("Its agent", {"fields": ("key", "code_until")}),
    )
    add_fieldsets = ((None, {"fields": ("world", "name", *settings_fields)}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Host]:
        return super().get_queryset(request).annotate(cluster_total=Count("clusters"))

    def get_readonly_fields(self, request: HttpRequest, obj: Host | None = None) -> tuple[str, ...]:
        return () if obj is None else ("world", "name", *self.facts)

    def audit_target(self, obj: Host) -> str:
        return f"{obj.world.slug}/{obj.name}"

    def has_make_code_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.change_host")

    def has_revoke_key_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm("worlds.change_host"):
            return False
        if object_id is None:
            return True
        keyless = Host.objects.filter(public_key__isnull=True, join_digest__isnull=True)
        return not keyless.filter(pk=object_id).exists()

    @lever(
        "Make a join code",
        title="Make a join code for this host?",
        text="It is shown once, is good for an hour and for one agent; a code made before is void. The agent "
        "that joins with it takes the place of the present one.",
        icon="add_link",
        allowed="make_code",
        refused=(NoDoor,),
    )
    def make_code(self, host: Host, *, reason: str, **deed: Any) -> Told:
        code = make_join_code(host=host, reason=reason, **deed)
        return Told(
            f"On {host.name}, once, within an hour: python3 manage.py hostagent --join {code.text()}", "info"
        )

    @lever(
        "Revoke",
        title="Revoke this host's key?",
        text="Within 15 seconds its agent is put out, and its clusters end in order; their players go on "
        "elsewhere.",
        icon="link_off",
        allowed="revoke_key",
        variant=ActionVariant.DANGER,
    )
    def revoke_key(self, host: Host, **deed: Any) -> Told | str:
        if revoke(host=host, **deed):
            return f"{host.name} is revoked. With a new join code its machine may come back."
        return Told("It had neither key nor code.", "info")

    @display(
        description="state",
        label={"connected": "success", "silent": "danger", "not joined": "info", "disabled": "warning"},
    )
    def state(self, host: Host) -> str:
        if host.public_key is None:
            return "not joined"
        if not host.is_enabled:
            return "disabled"
        return "connected" if is_online(host.last_seen_at, timezone.now()) else "silent"

    @display(description="clusters", ordering="cluster_total")
    def cluster_count(self, host: Any) -> SafeString:
        return link_to_list(ZoneCluster, host.cluster_total, host__id__exact=host.pk)

    @display(description="machine")
    def machine(self, host: Host) -> str:
        return machine_text(host.status)

    @display(description="clusters, as reported")
    def runs(self, host: Any) -> SafeString | str:
        known = {cluster.name: cluster for cluster in host.clusters.all()}
        rows = [
            (
                link_to(known.get(run.get("name", "")), run.get("name"))
                if run.get("name") in known
                else run.get("name"),
                run.get("state"),
                run.get("pid") or NOTHING,
                run.get("generation"),
                run.get("deaths"),
                run.get("reason") or NOTHING,
            )
            for run in host.status.get("clusters", [])
        ]
        return rows_table(("cluster", "state", "pid", "generation", "deaths in a row", "last end"), rows)

    @display(description="key (Ed25519)")
    def key(self, host: Host) -> SafeString | str:
        return hex_text(host.public_key)

    @display(description="join code, unused, until")
    def code_until(self, host: Host) -> str:
        until = host.join_until
        return f"{until:%Y-%m-%d %H:%M} UTC" if until is not None and until > timezone.now() else NOTHING


def machine_text(status: dict[str, Any]) -> str:
    """Return what a machine has, for people."""
    if not status.get("cores"):
        return NOTHING
    memory = f"{status.get('free_memory_mb', 0)} of {status.get('memory_mb', 0)} MB free"
    return f"{status['cores']:g} cores, load {status.get('load', 0):g}, {memory}"
