"""Valuables and budgets in the admin: where each thing is and how it came there, and what worlds may gain."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin_parts import NOTHING, AuditedAdmin, ViewOnlyAdmin, link_to, rows_table
from characters.models import Gain, Valuable, ValuableEvent, Version, WorldBudget

SHOWN = 200  # steps of one thing on its page


class PlaceFilter(admin.SimpleListFilter):
    """Valuables by where they are."""

    title = "place"
    parameter_name = "place"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("line", "somebody has it"), ("letter", "in a letter"), ("gone", "gone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Valuable]) -> QuerySet[Valuable]:
        match self.value():
            case "line":
                return queryset.filter(line__isnull=False)
            case "letter":
                return queryset.filter(letter__isnull=False)
            case "gone":
                return queryset.filter(line__isnull=True, letter__isnull=True)
        return queryset


@admin.register(Valuable)
class ValuableAdmin(ViewOnlyAdmin):
    list_display = ("thing", "kind", "scope", "place")
    list_filter = (PlaceFilter, "kind", ("world", AutocompleteSelectFilter))
    search_fields = ("thing", "kind", "line__character__name", "letter__recipient__name")
    ordering = ("-pk",)
    list_select_related = ("world", "line__character", "letter__recipient")
    fields = ("thing", "kind", "scope", "place", "way")
    readonly_fields = ("scope", "place", "way")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Valuable]:
        return super().get_queryset(request).defer("line__state")

    @display(description="on")
    def scope(self, valuable: Valuable) -> str:
        return "main" if valuable.world is None else f"forks of {valuable.world}"

    @display(description="where it is")
    def place(self, valuable: Valuable) -> SafeString | str:
        if valuable.line is not None:
            return link_to(valuable.line, valuable.line.character)
        if valuable.letter is not None:
            return link_to(valuable.letter, f"a letter to {valuable.letter.recipient}")
        return "gone"

    @display(description="its way, newest first")
    def way(self, valuable: Any) -> SafeString | str:
        events = list(valuable.events.select_related("world", "line__character").defer("line__state")[:SHOWN])
        versions = _versions_of(events)
        rows = (
            (
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.get_kind_display(),
                link_to(event.line, event.line.character) if event.line is not None else NOTHING,
                event.world.name if event.world is not None else "the master",
                link_to(versions.get(event.op_id)),
            )
            for event in events
        )
        return rows_table(("at", "what", "whose", "in world", "version"), rows)


def _versions_of(events: list[ValuableEvent]) -> dict[UUID | None, Version]:
    """Return the versions by which things moved, in one query; thinned ones are missing."""
    ids = [event.op_id for event in events if event.op_id is not None]
    rows = Version.objects.filter(op_id__in=ids).only("version", "kind", "op_id")
    return {row.op_id: row for row in rows}


@admin.register(ValuableEvent)
class ValuableEventAdmin(ViewOnlyAdmin):
    list_display = ("at", "kind", "thing_link", "character_link", "world_link")
    list_filter = ("kind", ("world", AutocompleteSelectFilter), ("at", RangeDateTimeFilter))
    search_fields = ("valuable__thing", "op_id", "line__character__name")
    ordering = ("-at", "-pk")
    list_select_related = ("valuable", "world", "line__character")
    fields = ("at", "kind", "valuable", "line", "world", "op_id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ValuableEvent]:
        return super().get_queryset(request).defer("line__state")

    @display(description="thing", ordering="valuable__kind")
    def thing_link(self, event: ValuableEvent) -> SafeString | str:
        return link_to(event.valuable)

    @display(description="character", ordering="line__character__name")
    def character_link(self, event: ValuableEvent) -> SafeString | str:
        return link_to(event.line, event.line.character) if event.line is not None else NOTHING

    @display(description="world", ordering="world__name")
    def world_link(self, event: ValuableEvent) -> SafeString | str:
        return link_to(event.world)


@admin.register(Gain)
class GainAdmin(ViewOnlyAdmin):
    list_display = ("hour", "world", "character_link", "xp", "money", "valuables", "items")
    list_filter = (("world", AutocompleteSelectFilter), ("hour", RangeDateTimeFilter))
    search_fields = ("line__id", "line__character__name")
    ordering = ("-hour", "-pk")
    list_select_related = ("world", "line__character")
    fields = ("hour", "world", "line", "xp", "money", "valuables", "items")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gain]:
        return super().get_queryset(request).defer("line__state")

    @display(description="character", ordering="line__character__name")
    def character_link(self, gain: Gain) -> SafeString | str:
        return link_to(gain.line, gain.line.character)


@admin.register(WorldBudget)
class WorldBudgetAdmin(AuditedAdmin):
    """What one verified world may gain a character on main. Without a row: the defaults."""

    list_display = ("world", "xp_hour", "money_hour", "valuables_hour", "items_hour")
    search_fields = ("world__name", "world__slug")
    list_select_related = ("world",)
    autocomplete_fields = ("world",)
    fieldsets = (
        (None, {"fields": ("world",)}),
        ("Per hour and character", {"fields": ("xp_hour", "money_hour", "valuables_hour", "items_hour")}),
        ("Per day and character", {"fields": ("xp_day", "money_day", "valuables_day", "items_day")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("world",) if obj is not None else ()
