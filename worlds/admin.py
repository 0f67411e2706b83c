"""Worlds in the admin, as the master sees them: worlds, their keys, tickets, pseudonyms.

What a world keeps for itself (zones, clusters, play sessions) is in world_admin.
"""

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin_parts import (
    AuditedAdmin,
    ReasonForm,
    ViewOnlyAdmin,
    beside,
    document,
    hex_text,
    link_to,
    link_to_list,
    links_to,
    rows_table,
    staff_of,
)
from accounts.levers import Told, lever
from worlds import (  # noqa: F401  (register the world's own rows; the admin looks only for `admin`)
    handler_admin,
    host_admin,
    keeping_admin,
    move_admin,
    placement_admin,
    quarantine_admin,
    restart_admin,
    status_admin,
    upkeep_admin,
    world_admin,
)
from worlds.life_admin import LifeLevers
from worlds.models import Pseudonym, Ticket, World, WorldKey
from worlds.rules import gateway_fault, is_online, name_fault, name_key, slug_fault
from worlds.selectors import with_players
from worlds.services import (
    KeyRefused,
    TierRefused,
    WorldRefused,
    lift_limit,
    lift_suspension,
    limit_world,
    register_world,
    register_world_key,
    revoke_world_key,
    set_tier,
    suspend_world,
)

SHOWN = 20  # related rows on a page; the rest is behind a link


class WorldForm(forms.ModelForm):
    """A world. The rules for names and addresses are those of registration."""

    class Meta:
        model = World
        fields = "__all__"

    def clean_slug(self) -> str:
        return _checked(slug_fault, self.cleaned_data["slug"])

    def clean_gateway_url(self) -> str:
        return _checked(gateway_fault, self.cleaned_data["gateway_url"])

    def clean_name(self) -> str:
        name = _checked(name_fault, self.cleaned_data["name"])
        if World.objects.filter(name_key=name_key(name)).exclude(pk=self.instance.pk).exists():
            raise ValidationError("A world with this or a very similar name exists.")
        return name


def _checked(fault_of: Any, value: str) -> str:
    if fault := fault_of(value):
        raise ValidationError(fault)
    return value


class TierForm(ReasonForm):
    """Which tier, and why."""

    tier = forms.ChoiceField(choices=World.Tier.choices, widget=UnfoldAdminSelectWidget)
    field_order = ("tier", "reason")


@admin.register(World)
class WorldAdmin(LifeLevers, placement_admin.WithPlacement, AuditedAdmin):
    form = WorldForm
    list_display = ("name", "slug", "state", "tier_label", "players", "max_players", "region", "owner_link")
    list_filter = ("tier", "is_listed", "edition", "region", "language", "ruleset")
    search_fields = ("name", "slug", "tagline", "owner__email")
    list_select_related = ("owner",)
    autocomplete_fields = ("owner",)
    races = (IntegrityError, WorldRefused)
    actions_detail = (
        *LifeLevers.life_levers,
        *("change_tier", "limit", "lift_the_limit", "stop_trade", "suspend", "lift", "plan_placement"),
    )
    told = ("name", "tagline", "description", "motd", "language", "region", "ruleset")
    rules = (
        *("owner", "tier", "edition", "max_players", "max_queue", "spawn_budget"),
        *("is_listed", "gateway_url", "placement"),
    )
    facts = (
        "state",
        "players",
        *LifeLevers.life_facts,
        "created_at",
        "limited_at",
        "suspended_at",
        "last_report_at",
        "clusters_reported",
    )
    related = ("keys", "zones", "forks", "more", "report_document")
    fieldsets = (
        ("Now", {"fields": facts}),
        ("What players read", {"fields": ("slug", *told)}),
        ("Rules", {"fields": rules}),
        ("Belongs to it", {"fields": related}),
    )
    add_fieldsets = ((None, {"fields": ("slug", *told, *rules)}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[World]:
        return with_players(super().get_queryset(request), timezone.now())

    def get_readonly_fields(self, request: HttpRequest, obj: World | None = None) -> tuple[str, ...]:
        return () if obj is None else ("slug", "tier", *self.facts, *self.related)

    def follows(self, obj: World, form: forms.ModelForm) -> tuple[str, ...]:
        return ("name_key",) if "name" in form.changed_data else ()

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        if change:
            obj.name_key = name_key(obj.name)
            super().save_model(request, obj, form, change)
            return
        world = register_world(**form.cleaned_data, by=staff_of(request), now=timezone.now())
        obj.pk = world.pk

    def has_suspend_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_set(request, object_id, suspended_at__isnull=True)

    def has_lift_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_set(request, object_id, suspended_at__isnull=False)

    def has_limit_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_set(request, object_id, limited_at__isnull=True)

    def has_lift_limit_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_set(request, object_id, limited_at__isnull=False)

    def has_tier_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._may_set(request, object_id)

    @lever(
        "Change tier",
        title="Change this world's tier?",
        text="Official: run by our own staff, plays main. Verified: plays main within its budget; asks for "
        "30 days and an owner with a second factor. Open: plays only its own forks. Counts from the next "
        "entry on.",
        icon="verified",
        allowed="tier",
        form_class=TierForm,
        refused=(TierRefused,),
    )
    def change_tier(self, world: World, tier: str, **deed: Any) -> Told | str:
        if set_tier(world=world, tier=tier, **deed):
            return f"{world} is {tier} now."
        return Told(f"{world} was {tier} before.", "info")

    def _may_set(self, request: HttpRequest, object_id: str | None, **state: bool) -> bool:
        """Offer each lever only where it would change something."""
        if not self.has_change_permission(request):
            return False
        if object_id is None:
            return True
        return World.objects.filter(pk=object_id, **state).exists()

    @display(
        description="state",
        label={
            "online": "success", "silent": "warning", "limited": "warning", "suspended": "danger",
            "never seen": "info", "maintenance": "warning",
        },
    )  # fmt: skip
    def state(self, world: World) -> str:
        if world.suspended_at is not None:
            return "suspended"
        if world.limited_at is not None:
            return "limited"
        if world.last_report_at is None:
            return "never seen"
        if world.maintenance_since is not None:
            return "maintenance"
        return "online" if is_online(world.last_report_at, timezone.now()) else "silent"

    @display(description="tier", ordering="tier", label={"official": "success", "verified": "info"})
    def tier_label(self, world: World) -> str:
        return world.tier

    @display(description="players", ordering="players")
    def players(self, world: Any) -> SafeString:
        leases = world.leases
        lookups = {"holder__id__exact": world.pk, "lease": "in-force"}
        return link_to_list(leases.model, world.players, **lookups)

    @display(description="owner", ordering="owner__email")
    def owner_link(self, world: World) -> SafeString | str:
        return link_to(world.owner)

    @display(description="clusters, as reported")
    def clusters_reported(self, world: World) -> SafeString | str:
        clusters = world.report.get("clusters", []) if isinstance(world.report, dict) else []
        return rows_table(
            ("cluster", "alive", "players", "tick, ms"),
            (
                (
                    row.get("name"),
                    "yes" if row.get("is_alive") else "no",
                    row.get("players"),
                    row.get("tick_ms"),
                )
                for row in clusters
                if isinstance(row, dict)
            ),
        )

    @display(description="keys")
    def keys(self, world: Any) -> SafeString | str:
        rows = world.keys.all()[:SHOWN]
        return rows_table(
            ("key", "since", "state"),
            (
                (link_to(row), f"{row.created_at:%Y-%m-%d}", "revoked" if row.revoked_at else "valid")
                for row in rows
            ),
        )

    @display(description="zones")
    def zones(self, world: Any) -> SafeString | str:
        return links_to(world.zones.order_by("-is_entry", "name")[:SHOWN])

    @display(description="forks")
    def forks(self, world: Any) -> SafeString:
        return link_to_list(world.forks.model, "lines that this world forked", world__id__exact=world.pk)

    @display(description="more")
    def more(self, world: Any) -> SafeString:
        related = {"clusters": "clusters", "play sessions": "play_sessions", "tickets": "tickets"}
        models = {text: getattr(world, accessor).model for text, accessor in related.items()}
        links = [link_to_list(model, text, world__id__exact=world.pk) for text, model in models.items()]
        return beside([*links, *_of_characters(world)])

    @display(description="last report")
    def report_document(self, world: World) -> SafeString | str:
        return document(world.report)

    @lever(
        "Limit",
        title="Limit this world?",
        text="From its next write on it writes its own forks and not main. Players go on and lose nothing; "
        "what they gain counts in this world only. Effective at once.",
        icon="call_split",
        allowed="limit",
        variant=ActionVariant.WARNING,
    )
    def limit(self, world: World, **deed: Any) -> str:
        limit_world(world=world, **deed)
        return f"{world} writes its own forks now."

    @lever(
        "Lift limit",
        title="Lift the limit?",
        text="Characters play main again from their next entry on, if the world's tier lets them. What was "
        "played on forks stays there.",
        icon="merge",
        allowed="lift_limit",
        submit="Lift",
    )
    def lift_the_limit(self, world: World, **deed: Any) -> str:
        lift_limit(world=world, **deed)
        return f"The limit of {world} is lifted."

    def has_stop_trade_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("characters.add_tradestop")

    @action(
        description="Stop trade",
        icon="swap_horiz",
        permissions=["stop_trade"],
        variant=ActionVariant.WARNING,
    )
    def stop_trade(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the page where trade and mail, or a kind of item, are stopped, with this world filled in."""
        page = reverse("admin:characters_tradestop_add")
        return redirect(f"{page}?{urlencode({'world': object_id})}")

    @lever(
        "Suspend",
        title="Suspend this world?",
        text="It gets no tickets, no leases and no writes until the suspension is lifted. Its leases end "
        "now, and its players are put out within 10 seconds.",
        icon="block",
        allowed="suspend",
        variant=ActionVariant.DANGER,
    )
    def suspend(self, world: World, **deed: Any) -> str:
        suspend_world(world=world, **deed)
        return f"{world} is suspended."

    @lever(
        "Lift suspension",
        title="Lift the suspension?",
        text="Players can get tickets for this world again, and it can write again.",
        icon="check_circle",
        allowed="lift",
        submit="Lift",
    )
    def lift(self, world: World, **deed: Any) -> str:
        lift_suspension(world=world, **deed)
        return f"The suspension of {world} is lifted."


def _of_characters(world: Any) -> list[SafeString]:
    """Return links to what the character repository has of a world; this app knows it by relations alone."""
    version = world.leases.model._meta.get_field("versions").related_model
    letter, thing = (apps.get_model("characters", name) for name in ("Letter", "ValuableEvent"))
    rollback = reverse("admin:characters_version_rollback")
    return [
        link_to_list(version, "everything it wrote", world__id__exact=world.pk),
        link_to_list(thing, "valuables made in it", world__id__exact=world.pk, kind__exact="made"),
        link_to_list(letter, "letters posted in it", posted_by__id__exact=world.pk),
        link_to_list(world.trade_stops.model, "trade stops", world__id__exact=world.pk),
        format_html(
            '<a class="ws-link" href="{}?{}">roll back</a>', rollback, urlencode({"world": world.pk})
        ),
    ]


class WorldKeyForm(forms.ModelForm):
    """A new key of a world."""

    public_key_hex = forms.CharField(
        label="Public key",
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text="The Ed25519 public key, 64 hex digits, as `manage.py demo` shows it.",
    )

    class Meta:
        model = WorldKey
        fields = ("world",)

    def clean_public_key_hex(self) -> bytes:
        try:
            key = bytes.fromhex(self.cleaned_data["public_key_hex"])
        except ValueError as error:
            raise ValidationError("Use hex digits only: 0 to 9 and a to f.") from error
        if len(key) != 32:
            raise ValidationError(f"An Ed25519 public key has 64 hex digits, this has {2 * len(key)}.")
        if WorldKey.objects.filter(public_key=key).exists():
            raise ValidationError("This key is registered already; a revoked key never comes back.")
        return key


@admin.register(WorldKey)
class WorldKeyAdmin(ViewOnlyAdmin):
    """Keys are registered and revoked through the services, and never changed."""

    races = (KeyRefused,)  # registered by somebody else since the form was checked

    form = WorldKeyForm
    list_display = ("kid", "world_link", "created_at", "is_valid")
    list_filter = (("world", AutocompleteSelectFilter), ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("kid", "world__slug", "world__name")
    list_select_related = ("world",)
    autocomplete_fields = ("world",)
    actions_detail = ("revoke",)
    shown_fields = ("world", "kid", "key_hex", "created_at", "revoked_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("worlds.add_worldkey")

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("worlds.change_worldkey")

    def get_fields(self, request: HttpRequest, obj: WorldKey | None = None) -> tuple[str, ...]:
        return ("world", "public_key_hex") if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: WorldKey | None = None) -> tuple[str, ...]:
        return () if obj is None else self.shown_fields

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        public_key = form.cleaned_data["public_key_hex"]
        now = timezone.now()
        key = register_world_key(world=obj.world, public_key=public_key, by=staff_of(request), now=now)
        obj.pk, obj.kid = key.pk, key.kid

    @display(description="world", ordering="world__name")
    def world_link(self, key: WorldKey) -> SafeString | str:
        return link_to(key.world)

    @display(description="valid", boolean=True, ordering="revoked_at")
    def is_valid(self, key: WorldKey) -> bool:
        return key.revoked_at is None

    @display(description="public key")
    def key_hex(self, key: WorldKey) -> SafeString | str:
        return hex_text(key.public_key)

    @lever(
        "Revoke",
        title="Revoke this key?",
        text="The world can no longer prove itself by it. A revoked key never comes back.",
        icon="key_off",
        allowed="revoke",
        variant=ActionVariant.DANGER,
        form_class=BaseDialogForm,
    )
    def revoke(self, key: WorldKey, **deed: Any) -> Told | str:
        if revoke_world_key(key=key, **deed):
            return f"Key {key} is revoked."
        return Told(f"Key {key} was revoked before.", "info")


@admin.register(Pseudonym)
class PseudonymAdmin(ViewOnlyAdmin):
    list_display = ("value", "account_link", "world_link")
    list_filter = (("world", AutocompleteSelectFilter), ("account", AutocompleteSelectFilter))
    search_fields = ("value", "account__email", "world__slug")
    list_select_related = ("account", "world")
    fields = ("value", "account", "world")

    @display(description="account", ordering="account__email")
    def account_link(self, pseudonym: Pseudonym) -> SafeString | str:
        return link_to(pseudonym.account)

    @display(description="world", ordering="world__name")
    def world_link(self, pseudonym: Pseudonym) -> SafeString | str:
        return link_to(pseudonym.world)


@admin.register(Ticket)
class TicketAdmin(ViewOnlyAdmin):
    list_display = ("short_jti", "account_link", "world_link", "issued_at", "state")
    list_filter = (
        ("world", AutocompleteSelectFilter),
        ("account", AutocompleteSelectFilter),
        ("issued_at", RangeDateTimeFilter),
    )
    search_fields = ("jti", "account__email", "world__slug")
    list_select_related = ("account", "world")
    fields = ("jti", "account", "world", "state", "issued_at", "expires_at", "redeemed_at", "closed_at")
    readonly_fields = fields

    @display(description="ticket")
    def short_jti(self, ticket: Ticket) -> str:
        return str(ticket.jti)[:8]

    @display(description="account", ordering="account__email")
    def account_link(self, ticket: Ticket) -> SafeString | str:
        return link_to(ticket.account)

    @display(description="world", ordering="world__name")
    def world_link(self, ticket: Ticket) -> SafeString | str:
        return link_to(ticket.world)

    @display(description="state", label={"open admission": "success", "unused": "info", "expired": "warning"})
    def state(self, ticket: Ticket) -> str:
        if ticket.redeemed_at is None:
            return "unused" if ticket.expires_at > timezone.now() else "expired"
        return "open admission" if ticket.closed_at is None else "closed"
